package anomaly_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/quick"

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

// alarms gives the numbers of the runs that are anomalies.
func alarms(runs []anomaly.Point) []int {
	var at []int
	for i, a := range anomaly.AssessSeries(runs) {
		if a.Anomaly != nil {
			at = append(at, i)
		}
	}
	return at
}

func TestAnUnmarkedLevelShiftIsLearnedAfterTwoAlarms(t *testing.T) {
	t.Parallel()
	runs := append(repeat(60, point(190, 41e6, 5)), repeat(60, point(190, 169e6, 5))...)
	if got := alarms(runs); len(got) != 2 || got[0] != 60 || got[1] != 61 {
		t.Errorf("alarms at %v, want [60 61]", got)
	}
}

func TestAnExpectedRunIsTheNewLevelAtOnce(t *testing.T) {
	t.Parallel()
	runs := append(repeat(60, point(190, 41e6, 5)), repeat(60, point(190, 169e6, 5))...)
	runs[60].Expected = true
	if got := alarms(runs); len(got) != 1 || got[0] != 60 {
		t.Fatalf("alarms at %v, want [60]", got)
	}
	r := anomaly.Assess(runs[:61], point(190, 169e6, 5)).Readings[0]
	if !near(r.Median, 169e6) {
		t.Errorf("median after the expected run = %v, want 169e6", r.Median)
	}
	if a := anomaly.Assess(runs[:61], point(190, 507e6, 5)).Anomaly; a == nil {
		t.Error("three times the new level is ordinary, want an anomaly")
	}
}

func TestAnExpectedShrinkageForgetsTheOldLevel(t *testing.T) {
	t.Parallel()
	history := repeat(60, point(190, 169e6, 5))
	history = append(history, point(190, 15e6, 5))
	history[60].Expected = true
	if a := anomaly.Assess(history, point(190, 169e6, 5)).Anomaly; a == nil {
		t.Error("back at the old size is ordinary, want an anomaly")
	}
}

func TestAnExpectedRunRestartsOnlyWhatWasUnusual(t *testing.T) {
	t.Parallel()
	history := append(repeat(60, point(190, 41e6, 5)), point(900, 50e6, 5))
	history[60].Expected = true
	got := anomaly.Assess(history, point(900, 41e6, 5))
	for _, r := range got.Readings {
		want := map[anomaly.Measure]float64{
			anomaly.Artifact: 41e6, anomaly.Duration: 900, anomaly.BytesPerFile: 8.2e6,
		}[r.Measure]
		if !near(r.Median, want) {
			t.Errorf("median of %s = %v, want %v", r.Measure, r.Median, want)
		}
	}
}

func TestANewLevelInheritsTheNoise(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	var history []anomaly.Point
	for range 60 {
		history = append(history, point(100*math.Exp(0.4*r.NormFloat64()), 0, 0))
	}
	history = append(history, point(3000, 0, 0))
	before := anomaly.Assess(history[:60], history[60]).Readings[0].Expected.High / 100
	history[60].Expected = true
	after := anomaly.Assess(history, history[60]).Readings[0].Expected.High / 3000
	if before < 3 || after < 2.8 {
		t.Errorf("the noisy series bears ×%.1f before and ×%.1f after, want about the same", before, after)
	}
}

func TestALevelExpectedTooEarlyTeachesNothing(t *testing.T) {
	t.Parallel()
	history := append(repeat(10, point(100, 0, 0)), point(900, 0, 0))
	history[10].Expected = true
	if got := anomaly.Assess(history, point(900, 0, 0)); len(got.Readings) != 0 {
		t.Errorf("readings = %+v, want none", got.Readings)
	}
}

func TestWhatTheWindowHasSeenOftenIsOrdinary(t *testing.T) {
	t.Parallel()
	runs := repeat(100, point(190, 0, 0))
	for i := 9; i < 100; i += 10 {
		runs[i] = point(1900, 0, 0)
	}
	if a := anomaly.Assess(runs, point(1900, 0, 0)).Anomaly; a != nil {
		t.Errorf("every tenth run is a full build, yet %q", a.Reason)
	}
}

func TestAssessSeriesLooksBackOnly(t *testing.T) {
	t.Parallel()
	runs := append(repeat(30, point(190, 41e6, 5)), point(760, 41e6, 5), point(190, 41e6, 5))
	got := anomaly.AssessSeries(runs)
	if len(got) != len(runs) || got[0].Score() != nil || got[19].Score() != nil || got[20].Score() == nil {
		t.Error("want one assessment per run, the first 20 without a score")
	}
	if got[30].Anomaly == nil || got[31].Anomaly != nil {
		t.Error("want the anomaly at run 30 only")
	}
}

