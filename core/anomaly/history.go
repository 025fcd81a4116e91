package anomaly

import "math"

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
