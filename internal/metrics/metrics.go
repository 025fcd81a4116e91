// Package metrics counts what happens, for Prometheus to fetch. Other packages get a Meter and call the method for what
// they did; a nil Meter counts nothing.
//
// Labels come from the configuration, from the code or from fixed lists, never from a request, so that no client can
// create series.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
}

// New returns a meter with the metrics of the process and of the Go runtime. Version is that of Scanhook.
func New(version string) *Meter {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "scanhook_build_info", Help: "Always 1; the labels name what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return &Meter{
		registry: registry,
		webhooks: newWebhooks(registry), requests: newRequests(registry), posts: newPosts(registry),
	}
}

// Add adds a collector to each scrape. Two collectors with the same metrics cannot be added.
func (m *Meter) Add(collector prometheus.Collector) error { return m.registry.Register(collector) }

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
