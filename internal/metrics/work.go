package metrics

import (
	"net/http"
	"strconv"
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

// ReadLimits passes calls to a platform on, and keeps what the answers say of its rate limit: the headers of GitHub, Gitea and
// GitLab. Platform is a key of the configuration.
func (m *Meter) ReadLimits(platform string, base http.RoundTripper) http.RoundTripper {
	if m == nil {
		return base
	}
	return limitReader{RoundTripper: base, left: m.limits.left.WithLabelValues, allowed: m.limits.allowed.WithLabelValues, platform: platform}
}

type limitReader struct {
	http.RoundTripper
	left, allowed func(...string) prometheus.Gauge // a platform that tells of no limit has no series
	platform      string
}

func (r limitReader) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return response, err
	}
	resource := response.Header.Get("X-RateLimit-Resource") // GitHub counts searches and the like apart
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		allowed, err1 := strconv.ParseFloat(response.Header.Get(prefix+"Limit"), 64)
		left, err2 := strconv.ParseFloat(response.Header.Get(prefix+"Remaining"), 64)
		if err1 == nil && err2 == nil && (resource == "" || resource == "core") {
			r.allowed(r.platform).Set(allowed)
			r.left(r.platform).Set(left)
			break
		}
	}
	return response, nil
}
