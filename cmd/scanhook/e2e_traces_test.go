//go:build otel

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/trace/tracetest"
)

// A push is one trace, whichever processes did something for it.
func TestPushIsOneTraceOverProcesses(t *testing.T) {
	collector := tracetest.NewCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	w, sample := setup(t, sandboxConfig{kind: "github"})
	w.release(t)
	partProcess(t, w, "--only=runner", "SECRET", "API_TOKEN")
	w.scanhook = partProcess(t, w, "--except=runner")
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
	id := strings.ReplaceAll(scansOf(t, w, sample.Head)[0].Ref, "-", "")
	for _, name := range []string{"receive", "scan gitleaks", "post status", "push"} {
		eventually(t, "the span "+name, func() (any, bool) {
			for _, span := range collector.Spans() {
				if span.GetName() == name && fmt.Sprintf("%x", span.GetTraceId()) == id {
					return nil, true
				}
			}
			return nil, false
		})
	}
}
