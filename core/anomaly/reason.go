package anomaly

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// reasonFor names every unusual reading, in the order given. Bytes per file are left out beside the artifact, whose
// part names size and files already.
func reasonFor(unusual []Reading, changedFiles *int) string {
	hasArtifact := slices.ContainsFunc(unusual, func(r Reading) bool { return r.Measure == Artifact })
	var parts []string
	for _, r := range unusual {
		if r.Measure != BytesPerFile || !hasArtifact {
			parts = append(parts, r.sentence(changedFiles))
		}
	}
	return strings.Join(parts, "; ")
}

func (r Reading) sentence(changedFiles *int) string {
	change := formatPercent(r.Median, r.Value)
	if r.Measure == Duration {
		return fmt.Sprintf("duration %s → %s (%s)", formatSeconds(r.Median), formatSeconds(r.Value), change)
	}
	name := "artifact"
	if r.Measure == BytesPerFile {
		name = "artifact per changed file"
	}
	text := fmt.Sprintf("%s %s → %s (%s)", name, formatBytes(r.Median), formatBytes(r.Value), change)
	if changedFiles == nil || *changedFiles < 0 {
		return text
	}
	if *changedFiles == 1 {
		return text + " with 1 file changed"
	}
	return fmt.Sprintf("%s with %d files changed", text, *changedFiles)
}

// formatPercent is the change from one value to another. A loss is rounded towards zero, for −100 % would say that
// nothing is left.
func formatPercent(from, to float64) string {
	if change := 100 * (to/from - 1); change < 0 {
		return fmt.Sprintf("−%.0f %%", math.Floor(-change))
	}
	return fmt.Sprintf("+%.0f %%", min(100*(to/from-1), math.MaxInt64))
}

// formatBytes writes two to four digits in decimal units: 7 B, 4.1 MB, 169 MB.
func formatBytes(bytes float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	unit := 0
	for math.Round(bytes) >= 1000 && unit < len(units)-1 {
		bytes /= 1000
		unit++
	}
	if unit > 0 && bytes < 9.95 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", bytes), ".0") + " " + units[unit]
	}
	return fmt.Sprintf("%.0f %s", bytes, units[unit])
}

// formatSeconds writes a duration in its two largest units: 400ms, 4.2s, 45s, 3m10s, 1h05m.
func formatSeconds(seconds float64) string {
	const minute, hour, longest = 60, 3600, 9999 * 3600
	whole := int64(math.Round(min(seconds, longest)))
	switch {
	case seconds < 0.9995:
		return fmt.Sprintf("%.0fms", seconds*1000)
	case seconds < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", seconds), ".0") + "s"
	case whole < minute:
		return fmt.Sprintf("%ds", whole)
	case whole < hour:
		return fmt.Sprintf("%dm%02ds", whole/minute, whole%minute)
	}
	return fmt.Sprintf("%dh%02dm", whole/hour, whole%hour/minute)
}
