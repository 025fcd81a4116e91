// Package anomaly tells which pipeline runs their history does not explain. It has no I/O and knows only numbers: Assess
// compares one run with those before it, by robust statistics on logarithms. Reading order: anomaly.go, history.go, band.go,
// reason.go.
package anomaly

import (
	"cmp"
	"slices"
)

// Measure is one side of a pipeline run that is watched for unusual values.
type Measure string

// The measures of a run.
const (
	Artifact     Measure = "artifact"       // bytes of all artifacts together
	Duration     Measure = "duration"       // seconds
	BytesPerFile Measure = "bytes_per_file" // artifact bytes divided by the changed files of the commit
)

// Measures lists all measures; equal deviations are named in this order.
var Measures = []Measure{Artifact, Duration, BytesPerFile}

// Point is one successful pipeline run as a point of a series. A series is what its caller groups: one project, one
// pipeline name, one branch class, oldest run first. Nil is unknown, and so is a measure that is not finite and above
// zero: a run without artifacts has no size to compare. A truncated count of changed files belongs in as nil.
type Point struct {
	DurationSeconds *float64 `db:"build_duration_seconds"`
	ArtifactBytes   *int64   `db:"artifact_size_bytes"`
	ChangedFiles    *int     `db:"num_changed_files"`
	Expected        bool     `db:"expected"` // a person said that what is unusual in this run is the new level
}

// Range is where in which a measure is ordinary, in the measure's unit. Low is 0 where only growth is unusual.
type Range struct{ Low, High float64 }

// Reading is what the history says about one measure of a run.
type Reading struct {
	Measure  Measure
	Value    float64 // in the measure's unit, 0 where the run does not know it
	Median   float64 // of the history, in the measure's unit
	Expected Range
	Score    float64 // robust z-score, finite and never negative; Threshold and above is unusual
}

// Unusual tells whether the value lies outside the expected range.
func (r Reading) Unusual() bool { return r.Score >= Threshold }

// Anomaly is a run that its history does not explain.
type Anomaly struct {
	Score    float64 // of the measure that deviates most
	Measure  Measure // the one that deviates most
	Expected Range   // of that measure
	Reason   string  // numbers that a person can judge: "artifact 41 MB → 169 MB (+312 %) with 1 file changed"
}

// Assessment is all that can be said of one run.
type Assessment struct {
	Readings []Reading // at most one per measure, none for a measure whose history is too short
	Anomaly  *Anomaly  // nil for an ordinary run
}

// Score is the largest score of the readings, nil when nothing about the run could be judged.
func (a Assessment) Score() *float64 {
	var largest *float64
	for _, r := range a.Readings {
		if r.Value > 0 && (largest == nil || r.Score > *largest) {
			largest = &r.Score
		}
	}
	return largest
}

// Assess compares a run with the runs before it, oldest first, of which the last History suffice.
//
// Artifacts are unusual when they grow (something was put in) and when little is left of them (something was replaced).
// Durations and bytes per file are unusual only when they grow: a fast run is a warm cache, a low share per file a
// large commit. A run that nobody marked as expected stays in the history: medians bear it, and when a third run
// follows at the new level the series has learned it. One that was marked is the new level from the next run on.
func Assess(history []Point, run Point) Assessment {
	var a Assessment
	for _, m := range Measures {
		if b, ok := m.bandFor(history, run); ok {
			a.Readings = append(a.Readings, b.read(m, run))
		}
	}
	a.Anomaly = greatest(a.Readings, run)
	return a
}

// AssessSeries assesses every run of a series, oldest first, against the runs before it.
func AssessSeries(runs []Point) []Assessment {
	assessments := make([]Assessment, len(runs))
	for i, run := range runs {
		assessments[i] = Assess(runs[max(0, i-History):i], run)
	}
	return assessments
}

func greatest(readings []Reading, run Point) *Anomaly {
	var unusual []Reading
	for _, r := range readings {
		if r.Unusual() {
			unusual = append(unusual, r)
		}
	}
	if len(unusual) == 0 {
		return nil
	}
	slices.SortStableFunc(unusual, func(a, b Reading) int { return cmp.Compare(b.Score, a.Score) })
	worst := unusual[0]
	return &Anomaly{
		Score:    worst.Score,
		Measure:  worst.Measure,
		Expected: worst.Expected,
		Reason:   reasonFor(unusual, run.ChangedFiles),
	}
}
