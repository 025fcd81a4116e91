package anomaly_test

import (
	"math"
	"math/rand/v2"

	"github.com/scanhook/scanhook/core/anomaly"
)

const (
	plantedShare = 0.02
	warmUp       = anomaly.Window // nothing is planted before, and nothing counts
	afterShift   = 2              // runs behind a shift's first one whose alarms are neither hits nor false
)

// label is what an alarm at a run is worth.
type label int

const (
	ordinary label = iota
	planted
	aftermath // of a level shift: the alarm is repeated, which is no mistake and no merit
)

// jump is the planted factor: artifacts ×3, durations ×4.
func jump(m anomaly.Measure) float64 {
	if m == anomaly.Artifact {
		return 3
	}
	return 4
}

// plant multiplies about every fiftieth factor, and the levels between shifts, by the jump.
func plant(r *rand.Rand, factors []float64, m anomaly.Measure, shifts int) []label {
	labels := make([]label, len(factors))
	for i := warmUp; i < len(factors); i++ {
		if shifts > 0 && i/shifts%2 == 1 {
			factors[i] *= jump(m)
			labels[i] = shiftLabel(i % shifts)
			continue
		}
		if settled := shifts == 0 || i < shifts || i%shifts >= warmUp; settled && r.Float64() < plantedShare {
			factors[i] *= jump(m)
			labels[i] = planted
		}
	}
	return labels
}

func shiftLabel(runsSince int) label {
	switch {
	case runsSince == 0:
		return planted
	case runsSince <= afterShift:
		return aftermath
	}
	return ordinary
}

// toRuns makes runs of factors of one measure; the other measure and the changed files live an ordinary life.
func toRuns(r *rand.Rand, factors []float64, m anomaly.Measure) []anomaly.Point {
	runs := make([]anomaly.Point, len(factors))
	for i, f := range factors {
		artifact, duration := math.Exp(0.1*r.NormFloat64()), math.Exp(0.1*r.NormFloat64())
		if m == anomaly.Artifact {
			artifact = f
		} else {
			duration = f
		}
		bytes, seconds := int64(41e6*artifact), 190*duration
		files := 1 + int(3*math.Exp(r.NormFloat64()))
		runs[i] = anomaly.Point{DurationSeconds: &seconds, ArtifactBytes: &bytes, ChangedFiles: &files}
	}
	return runs
}

// tally counts what the score made of labelled runs.
type tally struct{ runs, ordinary, planted, found, falseAlarms int }

func count(runs []anomaly.Point, labels []label) tally {
	var t tally
	for i, a := range anomaly.AssessSeries(runs) {
		if i < warmUp {
			continue
		}
		t = t.with(labels[i], a.Anomaly != nil)
	}
	return t
}

func (t tally) with(l label, alarm bool) tally {
	t.runs++
	switch l {
	case ordinary:
		t.ordinary++
		if alarm {
			t.falseAlarms++
		}
	case planted:
		t.planted++
		if alarm {
			t.found++
		}
	}
	return t
}

func (t tally) plus(o tally) tally {
	return tally{
		runs: t.runs + o.runs, ordinary: t.ordinary + o.ordinary, planted: t.planted + o.planted,
		found: t.found + o.found, falseAlarms: t.falseAlarms + o.falseAlarms,
	}
}

func (t tally) precision() float64 { return ratio(t.found, t.found+t.falseAlarms) }
func (t tally) recall() float64    { return ratio(t.found, t.planted) }
func (t tally) per500() float64    { return 500 * float64(t.falseAlarms) / float64(max(1, t.ordinary)) }

// ratio of nothing to nothing is 1: no alarm was false, no jump was missed.
func ratio(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}
