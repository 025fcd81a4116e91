//go:build linux

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/servetest"
)

// summary is what a run prints, which shows that the disruptions did happen.
func (d *disruptor) summary(t *testing.T, s *servetest.Sender, sending, settling time.Duration) string {
	t.Helper()
	var text strings.Builder
	line := func(name, format string, args ...any) { text.WriteString(servetest.Line(name, format, args...)) }
	text.WriteString(s.Summary(sending))
	starts, deaths := 0, 0
	for _, r := range d.Replicas {
		more, failed := r.Lives()
		starts, deaths = starts+more, deaths+failed
	}
	line("disruptions", "%d kills -9, %d database restarts, %d freezes of it, %d stalls, %d revoked tokens; %d starts, %d of them failed",
		d.kills, d.restarts, d.freezes, d.stalls, d.revocations, starts, deaths)
	line("jobs", "%s", d.LostWorkers(t))
	for _, name := range slices.Sorted(maps.Keys(d.Platforms)) {
		p := d.Platforms[name]
		calls, posts := len(p.Calls()), p.Posted()
		line(name, "%d calls, %d statuses posted, %d coalesced; faults %v", calls, posts, d.Wanted(t, name)-posts, d.faults[name].counts)
	}
	line("log", "%s", d.warnings(t))
	line("at rest", "after %s", settling.Round(100*time.Millisecond))
	return text.String()
}

// warnings counts the warnings and errors of the log by their message.
func (d *disruptor) warnings(t *testing.T) string {
	t.Helper()
	counts := map[string]int{}
	for _, r := range d.Replicas {
		for _, record := range r.Records(t) {
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
