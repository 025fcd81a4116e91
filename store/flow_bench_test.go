package store_test

import (
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// BenchmarkFlow reads what a scrape needs, at most once in five seconds, while so many scans, jobs and statuses wait.
//
//	.ci/with-postgres go test -run '^$' -bench Flow ./store/
func BenchmarkFlow(b *testing.B) {
	for _, waiting := range []int{1, 1000} {
		for _, e := range storetest.Engines {
			b.Run(fmt.Sprintf("%s/%d00", e.Name, waiting), func(b *testing.B) {
				s := e.Open(b, store.Config{})
				if err := s.Fill(b.Context(), waiting); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := s.ReadFlow(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
