package httpx_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

// sender needs a second for each read.
type sender struct{ bytes int }

func (s sender) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return min(s.bytes, len(p)), nil
}

func TestTheSlowestGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var arrivals httpx.Arrivals
		var cut []string
		begin := func(name string, perSecond int) *httpx.Arrival {
			arrival := arrivals.Begin(func() { cut = append(cut, name) })
			if perSecond > 0 {
				go func() {
					for range 3 {
						_, _ = arrival.Read(sender{perSecond}, make([]byte, 1<<20))
					}
				}()
			}
			return arrival
		}
		// Each of them has sent something after a second, and nothing more half a second later.
		begin("steady", 40<<10)
		begin("slow", 10<<10)
		begin("stalled", 0)
		begin("gone", 0).End()
		begin("trickling", 1)
		arrivals.CutSlowest()
		if len(cut) != 0 {
			t.Errorf("%v had to go at once, want some patience", cut)
		}
		time.Sleep(1500 * time.Millisecond)
		for range 5 {
			arrivals.CutSlowest()
		}
		if want := []string{"stalled", "trickling", "slow"}; !slices.Equal(cut, want) {
			t.Errorf("%v had to go, want %v", cut, want)
		}
		time.Sleep(time.Minute)
	})
}

// Whoever waits for us, however long, is none of those that we wait for.
func TestNobodyIsCutOffForOurSake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var arrivals httpx.Arrivals
		arrival := arrivals.Begin(func() { t.Error("cut off") })
		arrival.Rest()
		for range 5 {
			time.Sleep(time.Hour)
			arrivals.CutSlowest()
			_, _ = arrival.Read(strings.NewReader("a"), make([]byte, 1))
		}
	})
}

func TestNoArrivalEndsQuietly(t *testing.T) {
	t.Parallel()
	var none *httpx.Arrival
	none.Rest()
	none.End()
	if text, err := io.ReadAll(readerOf(none, strings.NewReader("abc"))); string(text) != "abc" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

type reader struct {
	arrival *httpx.Arrival
	source  io.Reader
}

func readerOf(arrival *httpx.Arrival, source io.Reader) io.Reader { return reader{arrival, source} }

func (r reader) Read(p []byte) (int, error) { return r.arrival.Read(r.source, p) }
