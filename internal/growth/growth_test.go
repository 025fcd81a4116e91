package growth

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/servetest"
	"github.com/scanhook/scanhook/store/storetest"
)

// Flags of a run; without them nothing is measured.
var (
	pushes   = flag.Int("growth.pushes", 0, "pushes of each run, 30000 for figures")
	statuses = flag.Int("growth.statuses", 0, "statuses of which a tenth are due, 300000 for figures")
	budget   = flag.Duration("growth.budget", 45*time.Second, "time for the pushes between the first and the last of a run")
)

func TestMain(m *testing.M) {
	if order := os.Getenv(loadOrder); order != "" {
		os.Exit(generate(order))
	}
	os.Exit(m.Run())
}

// statistics are when a database was ANALYZEd: never, or when it held a sixth of the pushes.
var statistics = []string{never, early}

const (
	never = "never"
	early = "ANALYZEd"
)

// window is a fifteenth of the pushes: of 30,000 the first 2,000 and the last.
func window() int { return max(1, *pushes/15) }

// TestGrowth fills an empty database with pushes, and prints the cost of the first and of the last ones.
func TestGrowth(t *testing.T) {
	if *pushes == 0 {
		t.Skip("make bench measures it")
	}
	binary := servetest.Build(t)
	var rows []string
	for _, e := range storetest.Engines {
		for _, shape := range shapes {
			for _, when := range statistics {
				t.Run(strings.Join([]string{e.Name, shape, when}, "/"), func(t *testing.T) {
					row := fmt.Sprintf("%-8s  %-12s  %-8s", e.Name, shape, when) + grow(t, binary, e, shape, when)
					t.Log(row)
					rows = append(rows, row)
				})
			}
		}
	}
	t.Logf("\nPushes that are acknowledged, of which the first and the last %d are measured; CPU is that of the server and the\n"+
		"database, posts and finals are statuses that the platform got meanwhile, each a second.\n\n"+
		"%-32s  %8s %8s %6s  %8s %8s %6s  %7s %7s  %6s %6s  %s\n%s", window(), "engine, shape, statistics",
		"first/s", "last/s", "ratio", "CPU ms", "CPU ms", "ratio", "posts/s", "posts/s", "finals", "finals", "pushes",
		strings.Join(rows, "\n"))
}

// grow returns a row of the table.
func grow(t *testing.T, binary string, e storetest.Engine, shape, when string) string {
	t.Helper()
	s := start(t, binary, e.URL(t), e.Name)
	defer s.stop()
	storetest.SetOnAllTables(t, s.database, noAnalyze)
	first := s.measure(load{Shape: shape, From: 0, To: window()})
	sixth := max(window(), *pushes/6)
	s.measure(load{Shape: shape, From: window(), To: sixth})
	if when == early {
		s.exec(`ANALYZE`)
	}
	middle := s.measure(load{Shape: shape, From: sixth, To: *pushes - window(), Seconds: budget.Seconds()})
	last := s.measure(load{Shape: shape, From: middle.Next, To: middle.Next + window()})
	return fmt.Sprintf("  %8.0f %8.0f %6.2f  %8.2f %8.2f %6.2f  %7.0f %7.0f  %6.0f %6.0f  %d",
		first.rate(), last.rate(), last.rate()/first.rate(), first.cpu(), last.cpu(), first.cpu()/last.cpu(),
		first.posts, last.posts, first.finals, last.finals, middle.Next+window())
}

// figures are what was measured of some pushes.
type figures struct {
	result
	used          time.Duration // CPU of the server and its database
	posts, finals float64       // a second
}

func (f figures) rate() float64 { return float64(f.Sent) / f.Seconds }
func (f figures) cpu() float64  { return f.used.Seconds() * 1000 / float64(max(1, f.Sent)) }

// measure has the generator call the server.
func (s *server) measure(order load) figures {
	s.t.Helper()
	posts, finals := s.platform.counts()
	cpu := s.cpu()
	began := time.Now()
	order.URL, order.Secret, order.Token, order.Checked = s.url, secret, token, s.platform.checked
	f := figures{result: run(s.t, order)}
	if f.Failed > 0 {
		s.t.Errorf("%s: %d of %d calls failed: %s", order.Shape, f.Failed, f.Failed+f.Sent, f.Said)
	}
	f.used = s.cpu() - cpu
	morePosts, moreFinals := s.platform.counts()
	took := time.Since(began).Seconds()
	f.posts, f.finals = float64(morePosts-posts)/took, float64(moreFinals-finals)/took
	return f
}

// noAnalyze stops PostgreSQL from updating statistics by itself. Dead rows are still removed.
const noAnalyze = "autovacuum_analyze_threshold = 2000000000"

func (s *server) exec(statement string, args ...any) {
	s.t.Helper()
	if _, err := storetest.Connect(s.t, s.database).ExecContext(s.t.Context(), statement, args...); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}
