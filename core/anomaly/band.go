package anomaly

import (
	"math"
	"slices"
)

// The setting of the anomaly score, chosen on the generated series of eval_test.go.
const (
	Threshold  = 3.0 // robust z-score from which a run is unusual
	Window     = 50  // runs that make up the history of a measure
	MinSamples = 20  // runs below which nothing is said
	History    = 2 * Window

	recentRuns     = 3   // runs that show a level which has just changed
	settledRuns    = 8   // runs after which a level is the only one
	levelDistance  = 1.5 // how many times the noise such a level must be away from the window's median to count
	familiarRuns   = 4   // a value that the window has seen so often is ordinary, however rare
	familiarMargin = 1.1 // how much above such a value is still familiar
	madToSigma     = 1.4826
)

// tolerance is the smallest growth and shrinkage, as factors, that can be unusual however steady the series is. It is
// the floor on the relative change and, divided by the threshold, the floor on the noise. Caches that went cold make
// twofold durations ordinary, so durations bear more than artifacts. Shrinkage of 1 would be any, +Inf is none.
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
