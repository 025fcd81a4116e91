package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scanhook/scanhook/core"
)

// waits are from seconds to a day, because a scan that waits for CI takes long.
var waits = []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600}

type posts struct {
	attempts, states, pauses, paused *prometheus.CounterVec
	waits                            *prometheus.HistogramVec
}

func newPosts(registry *prometheus.Registry) posts {
	return posts{
		attempts: counter(registry, "status_posts_total", "Attempts to post a commit status, by how they ended.",
			"platform", "outcome"),
		states: counter(registry, "statuses_posted_total", "Commit statuses that the platform has accepted.",
			"platform", "state"),
		pauses: counter(registry, "platform_rate_limits_total", "Times that a platform asked for a pause.", "platform"),
		paused: counter(registry, "platform_rate_limit_seconds_total",
			"Seconds of pause that a platform has asked for.", "platform"),
		waits: histogram(registry, "push_to_status_seconds",
			"Time from receiving a push to posting its first final status.", waits, "platform"),
	}
}

// PostOutcome is how an attempt to post a commit status ended.
type PostOutcome string

// The outcomes of a post. All but the first and the last are tried again.
const (
	Posted        PostOutcome = "posted"
	RateLimited   PostOutcome = "rate_limited"
	TooEarly      PostOutcome = "too_early"
	UnknownCommit PostOutcome = "unknown_commit"
	NoToken       PostOutcome = "no_token"
	Denied        PostOutcome = "denied" // the token lacks the permission
	PostFailed    PostOutcome = "failed"
	GivenUp       PostOutcome = "given_up"
)

// TriedToPost counts an attempt.
func (m *Meter) TriedToPost(status core.Status, outcome PostOutcome) {
	if m == nil {
		return
	}
	m.posts.attempts.WithLabelValues(status.SourcePlatform, string(outcome)).Inc()
	if outcome == Posted {
		m.posts.states.WithLabelValues(status.SourcePlatform, string(status.State)).Inc()
	}
}

// Paused counts that a platform wants no calls for a while.
func (m *Meter) Paused(platform string, pause time.Duration) {
	if m != nil {
		m.posts.pauses.WithLabelValues(platform).Inc()
		m.posts.paused.WithLabelValues(platform).Add(pause.Seconds())
	}
}

// FirstFinal records how long a commit waited for its first final status.
func (m *Meter) FirstFinal(platform string, wait time.Duration) {
	if m != nil {
		m.posts.waits.WithLabelValues(platform).Observe(wait.Seconds())
	}
}
