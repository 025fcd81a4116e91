package bench

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/store/storetest"
)

var (
	pushes = flag.Int("bench.pushes", 0, "pushes that are derived in a row; 0 skips")
	round  = flag.Int("bench.round", 5000, "pushes of one round")
	rounds = flag.Int("bench.rounds", 5, "alternating rounds")
)

const connections = 64 // platforms' workers that call at the same time

// TestRatios prints medians of alternating rounds.
func TestRatios(t *testing.T) {
	if *pushes == 0 {
		t.Skip("make bench measures it")
	}
	var table []string
	for _, e := range storetest.Engines {
		t.Run(e.Name, func(t *testing.T) { table = append(table, ratios(t, e)) })
	}
	t.Logf("\n%s", strings.Join(table, "\n"))
}

// ratios measures one engine.
func ratios(t *testing.T, e storetest.Engine) string {
	verified, each, kept := make([]float64, *rounds), make([]float64, *rounds), make([]float64, *rounds)
	alone, eachAlone := make([]float64, *rounds), make([]float64, *rounds)
	for n := range *rounds {
		verified[n] = measure(t, verifyOnly(t), load{To: *round, Connections: connections})
		each[n] = measure(t, transactionEach(t, e), load{To: *round / 4, Connections: connections})
		kept[n] = measure(t, ours(t, e, true), load{To: *round, Connections: connections})
		alone[n] = measure(t, ours(t, e, true), load{To: *round / 20, Connections: 1})
		eachAlone[n] = measure(t, transactionEach(t, e), load{To: *round / 20, Connections: 1})
		t.Logf("round %d: verified %.0f/s, a transaction each %.0f/s, kept %.0f/s", n+1, verified[n], each[n], kept[n])
	}
	derived := derive(t, e)
	open := ours(t, e, true)
	half := median(kept) / 2
	latency := send(t, load{URL: open.url, To: int(5 * half), Connections: 4 * connections, PerSecond: half})
	open.close()
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("%s, medians of %d rounds, bodies of %d bytes", e.Name, *rounds, len(push(projects)))
	line("  verification only     %8.0f/s", median(verified))
	line("  a transaction each    %8.0f/s", median(each))
	line("  kept, and derived beside it %2.0f/s   %.2f of verification only", median(kept), median(kept)/median(verified))
	line("  derived, %d in a row %6.0f/s   %.1f × a transaction each", *pushes, derived, derived/median(each))
	line("  at %.0f/s: p50 %.1f ms, p99 %.1f ms   %.1f ×", half, latency.P50, latency.P99, latency.P99/latency.P50)
	line("  one connection %.0f/s   %.2f × a transaction each", median(alone), median(alone)/median(eachAlone))
	return text.String()
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// measure sends a load to a server and closes it.
func measure(t *testing.T, s server, l load) float64 {
	t.Helper()
	defer s.close()
	l.URL = s.url
	return send(t, l).rate(l)
}

// derive keeps the pushes while nothing is derived, and measures how fast they are derived then.
func derive(t *testing.T, e storetest.Engine) float64 {
	t.Helper()
	s := ours(t, e, false)
	defer s.close()
	send(t, load{URL: s.url, To: *pushes, Connections: connections})
	began := time.Now()
	for worked := true; worked; {
		var err error
		if worked, err = s.calls.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return float64(*pushes) / time.Since(began).Seconds()
}
