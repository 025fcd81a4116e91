// Package anomaly tells which pipeline runs their history does not explain. It has no I/O and knows only numbers: Assess
// compares one run with those before it, by robust statistics on logarithms.
package anomaly

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Measure is a quantity of a pipeline run that is checked for unusual values.
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
	Expected        bool     `db:"expected"` // a person marked the run's unusual values as the new level
}

// Range is where a measure is ordinary, in its unit. Low is 0 where only growth is unusual.
type Range struct{ Low, High float64 }

// Reading compares one measure of a run with the history.
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

// Assessment is the result for one run.
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
// Durations and bytes per file are unusual only when they grow: a fast run has a warm cache, and a low share per file
// comes from a large commit. An unusual run stays in the history, because medians tolerate it; after three runs at a new
// level the series has learned that level. A run that was marked as expected is the new level from the next run on.
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

// artifactGrowth is how much an artifact must have grown before its bytes per changed file can be unusual. Without it
// every small commit after large ones would be: the artifact is as large as ever, only the divisor shrank.
const artifactGrowth = 1.5

// of is the run's value in the measure's unit; ok is false where it is unknown or cannot be compared.
func (m Measure) of(run Point) (value float64, ok bool) {
	switch {
	case m == Duration && run.DurationSeconds != nil:
		value = *run.DurationSeconds
	case m == Artifact && run.ArtifactBytes != nil:
		value = float64(*run.ArtifactBytes)
	case m == BytesPerFile && run.ArtifactBytes != nil && run.ChangedFiles != nil && *run.ChangedFiles > 0:
		value = float64(*run.ArtifactBytes) / float64(*run.ChangedFiles)
	}
	return value, value > 0 && !math.IsInf(value, 1)
}

// bandFor is the band that the history gives for the run; ok is false while the history is too short.
func (m Measure) bandFor(history []Point, run Point) (band, bool) {
	b, ok := m.learn(history)
	if !ok || m != BytesPerFile || run.ChangedFiles == nil || *run.ChangedFiles < 1 {
		return b, ok
	}
	if artifact, known := Artifact.learn(history); known {
		b = b.upTo(artifact.median + math.Log(artifactGrowth/float64(*run.ChangedFiles)))
	}
	return b, ok
}

// learn goes through the history, oldest first. At a run that was marked as expected and is unusual in this measure the
// level starts anew. Measures of such a run that are as ever go on learning as if nothing had happened.
func (m Measure) learn(history []Point) (band, bool) {
	l := level{values: make([]float64, 0, len(history))}
	for _, run := range history {
		value, ok := m.of(run)
		if !ok {
			continue
		}
		x := math.Log(value)
		if run.Expected {
			l = l.after(m, x)
		}
		l.values = append(l.values, x)
	}
	return l.band(m)
}

// level is a stretch of a history without an expected change.
type level struct {
	values    []float64 // natural logarithms, oldest first
	inherited *float64  // noise of the level before, nil for the first one
}

// after is the level that an expected run at x belongs to: a new one when x is outside the old one's band.
func (l level) after(m Measure, x float64) level {
	b, ok := l.band(m)
	if !ok || b.score(x) < Threshold {
		return l
	}
	return level{inherited: &b.noise}
}

func (l level) band(m Measure) (band, bool) {
	window := l.values[max(0, len(l.values)-Window):]
	switch {
	case len(window) >= MinSamples:
		return newBand(m, window, 0), true
	case len(window) > 0 && l.inherited != nil:
		return newBand(m, window, *l.inherited), true
	}
	return band{}, false
}

// The setting of the anomaly score, chosen on the generated series of eval_test.go.
const (
	Threshold  = 3.0 // robust z-score from which a run is unusual
	Window     = 50  // runs that make up the history of a measure
	MinSamples = 20  // runs below which nothing is assessed
	History    = 2 * Window

	recentRuns     = 3   // runs that show a level which has just changed
	settledRuns    = 8   // runs after which a new level replaces the old one
	levelDistance  = 1.5 // how many times the noise such a level must be away from the window's median to count
	familiarRuns   = 4   // a value that occurs so often in the window is ordinary
	familiarMargin = 1.1 // how much above such a value is still familiar
	madToSigma     = 1.4826
)

