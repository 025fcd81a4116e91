package anomaly_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/quick"

	"github.com/scanhook/scanhook/core/anomaly"
)

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
