//go:build linux

package scanbench

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/servetest"
)

// Flags of a run; without -scanbench.files nothing is measured.
var (
	files    = flag.String("scanbench.files", "", "numbers of files of the repositories, such as 1000,5000")
	commits  = flag.Int("scanbench.commits", 1000, "commits of each repository")
	rounds   = flag.Int("scanbench.rounds", 3, "first scans, and runs of the command, of which the median counts")
	single   = flag.Int("scanbench.single", 20, "pushes that come one after the other")
	history  = flag.Int("scanbench.history", 100, "commits of one push")
	projects = flag.Int("scanbench.projects", 50, "projects of the first repository that get pushes at the same time")
	pushes   = flag.Int("scanbench.pushes", 200, "those pushes")
	large    = flag.Int("scanbench.large", 12<<20, "bytes of a large text")
	damages  = flag.Int("scanbench.damages", 0, "times that a mirror is damaged under load")
	given    = flag.String("scanbench.binary", "", "a scanhook; empty: that of the source")
	tags     = flag.String("scanbench.tags", "", "build tags of scanhook, such as gore2regex")
)

// TestScans prints what scans cost.
func TestScans(t *testing.T) {
	if *files == "" {
		t.Skip("make bench-scan measures it")
	}
	binary, command := scanhook(t), buildCommand(t)
	var table figures
	for i, text := range strings.Split(*files, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < firstLeaks {
			t.Fatalf("%q is not a number of files of at least %d", text, firstLeaks)
		}
		t.Run(text, func(t *testing.T) {
			b := newBench(t, binary, newRepository(t, n, *commits))
			table.title(fmt.Sprintf("%d files, %.1f MB, %d commits", n, float64(b.repository.size())/1e6, *commits))
			b.firstScans(&table, command)
			b.singlePushes(&table)
			b.history(&table)
			if i == 0 {
				b.manyProjects(&table)
			}
			b.largeText(&table)
		})
	}
	t.Logf("\n%s", table.String())
}

// scanhook is what is measured.
func scanhook(t *testing.T) (binary string) {
	t.Helper()
	if *given != "" {
		return *given
	}
	return servetest.Build(t, "-tags=nomsgpack,"+*tags)
}
