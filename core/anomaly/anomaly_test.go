package anomaly_test

import (
	"math"
	"testing"

	"github.com/scanhook/scanhook/core/anomaly"
)

func ptr[T any](v T) *T { return &v }

// point makes a run of seconds, bytes and files; what is not above zero is unknown.
func point(seconds float64, bytes int64, files int) anomaly.Point {
	var run anomaly.Point
	if seconds > 0 {
		run.DurationSeconds = &seconds
	}
	if bytes > 0 {
		run.ArtifactBytes = &bytes
	}
	if files > 0 {
		run.ChangedFiles = &files
	}
	return run
}

// repeat makes a history of n equal runs.
func repeat(n int, run anomaly.Point) []anomaly.Point {
	history := make([]anomaly.Point, n)
	for i := range history {
		history[i] = run
	}
	return history
}

func TestAssessRun(t *testing.T) {
	t.Parallel()
	usual := point(190, 41e6, 5)
	for name, tc := range map[string]struct {
		history []anomaly.Point
		run     anomaly.Point
		want    string // the reason, empty for an ordinary run
	}{
		"artifact four times as large": {repeat(50, usual), point(190, 169e6, 1),
			"artifact 41 MB → 169 MB (+312 %) with 1 file changed"},
		"duration four times as long": {repeat(50, usual), point(760, 41e6, 5), "duration 3m10s → 12m40s (+300 %)"},
		"little left of the artifact": {repeat(50, usual), point(190, 4e6, 5),
			"artifact 41 MB → 4 MB (−90 %) with 5 files changed"},
		"half the artifact":           {repeat(50, usual), point(190, 20e6, 5), ""},
		"fast run":                    {repeat(50, usual), point(2, 41e6, 5), ""},
		"steady series, ten per cent": {repeat(50, usual), point(209, 45e6, 5), ""},
		"steady series, a cold cache": {repeat(50, usual), point(400, 41e6, 5), ""},
		"just enough history":         {repeat(20, usual), point(760, 41e6, 5), "duration 3m10s → 12m40s (+300 %)"},
		"too little history":          {repeat(19, usual), point(760, 41e6, 5), ""},
		"no history":                  {nil, point(760, 169e6, 1), ""},
		"unknown now":                 {repeat(50, usual), anomaly.Point{}, ""},
		"unknown before":              {repeat(50, anomaly.Point{}), point(760, 169e6, 1), ""},
		"unknown files": {repeat(50, usual), point(190, 169e6, 0),
			"artifact 41 MB → 169 MB (+312 %)"},
		"one small commit after large": {repeat(50, point(190, 41e6, 100)), point(190, 41e6, 1), ""},
		"small commit, larger artifact": {repeat(50, point(190, 41e6, 20)), point(190, 74e6, 1),
			"artifact per changed file 2 MB → 74 MB (+3510 %) with 1 file changed"},
		"two measures, the larger first": {repeat(50, usual), point(19000, 169e6, 1),
			"duration 3m10s → 5h16m (+9900 %); artifact 41 MB → 169 MB (+312 %) with 1 file changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if a := anomaly.Assess(tc.history, tc.run).Anomaly; a != nil {
				got = a.Reason
			}
			if got != tc.want {
				t.Errorf("reason = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAssessRunTakesHostileValuesAsUnknown(t *testing.T) {
	t.Parallel()
	history := repeat(50, point(190, 41e6, 5))
	for name, run := range map[string]anomaly.Point{
		"zeros":          {DurationSeconds: ptr(0.0), ArtifactBytes: ptr(int64(0)), ChangedFiles: ptr(0)},
		"negative":       {DurationSeconds: ptr(-25.0), ArtifactBytes: ptr(int64(-1)), ChangedFiles: ptr(-1)},
		"not a number":   {DurationSeconds: ptr(math.NaN())},
		"infinite":       {DurationSeconds: ptr(math.Inf(1))},
		"minus infinite": {DurationSeconds: ptr(math.Inf(-1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := anomaly.Assess(history, run)
			if got.Anomaly != nil || got.Score() != nil {
				t.Errorf("anomaly %v, score %v, want none", got.Anomaly, got.Score())
			}
			withIt := anomaly.Assess(append(repeat(50, run), history...), point(760, 41e6, 5))
			if withIt.Anomaly == nil {
				t.Error("unknown values in the history hid an anomaly")
			}
		})
	}
}

func TestAssessRunGivesTheRangeOfEveryMeasure(t *testing.T) {
	t.Parallel()
	got := anomaly.Assess(repeat(30, point(100, 1000, 10)), point(100, 1000, 10))
	want := map[anomaly.Measure]anomaly.Range{
		anomaly.Artifact:     {Low: 100, High: 2250},
		anomaly.Duration:     {Low: 0, High: 260},
		anomaly.BytesPerFile: {Low: 0, High: 500},
	}
	if len(got.Readings) != len(want) {
		t.Fatalf("%d readings, want %d", len(got.Readings), len(want))
	}
	for _, r := range got.Readings {
		w := want[r.Measure]
		if !near(r.Expected.Low, w.Low) || !near(r.Expected.High, w.High) || r.Score != 0 {
			t.Errorf("%s: %+v score %v, want %+v score 0", r.Measure, r.Expected, r.Score, w)
		}
	}
}

func TestAnomalyIsTheLargestDeviation(t *testing.T) {
	t.Parallel()
	got := anomaly.Assess(repeat(30, point(100, 1000, 10)), point(100, 16000, 10))
	if got.Anomaly == nil || got.Anomaly.Measure != anomaly.Artifact {
		t.Fatalf("anomaly = %+v, want artifact", got.Anomaly)
	}
	if *got.Score() != got.Anomaly.Score || !near(got.Anomaly.Expected.High, 2250) {
		t.Errorf("anomaly = %+v, score %v, want the artifact's", got.Anomaly, *got.Score())
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Abs(want) }
