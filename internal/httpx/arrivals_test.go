package httpx_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

func TestTheSlowestGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var arrivals httpx.Arrivals
		var cut []string
		begin := func(name string, perSecond int) *httpx.Arrival {
			arrival := arrivals.Begin(func() { cut = append(cut, name) })
			arrival.Got(perSecond)
			return arrival
		}
		begin("steady", 20<<10)
		begin("slow", 10<<10)
		begin("stalled", 0)
		begin("gone", 0).End()
		arrivals.CutSlowest()
		if len(cut) != 0 {
			t.Errorf("%v had to go at once, want some patience", cut)
		}
		time.Sleep(time.Second)
		for range 5 {
			arrivals.CutSlowest()
		}
		if want := []string{"stalled", "slow"}; !slices.Equal(cut, want) {
			t.Errorf("%v had to go, want %v", cut, want)
		}
	})
}

func TestNoArrivalEndsQuietly(t *testing.T) {
	t.Parallel()
	var none *httpx.Arrival
	none.Got(1)
	none.End()
}
