// Package metrics counts what happens, for Prometheus to fetch. Other packages get a Meter and call the method for what
// they did; a nil Meter counts nothing.
//
// Labels come from the configuration, from the code or from fixed lists, never from a request, so that no client can
// create series.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/scanhook/scanhook/core"
)

const (
	scrapesAtOnce = 4
	scrapeTimeout = 10 * time.Second
)

// Meter holds the counters of one process.
type Meter struct {
	registry *prometheus.Registry
	webhooks webhooks
	requests requests
	posts    posts
	jobs     *prometheus.HistogramVec
	limits   limits
}

// Build is what is running.
type Build struct {
	Version   string
	Migration string // the newest that it brings, by its number
}

// New returns a meter with the metrics of the process and of the Go runtime.
func New(running Build) *Meter {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "scanhook_build_info", Help: "Always 1; the labels name what is running.",
		ConstLabels: prometheus.Labels{"version": running.Version, "go": runtime.Version(), "migration": running.Migration},
	})
	build.Set(1)
	registry.MustRegister(
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return &Meter{
		registry: registry,
		webhooks: newWebhooks(registry), requests: newRequests(registry), posts: newPosts(registry), limits: newLimits(registry),
		jobs: histogram(registry, "job_seconds", "Time that jobs took which ran here, by how they ended: done, failed, retried.", waits,
			"scanner", "outcome"),
	}
}

// Add adds a collector to each scrape. Two collectors with the same metrics cannot be added.
func (m *Meter) Add(collector prometheus.Collector) error { return m.registry.Register(collector) }

// Describe sends what there is to count, also where nothing was counted yet. What Add added is not among it.
func (m *Meter) Describe(to chan<- *prometheus.Desc) { m.registry.Describe(to) }

// Handler answers scrapes, in the text format or in another one that the scraper prefers.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout, ErrorHandling: promhttp.ContinueOnError,
	})
}

// counter registers a counter with labels.
func counter(registry *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scanhook_" + name, Help: help}, labels)
	registry.MustRegister(vec)
	return vec
}

// histogram registers a histogram with labels.
func histogram(registry *prometheus.Registry, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scanhook_" + name, Help: help, Buckets: buckets}, labels)
	registry.MustRegister(vec)
	return vec
}

// OutcomeFailed is that of a call that was not stored, besides those of core. The platform was asked to send it again.
const OutcomeFailed core.Outcome = "failed"

type webhooks struct{ deliveries, refused *prometheus.CounterVec }

func newWebhooks(registry *prometheus.Registry) webhooks {
	return webhooks{
		deliveries: counter(registry, "webhook_deliveries_total",
			"Webhook calls with a valid signature, by outcome.", "platform", "event", "outcome"),
		refused: counter(registry, "webhook_refused_total", "Webhook calls with a wrong signature or none.", "platform"),
	}
}

// Delivered counts an authentic webhook call. Platform is a key of the configuration; event may be nil.
func (m *Meter) Delivered(platform string, event core.Event, outcome core.Outcome) {
	if m != nil {
		m.webhooks.deliveries.WithLabelValues(platform, eventName(event), string(outcome)).Inc()
	}
}

// Refused counts a webhook call that could not be verified. Platform is a key of the configuration.
func (m *Meter) Refused(platform string) {
	if m != nil {
		m.webhooks.refused.WithLabelValues(platform).Inc()
	}
}

func eventName(event core.Event) string {
	switch event.(type) {
	case core.Push:
		return "push"
	case core.Pipeline:
		return "pipeline"
	}
	return "other"
}

var (
	durations = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30} // seconds
	sizes     = prometheus.ExponentialBuckets(1<<10, 4, 10)                                           // 1 KiB to 256 MiB
)

type requests struct {
	answered          *prometheus.CounterVec
	durations, sizes  *prometheus.HistogramVec
	inFlight, arrived prometheus.Gauge
}

func newRequests(registry *prometheus.Registry) requests {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "scanhook_http_" + name, Help: help})
		registry.MustRegister(g)
		return g
	}
	return requests{
		answered: counter(registry, "http_requests_total", "Requests answered.", "method", "route", "code"),
		durations: histogram(registry, "http_request_duration_seconds",
			"Time from a request's headers to the end of its answer; event streams are left out.", durations,
			"method", "route"),
		sizes: histogram(registry, "http_request_body_bytes",
			"Bytes on the wire of the bodies that were read: webhook calls, uploaded reports.", sizes, "method", "route"),
		inFlight: gauge("bodies_in_flight", "Requests with a body that are being answered."),
		arrived:  gauge("body_bytes_in_flight", "Bytes read so far of the bodies of requests that are being answered."),
	}
}

// Request is a request that was answered.
type Request struct {
	Method   string
	Route    string // as it was registered, with its parameters' names; empty for unknown paths
	Code     int
	Took     time.Duration
	Body     int64 // bytes read
	Streamed bool  // the client decided when the answer ended
}

// Answered counts a request.
func (m *Meter) Answered(r Request) {
	if m == nil {
		return
	}
	method, route := known(r.Method), r.Route
	if route == "" {
		route = "none"
	}
	m.requests.answered.WithLabelValues(method, route, strconv.Itoa(r.Code)).Inc()
	if !r.Streamed {
		m.requests.durations.WithLabelValues(method, route).Observe(r.Took.Seconds())
	}
	if r.Body > 0 {
		m.requests.sizes.WithLabelValues(method, route).Observe(float64(r.Body))
	}
}

// Bodies counts requests with a body that began, or that ended if n is negative.
func (m *Meter) Bodies(n int) {
	if m != nil {
		m.requests.inFlight.Add(float64(n))
	}
}

// Arriving counts bytes of bodies that have arrived, or whose request has ended if the number is negative.
func (m *Meter) Arriving(bytes int64) {
	if m != nil {
		m.requests.arrived.Add(float64(bytes))
	}
}

// known replaces methods that clients have invented.
func known(method string) string {
	if slices.Contains([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions,
	}, method) {
		return method
	}
	return "other"
}

// waits are from seconds to a day, because a scan that waits for CI takes long.
var waits = []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600}

type posts struct {
	attempts, states, contested, pauses, paused *prometheus.CounterVec
	waits                                       *prometheus.HistogramVec
}

func newPosts(registry *prometheus.Registry) posts {
	return posts{
		attempts: counter(registry, "status_posts_total", "Attempts to post a commit status, by how they ended.",
			"platform", "outcome"),
		states: counter(registry, "statuses_posted_total", "Commit statuses that the platform has accepted.",
			"platform", "state"),
		contested: counter(registry, "statuses_contested_total",
			"Commit statuses that were posted again because another program had replaced them a second time or more.", "platform"),
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
	if outcome == Posted && status.Restores() && status.Contested() {
		m.posts.contested.WithLabelValues(status.SourcePlatform).Inc()
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
