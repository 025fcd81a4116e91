package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
