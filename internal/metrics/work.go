package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// JobOutcome is how a job ended that ran here.
type JobOutcome string

// The outcomes of a job.
const (
	JobDone    JobOutcome = "done"
	JobFailed  JobOutcome = "failed"
	JobRetried JobOutcome = "retried"
)

// JobEnded records how long a job took. Scanner is a key of the configuration.
func (m *Meter) JobEnded(scanner string, outcome JobOutcome, took time.Duration) {
	if m != nil {
		m.jobs.WithLabelValues(scanner, string(outcome)).Observe(took.Seconds())
	}
}

// limits are what platforms said last of the calls that they allow.
type limits struct{ left, allowed *prometheus.GaugeVec }

func newLimits(registry *prometheus.Registry) limits {
	gauge := func(name, help string) *prometheus.GaugeVec {
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "scanhook_platform_calls_" + name, Help: help}, []string{"platform"})
		registry.MustRegister(vec)
		return vec
	}
	return limits{
		left:    gauge("left", "Calls that a platform still allows in its present period, as its last answer said."),
		allowed: gauge("allowed", "Calls that a platform allows in a period, as its last answer said."),
	}
}

// CallsLeft keeps what a platform said last of the calls that it allows. Platform is a key of the configuration; one that tells of no limit
// has no series.
func (m *Meter) CallsLeft(platform string, left, allowed int64) {
	if m != nil {
		m.limits.allowed.WithLabelValues(platform).Set(float64(allowed))
		m.limits.left.WithLabelValues(platform).Set(float64(left))
	}
}
