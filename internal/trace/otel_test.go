//go:build otel

package trace_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/trace"
	"github.com/scanhook/scanhook/internal/trace/tracetest"
)

func TestSpansOfAPushAreOneTrace(t *testing.T) {
	collector := tracetest.NewCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL+"/")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
	tracer, err := trace.FromEnvironment(t.Context(), "1.2", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(7, 9)
	tracer.Record(trace.Span{Name: "scan lint", Ref: ref, Start: start, End: start.Add(time.Second), Failure: "lost", Attributes: map[string]string{"k": "v"}})
	tracer.Record(trace.Span{Name: "push", Ref: ref, Whole: true, Start: start, End: start.Add(time.Minute)})
	tracer.Record(trace.Span{Name: "of no scan", Ref: "x"})
	ended, end := context.WithCancel(t.Context())
	end()
	tracer.Run(ended)
	tracer.Close() // as of an app whose loops have ended
	tracer.Record(trace.Span{Name: "too late", Ref: ref})
	tracer.Close()

	if calls := collector.Calls(); len(calls) != 1 || calls[0].URL.Path != "/v1/traces" || calls[0].Header.Get("X-Key") != "a b" {
		t.Errorf("%d calls, the first is %+v", len(calls), calls)
	}
	if got := fmt.Sprint(collector.Resources()[0].GetResource()); !strings.Contains(got, "scanhook") || !strings.Contains(got, "1.2") || !strings.Contains(got, "blue") {
		t.Errorf("the program is %s", got)
	}
	spans := collector.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	step, whole := spans[0], spans[1]
	if id := strings.ReplaceAll(ref, "-", ""); fmt.Sprintf("%x", step.GetTraceId()) != id || fmt.Sprintf("%x", whole.GetTraceId()) != id {
		t.Errorf("the traces are %x and %x, want %s", step.GetTraceId(), whole.GetTraceId(), id)
	}
	if string(step.GetParentSpanId()) != string(whole.GetSpanId()) || len(whole.GetParentSpanId()) > 0 {
		t.Errorf("the step is below %x, the push is %x below %x", step.GetParentSpanId(), whole.GetSpanId(), whole.GetParentSpanId())
	}
	if step.GetStartTimeUnixNano() != 7_000_000_009 || step.GetEndTimeUnixNano() != 8_000_000_009 || step.GetStatus().GetMessage() != "lost" {
		t.Errorf("the step is %v", step)
	}
}

func TestEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint, protocol, exporter string
		on                           bool
		want                         string
	}{
		"nothing":     {"", "", "", false, ""},
		"an endpoint": {"http://127.0.0.1:4318", "http/protobuf", "", true, ""},
		"no exporter": {"http://127.0.0.1:4318", "", "none", false, ""},
		"grpc":        {"http://127.0.0.1:4317", "grpc", "", false, "use http/protobuf, and the collector's port for HTTP, 4318"},
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", test.endpoint)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
		t.Setenv("OTEL_TRACES_EXPORTER", test.exporter)
		tracer, err := trace.FromEnvironment(t.Context(), "1.2", slog.New(slog.DiscardHandler))
		if (tracer != nil) != test.on || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", name, tracer != nil, err)
		}
	}
	var none *trace.Tracer
	none.Record(trace.Span{Ref: ref}) // as where nothing is configured
	none.Run(t.Context())
	none.Close()
}
