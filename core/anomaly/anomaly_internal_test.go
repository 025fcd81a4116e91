package anomaly

import (
	"testing"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	one, two, none, negative := 1, 2, 0, -1
	for _, tc := range []struct {
		measure       Measure
		median, value float64
		files         *int
		want          string
	}{
		{Artifact, 41e6, 169e6, &one, "artifact 41 MB → 169 MB (+312 %) with 1 file changed"},
		{Artifact, 41e6, 169e6, &two, "artifact 41 MB → 169 MB (+312 %) with 2 files changed"},
		{Artifact, 41e6, 169e6, &none, "artifact 41 MB → 169 MB (+312 %) with 0 files changed"},
		{Artifact, 41e6, 169e6, &negative, "artifact 41 MB → 169 MB (+312 %)"},
		{Artifact, 41e6, 169e6, nil, "artifact 41 MB → 169 MB (+312 %)"},
		{Artifact, 1e9, 1, nil, "artifact 1 GB → 1 B (−99 %)"},
		{BytesPerFile, 512, 40960, &one, "artifact per changed file 512 B → 41 kB (+7900 %) with 1 file changed"},
		{Duration, 190, 760, &one, "duration 3m10s → 12m40s (+300 %)"},
	} {
		if got := (Reading{Measure: tc.measure, Median: tc.median, Value: tc.value}).sentence(tc.files); got != tc.want {
			t.Errorf("sentence = %q, want %q", got, tc.want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[float64]string{
		0.2: "0 B", 1: "1 B", 999.4: "999 B", 999.6: "1 kB", 1000: "1 kB", 1049: "1 kB", 1050: "1.1 kB", 4096: "4.1 kB",
		9_949: "9.9 kB", 9_950: "10 kB", 41_400_000: "41 MB", 999_499: "999 kB", 999_500: "1 MB", 1_500_000_000: "1.5 GB",
		12e12: "12 TB", 9.2e18: "9.2 EB",
	} {
		if got := formatBytes(bytes); got != want {
			t.Errorf("formatBytes(%v) = %q, want %q", bytes, got, want)
		}
	}
}

func TestFormatSeconds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{
		0.0004: "0ms", 0.4: "400ms", 0.9996: "1s", 1: "1s", 4.25: "4.2s", 9.94: "9.9s", 9.96: "10s", 45.4: "45s",
		59.5: "1m00s", 60: "1m00s", 190: "3m10s", 189.99999999: "3m10s", 3599.6: "1h00m", 3900: "1h05m", 90_000: "25h00m",
		1e300: "9999h00m",
	} {
		if got := formatSeconds(seconds); got != want {
			t.Errorf("formatSeconds(%v) = %q, want %q", seconds, got, want)
		}
	}
}

func TestFormatPercent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from, to float64
		want     string
	}{
		{100, 412.4, "+312 %"}, {100, 412.5, "+312 %"}, {100, 412.6, "+313 %"}, {100, 100, "+0 %"},
		{100, 50, "−50 %"}, {100, 0.01, "−99 %"}, {1, 1e9, "+99999999900 %"},
	} {
		if got := formatPercent(tc.from, tc.to); got != tc.want {
			t.Errorf("formatPercent(%v, %v) = %q, want %q", tc.from, tc.to, got, tc.want)
		}
	}
}
