//go:build !otel

package trace_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/trace"
)

// Who configures a collector is told that this binary cannot speak to it.
func TestBinaryWithoutOpenTelemetrySaysSo(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint, disabled string
		want               bool
	}{
		"nothing": {"", "", false}, "an endpoint": {"http://127.0.0.1:4318", "", true}, "disabled": {"http://127.0.0.1:4318", "TRUE", false},
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", test.endpoint)
		t.Setenv("OTEL_SDK_DISABLED", test.disabled)
		tracer, err := trace.FromEnvironment(t.Context(), "1.2", slog.New(slog.DiscardHandler))
		if tracer != nil || (err != nil) != test.want || err != nil && !strings.Contains(err.Error(), "make build TAGS=otel") {
			t.Errorf("%s: %v, %v", name, tracer, err)
		}
		tracer.Record(trace.Span{})
		tracer.Run(t.Context())
		tracer.Close()
	}
}
