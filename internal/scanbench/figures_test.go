//go:build linux

package scanbench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds that are wanted, as shares of what the command costs.
const (
	mostFirst    = 1.2
	mostFirstRE2 = 0.4
	mostPush     = 1.0 / 100
	mostWait     = 1.0 / 15
	mostHistory  = 0.6
	mostOfMany   = 1.0 / 50
	mostMemory   = 150 << 20
)

// figures are the lines that are printed.
type figures struct{ strings.Builder }

func (f *figures) title(text string) {
	fmt.Fprintf(f, "%-52s %10s %10s %8s  %s\n", text, "gitleaks", "scanhook", "ratio", "wanted")
}

// line compares two times.
func (f *figures) line(name string, command, ours time.Duration, most float64) {
	ratio := ours.Seconds() / command.Seconds()
	fmt.Fprintf(f, "  %-50s %8.0fms %8.1fms %8s  ≤ %s%s\n", name, ms(command), ms(ours), share(ratio), share(most), mark(ratio > most))
}

func (f *figures) memory(name string, bytes int) {
	fmt.Fprintf(f, "  %-50s %10s %8.0fMB %8s  ≤ %dMB%s\n", name, "", float64(bytes)/(1<<20), "", mostMemory>>20, mark(bytes > mostMemory))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// share writes a ratio as people say it.
func share(ratio float64) string {
	if ratio < 0.1 {
		return fmt.Sprintf("1/%.0f", 1/ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

func mark(exceeded bool) string {
	if exceeded {
		return "  exceeded"
	}
	return ""
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
