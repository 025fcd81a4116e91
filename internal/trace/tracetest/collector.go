//go:build otel

package tracetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collected "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans as OTLP over HTTP.
type Collector struct {
	URL string

	mu    sync.Mutex
	calls []*http.Request
	got   []*wire.ResourceSpans
}

// NewCollector listens on loopback until the test ends.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// ServeHTTP takes one call.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request collected.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err != nil || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.got = append(c.calls, r), append(c.got, request.GetResourceSpans()...)
}

// Calls are all until now, without their bodies.
func (c *Collector) Calls() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Resources are the programs that sent spans, an entry for each call.
func (c *Collector) Resources() []*wire.ResourceSpans {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// Spans are all until now.
func (c *Collector) Spans() (spans []*wire.Span) {
	for _, program := range c.Resources() {
		for _, scope := range program.GetScopeSpans() {
			spans = append(spans, scope.GetSpans()...)
		}
	}
	return spans
}