// randomRuns is a series of noisy durations and sizes.
func randomRuns(r *rand.Rand, n int, sigma float64) []anomaly.Point {
	runs := make([]anomaly.Point, n)
	for i := range runs {
		seconds, bytes := 190*math.Exp(sigma*r.NormFloat64()), int64(41e6*math.Exp(sigma*r.NormFloat64()))
		runs[i] = point(seconds, bytes, 1+r.IntN(30))
	}
	return runs
}

func scaled(runs []anomaly.Point, seconds float64, bytes int64) []anomaly.Point {
	out := make([]anomaly.Point, len(runs))
	for i, run := range runs {
		out[i] = point(*run.DurationSeconds*seconds, *run.ArtifactBytes*bytes, *run.ChangedFiles)
	}
	return out
}

func TestScoresDoNotDependOnTheUnit(t *testing.T) {
	t.Parallel()
	property := func(seed uint64, sigma uint8) bool {
		runs := randomRuns(rand.New(rand.NewPCG(seed, 0)), 90, float64(sigma)/256)
		a, b := anomaly.AssessSeries(runs), anomaly.AssessSeries(scaled(runs, 0.001, 1024))
		for i := range a {
			for j := range a[i].Readings {
				if math.Abs(a[i].Readings[j].Score-b[i].Readings[j].Score) > 1e-6 {
					return false
				}
			}
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 50}); err != nil {
		t.Error(err)
	}
}

func TestUnusualIsOutsideTheExpectedRange(t *testing.T) {
	t.Parallel()
	property := func(seed uint64, sigma uint8, factor float64) bool {
		runs := randomRuns(rand.New(rand.NewPCG(seed, 0)), 60, float64(sigma)/256)
		value := 190 * math.Exp(math.Mod(factor, 3))
		for _, r := range anomaly.Assess(runs, point(value, int64(value*1e5), 3)).Readings {
			inside := r.Value > r.Expected.Low && r.Value < r.Expected.High
			onEdge := near(r.Value, r.Expected.Low) || near(r.Value, r.Expected.High)
			if !onEdge && inside == r.Unusual() {
				return false
			}
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func TestALongerRunNeverScoresLess(t *testing.T) {
	t.Parallel()
	runs := randomRuns(rand.New(rand.NewPCG(3, 0)), 60, 0.2)
	last := -1.0
	for seconds := 190.0; seconds < 1e6; seconds *= 1.1 {
		score := *anomaly.Assess(runs, point(seconds, 0, 0)).Score()
		if score < last {
			t.Fatalf("score of %v seconds = %v, want at least %v", seconds, score, last)
		}
		last = score
	}
}

// FuzzAssessRun builds a series of any bits and asks that whatever comes out can be stored and shown.
func FuzzAssessRun(f *testing.F) {
	f.Add(190.0, 760.0, int64(41e6), int64(169e6), 5, byte(3))
	f.Add(5e-324, math.MaxFloat64, int64(1), int64(math.MaxInt64), math.MaxInt, byte(1))
	f.Add(math.NaN(), math.Inf(1), int64(0), int64(-1), -1, byte(0))
	f.Fuzz(func(t *testing.T, s1, s2 float64, b1, b2 int64, files int, mix byte) {
		a := anomaly.Point{DurationSeconds: &s1, ArtifactBytes: &b1, ChangedFiles: &files}
		b := anomaly.Point{DurationSeconds: &s2, ArtifactBytes: &b2, ChangedFiles: ptr(1), Expected: mix&1 == 1}
		var runs []anomaly.Point
		for i := range 70 {
			runs = append(runs, a)
			if i%8 == int(mix>>1)%8 {
				runs = append(runs, b)
			}
		}
		for _, assessment := range anomaly.AssessSeries(append(runs, b, a)) {
			checkFinite(t, assessment)
		}
	})
}

func checkFinite(t *testing.T, a anomaly.Assessment) {
	t.Helper()
	for _, r := range a.Readings {
		for _, v := range []float64{r.Value, r.Median, r.Expected.Low, r.Expected.High, r.Score} {
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Fatalf("reading %+v, want finite numbers that are not negative", r)
			}
		}
	}
	if a.Anomaly != nil && (a.Anomaly.Score < anomaly.Threshold || a.Anomaly.Reason == "") {
		t.Fatalf("anomaly %+v, want a score above the threshold and a reason", a.Anomaly)
	}
}

func BenchmarkAssessRun(b *testing.B) {
	runs := randomRuns(rand.New(rand.NewPCG(1, 0)), anomaly.Window+1, 0.1)
	b.ReportAllocs()
	for b.Loop() {
		anomaly.Assess(runs[:anomaly.Window], runs[anomaly.Window])
	}
}
