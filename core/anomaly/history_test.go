package anomaly_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/scanhook/scanhook/core/anomaly"
)

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
