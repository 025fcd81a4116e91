package growth

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var (
	sizes  = flag.String("growth.sizes", "", "numbers of scans at which each step is measured, such as 1000,100000,1000000")
	rounds = flag.Int("growth.rounds", 15, "rounds of measurements, of which the median counts")
)

// mostGrowth is how much dearer a step may be in the largest database than in the smallest.
const mostGrowth = 1.5

// TestSizes prints what each step of a push, and each page, costs in databases of several sizes, which have never been
// ANALYZEd. The databases take turns, so that other work on the machine meets all of them alike.
func TestSizes(t *testing.T) {
	counts := sizesOf(t, *sizes)
	if len(counts) == 0 {
		t.Skip("make growth measures it")
	}
	for _, e := range storetest.Engines {
		t.Run(e.Name, func(t *testing.T) {
			worlds := make([]*world, len(counts))
			for i, size := range counts {
				worlds[i] = newWorld(t, e, size)
			}
			for round := range *rounds + 1 {
				for _, w := range worlds {
					w.round()
					if round == 0 { // finds nothing in memory
						clear(w.costs)
					}
				}
			}
			t.Logf("\n%s", tableOf(e.Name, worlds))
		})
	}
}

func sizesOf(t *testing.T, list string) (counts []int) {
	t.Helper()
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < leastSize {
			t.Fatalf("%q is not a number of scans of at least %d", text, leastSize)
		}
		counts = append(counts, n)
	}
	return counts
}

// world is a database with a history of so many scans.
type world struct {
	*store.Store
	t     *testing.T
	at    *server // without a process: this one is it
	pages http.Handler
	size  int
	next  int               // number of the next push
	jobs  []core.Job        // that are claimed
	costs map[string][]cost // of one turn of each step, by round
}

// cost is what something takes on a clock, and of the processors, which other work on the machine changes less.
type cost struct{ clock, cpu time.Duration }

func newWorld(t *testing.T, e storetest.Engine, size int) *world {
	t.Helper()
	url := e.URL(t)
	began := time.Now()
	fill(t, e.Name, url, size)
	t.Logf("%s: %d scans made in %s", e.Name, size, time.Since(began).Round(time.Second/10))
	policies := core.Policies{{Match: "**", Policy: core.Policy{
		Context: "scanhook", Branches: []string{"**"}, Scanners: []string{scanner}, ScanTimeout: time.Hour,
		Gate: core.Gate{FailOn: core.High, NewOnly: true}, Supersede: true,
	}}}
	s := storetest.OpenAt(t, url, store.Config{Policies: policies, Scanners: core.Scanners{scanner: core.RunsHere, "lint": core.Uploaded}})
	pages, err := web.New(web.Config{
		Store: s, Policies: policies, PublicURL: "http://scanhook.example", Public: true, Log: discard,
		Platforms: web.Platforms{"github": {Links: github.Kind().Links, URL: "https://github.example", Posts: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	router := httpx.NewRouter(discard)
	pages.Register(router)
	return &world{
		Store: s, t: t, at: &server{t: t, engine: e.Name, database: url}, pages: router, size: size, next: size + 1,
		costs: map[string][]cost{},
	}
}

// used is what this process and those of PostgreSQL have used of the processors.
func (w *world) used() time.Duration {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		w.t.Fatal(err)
	}
	used := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, pid := range w.at.backends() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if running, _, found := strings.Cut(string(text), " "); found {
			n, _ := strconv.ParseInt(running, 10, 64)
			used += time.Duration(n)
		}
	}
	return used
}

// tableOf shows the median cost of each step at each size.
func tableOf(engine string, worlds []*world) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-24s", engine+", µs at scans:")
	for _, column := range []string{"", "CPU "} {
		for _, w := range worlds {
			fmt.Fprintf(&text, " %11s", column+strconv.Itoa(w.size))
		}
		fmt.Fprintf(&text, "  growth")
	}
	for _, step := range steps {
		fmt.Fprintf(&text, "\n%-24s", step.name)
		clocks := lineOf(&text, worlds, step.name, func(c cost) time.Duration { return c.clock })
		cpus := lineOf(&text, worlds, step.name, func(c cost) time.Duration { return c.cpu })
		if min(clocks, cpus) > mostGrowth {
			fmt.Fprintf(&text, "  more than %.1f", mostGrowth)
		}
	}
	return text.String()
}

// lineOf writes the medians, and returns how much the last is larger than the first.
func lineOf(text *strings.Builder, worlds []*world, step string, of func(cost) time.Duration) (growth float64) {
	var medians []float64
	for _, w := range worlds {
		list := make([]time.Duration, len(w.costs[step]))
		for i, c := range w.costs[step] {
			list[i] = of(c)
		}
		slices.Sort(list)
		medians = append(medians, float64(list[len(list)/2].Nanoseconds())/1000)
		fmt.Fprintf(text, " %11.0f", medians[len(medians)-1])
	}
	growth = medians[len(medians)-1] / max(medians[0], 1)
	fmt.Fprintf(text, " %7.2f", growth)
	return growth
}
