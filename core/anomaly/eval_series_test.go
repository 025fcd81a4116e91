package anomaly_test

import (
	"math"
	"math/rand/v2"
)

// shape is a factor per run around 1: the ordinary life of a measure before anything is planted.
type shape func(r *rand.Rand, runs int) []float64

// kind is a sort of series that the evaluation plants jumps into.
type kind struct {
	name   string
	shape  shape
	shifts int  // every so many runs the level jumps, alternately up and back; 0 for never
	hard   bool // jumps drown in what is ordinary here: reported, held to no threshold
}

func kinds() []kind {
	return []kind{
		{name: "steady, no noise", shape: noise(0)},
		{name: "steady, 1 % noise", shape: noise(0.01)},
		{name: "log-normal 0.05", shape: noise(0.05)},
		{name: "log-normal 0.1", shape: noise(0.1)},
		{name: "log-normal 0.2", shape: noise(0.2)},
		{name: "weekend ×1.5", shape: product(noise(0.1), weekend(8, 1.5))},
		{name: "weekend ×0.6", shape: product(noise(0.1), weekend(12, 0.6))},
		{name: "drift ×4 in 1000", shape: product(noise(0.1), drift(4))},
		{name: "drift ÷4 in 1000", shape: product(noise(0.1), drift(0.25))},
		{name: "Student t3 0.1", shape: student(3, 0.1)},
		{name: "Student t4 0.1", shape: student(4, 0.1)},
		{name: "5 % cold ×1.5–2", shape: product(noise(0.1), coldCache(0.05, 1.5, 2))},
		{name: "level shifts", shape: noise(0.1), shifts: 250},
		{name: "day of 288, ±42 %", shape: product(wander(0.8, 0.1), wave(0.35, 288))},
		{name: "wandering 0.2", shape: wander(0.95, 0.2)},
		{name: "log-normal 0.3", shape: noise(0.3), hard: true},
		{name: "Student t3 0.15", shape: student(3, 0.15), hard: true},
		{name: "10 % cold ×1.5–2.5", shape: product(noise(0.1), coldCache(0.1, 1.5, 2.5)), hard: true},
		{name: "day of 24, ±42 %", shape: product(noise(0.1), wave(0.35, 24)), hard: true},
		{name: "day of 288, ×÷2", shape: product(wander(0.8, 0.1), wave(0.7, 288)), hard: true},
	}
}

// each makes a shape of a function of the run's number.
func each(factor func(r *rand.Rand, i, runs int) float64) shape {
	return func(r *rand.Rand, runs int) []float64 {
		factors := make([]float64, runs)
		for i := range factors {
			factors[i] = factor(r, i, runs)
		}
		return factors
	}
}

func noise(sigma float64) shape {
	return each(func(r *rand.Rand, _, _ int) float64 { return math.Exp(sigma * r.NormFloat64()) })
}

// student has heavier tails the fewer degrees of freedom it has.
func student(freedom int, scale float64) shape {
	return each(func(r *rand.Rand, _, _ int) float64 {
		squares := 0.0
		for range freedom {
			squares += math.Pow(r.NormFloat64(), 2)
		}
		return math.Exp(scale * r.NormFloat64() / math.Sqrt(squares/float64(freedom)))
	})
}

func coldCache(share, low, high float64) shape {
	return each(func(r *rand.Rand, _, _ int) float64 {
		if r.Float64() >= share {
			return 1
		}
		return low + (high-low)*r.Float64()
	})
}

func weekend(runsPerDay int, factor float64) shape {
	return each(func(_ *rand.Rand, i, _ int) float64 {
		if i/runsPerDay%7 < 5 {
			return 1
		}
		return factor
	})
}

func drift(total float64) shape {
	return each(func(_ *rand.Rand, i, runs int) float64 { return math.Pow(total, float64(i)/float64(runs)) })
}

func wave(amplitude float64, period int) shape {
	return func(r *rand.Rand, runs int) []float64 {
		phase := 2 * math.Pi * r.Float64()
		return each(func(_ *rand.Rand, i, _ int) float64 {
			return math.Exp(amplitude * math.Sin(phase+2*math.Pi*float64(i)/float64(period)))
		})(r, runs)
	}
}

// wander is noise with a memory: each value keeps a share of the one before.
func wander(memory, sigma float64) shape {
	return func(r *rand.Rand, runs int) []float64 {
		x := 0.0
		return each(func(r *rand.Rand, _, _ int) float64 {
			x = memory*x + sigma*math.Sqrt(1-memory*memory)*r.NormFloat64()
			return math.Exp(x)
		})(r, runs)
	}
}

func product(a, b shape) shape {
	return func(r *rand.Rand, runs int) []float64 {
		factors := a(r, runs)
		for i, f := range b(r, runs) {
			factors[i] *= f
		}
		return factors
	}
}
