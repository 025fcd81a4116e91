package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestZZLong(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, n := range []int{200, 2000, 6000} {
			start := time.Now()
			var wg sync.WaitGroup
			sem := make(chan bool, 64)
			for i := range n {
				sem <- true
				wg.Go(func() {
					defer func() { <-sem }()
					d, r := workflow(n*10+i, artifact(41e6), func(p *core.Pipeline) { p.FinishedAt = noon.Add(time.Duration(n*10+i) * time.Second) })
					if _, err := s.RecordPipeline(t.Context(), d, r); err != nil { t.Error(err) }
				})
			}
			wg.Wait()
			fmt.Println(e.Name, n, time.Since(start)/time.Duration(n), "per run")
		}
		start := time.Now()
		list, err := s.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 200})
		fmt.Println(e.Name, "list 200:", time.Since(start), len(list), err)
	})
}