// tolerance is the smallest growth and shrinkage, as factors, that can be unusual, even in a steady series. It is the
// lower limit of the relative change and, divided by the threshold, of the noise. Cold caches make twofold durations
// ordinary, so durations have a larger tolerance than artifacts. A shrinkage of +Inf is never unusual.
func (m Measure) tolerance() (growth, shrinkage float64) {
	switch m {
	case Artifact:
		return 2.25, 10
	case Duration:
		return 2.6, math.Inf(1)
	default:
		return 5, math.Inf(1)
	}
}

// band is the ordinary range of a measure; all its values are natural logarithms.
type band struct {
	median    float64 // of the window
	low, high float64 // the median and the recent level, in ascending order
	down, up  float64 // how far below low and above high a value is unusual; never 0, +Inf for never
	noise     float64
}

// newBand learns from values, oldest first, not empty. While they are fewer than MinSamples the noise is the
// inherited one.
//
// Two levels rather than one make a series that has moved (a level shift, the slope of a day) quiet after a few runs,
// not after half a window.
func newBand(m Measure, values []float64, inherited float64) band {
	sorted := ascending(values)
	b := band{median: middle(sorted), noise: inherited}
	if len(values) >= MinSamples {
		b.noise = noiseOf(values, b.median)
	}
	settled, recent := b.levelOf(values, settledRuns), b.levelOf(values, recentRuns)
	b.low, b.high = min(settled, recent), max(settled, recent)
	growth, shrinkage := m.tolerance()
	b.up = max(Threshold*b.noise, math.Log(growth))
	b.down = max(Threshold*b.noise, math.Log(shrinkage))
	return b.familiarWith(sorted)
}

// levelOf is the median of the last runs where it stands out from the noise around the window's, else the window's.
func (b band) levelOf(values []float64, runs int) float64 {
	level := median(values[max(0, len(values)-runs):])
	if math.Abs(level-b.median) < levelDistance*b.noise {
		return b.median
	}
	return level
}

// familiarWith widens the band to what the window has seen several times: every tenth build may be a full one.
func (b band) familiarWith(sorted []float64) band {
	if len(sorted) < MinSamples {
		return b
	}
	margin := math.Log(familiarMargin)
	b.down = max(b.down, b.low-sorted[familiarRuns-1]+margin)
	return b.upTo(sorted[len(sorted)-familiarRuns] + margin)
}

// upTo widens the band so that x is ordinary.
func (b band) upTo(x float64) band {
	b.up = max(b.up, x-b.high)
	return b
}

// score is Threshold at the edges of the band, 0 between its levels.
func (b band) score(x float64) float64 {
	return Threshold * max(0, (x-b.high)/b.up, (b.low-x)/b.down)
}

func (b band) read(m Measure, run Point) Reading {
	r := Reading{
		Measure:  m,
		Median:   finiteExp(b.median),
		Expected: Range{Low: finiteExp(b.low - b.down), High: finiteExp(b.high + b.up)},
	}
	if value, ok := m.of(run); ok {
		r.Value, r.Score = value, b.score(math.Log(value))
	}
	return r
}

// noiseOf is the robust standard deviation of values around their level. Where the series wanders, the distance of each
// value from the values just before it is the better witness, so the smaller of the two counts.
func noiseOf(values []float64, level float64) float64 {
	around, steps := make([]float64, len(values)), make([]float64, 0, len(values))
	for i, v := range values {
		around[i] = math.Abs(v - level)
		if i >= 3 {
			steps = append(steps, math.Abs(v-middleOf(values[i-3], values[i-2], values[i-1])))
		}
	}
	return madToSigma * min(median(around), median(steps))
}

func middleOf(a, b, c float64) float64 { return max(min(a, b), min(max(a, b), c)) }

func median(values []float64) float64 { return middle(ascending(values)) }

func ascending(values []float64) []float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func finiteExp(x float64) float64 { return min(math.Exp(x), math.MaxFloat64) }

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
