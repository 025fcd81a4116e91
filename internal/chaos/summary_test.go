package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// summary is what a run prints, which shows that the disruptions did happen.
func (c *cluster) summary(t *testing.T, s *sender, d *disruptor, sending, settling time.Duration) string {
	t.Helper()
	var text strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&text, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("deliveries", "%d acknowledged in %s, %.0f/s; %d sent twice, %d lost and sent again, %d retries", len(s.acks),
		sending.Round(time.Second), float64(len(s.acks))/sending.Seconds(), s.doubles.Load(), s.lost.Load(), s.retries.Load())
	line("answered", "%s", quantiles(s.acks))
	line("reports", "%d acknowledged, %s", len(s.uploads), quantiles(s.uploads))
	starts, deaths := 0, 0
	for _, r := range c.replicas {
		starts, deaths = starts+r.starts, deaths+r.deaths
	}
	line("disruptions", "%d kills -9, %d database restarts, %d freezes of it, %d stalls, %d revoked tokens; %d starts, %d of them failed",
		d.kills, d.restarts, d.freezes, d.stalls, d.revocations, starts, deaths)
	line("jobs", "%s", c.lostWorkers(t))
	for _, name := range slices.Sorted(maps.Keys(c.platforms)) {
		p := c.platforms[name]
		calls, posts := len(p.Calls()), p.Posted()
		line(name, "%d calls, %d statuses posted, %d coalesced; faults %v", calls, posts, c.wanted(t, name)-posts, p.counts)
	}
	line("log", "%s", c.warnings(t))
	line("at rest", "after %s", settling.Round(100*time.Millisecond))
	return text.String()
}

// lostWorkers counts the jobs that lost a worker.
func (c *cluster) lostWorkers(t *testing.T) string {
	t.Helper()
	var lapses, hit, lost int
	each(t, c.database.open(t), `SELECT COALESCE(SUM(lapses), 0), COUNT(*), COALESCE(SUM(CASE WHEN lapses >= 3 THEN 1 ELSE 0 END), 0)
		FROM scan_jobs WHERE lapses > 0`, func() {}, &lapses, &hit, &lost)
	return fmt.Sprintf("%d lost a worker, %d workers in all; %d failed because they had lost three", hit, lapses, lost)
}

// wanted counts the states that the platform was to show, the ones in between included.
func (c *cluster) wanted(t *testing.T, platform string) (n int) {
	t.Helper()
	var revisions int
	var of string
	each(t, c.database.open(t), `SELECT source_platform, SUM(revision) FROM commit_statuses GROUP BY source_platform`, func() {
		if of == platform {
			n = revisions
		}
	}, &of, &revisions)
	return n
}

func quantiles(acks []ack) string {
	if len(acks) == 0 {
		return "none"
	}
	var took []time.Duration
	for _, ack := range acks {
		took = append(took, ack.took)
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(0.5), at(0.99), at(1))
}

// warnings counts the warnings and errors of the log by their message.
func (c *cluster) warnings(t *testing.T) string {
	t.Helper()
	counts := map[string]int{}
	for _, r := range c.replicas {
		for _, record := range r.records(t) {
			if record.Level == "ERROR" || record.Level == "WARN" {
				counts[record.Msg]++
			}
		}
	}
	var list []string
	for _, msg := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d × %q", counts[msg], msg))
	}
	return strings.Join(list, ", ")
}
