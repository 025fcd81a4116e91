package trace_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/trace"
)

const (
	ref = "1de76412-e8eb-5452-ab5f-cbc885cf0e97"
	id  = "1de76412e8eb5452ab5fcbc885cf0e97"
)

func from(environment map[string]string) (*trace.Tracer, error) {
	return trace.FromEnvironment(func(name string) (string, bool) { value, ok := environment[name]; return value, ok }, "1.2", slog.New(slog.DiscardHandler))
}

// stopped sends all that waits, as a process does that stops.
func stopped(t *testing.T, tracer *trace.Tracer) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tracer.Run(ctx)
}

func TestSpansOfAPushAreOneTrace(t *testing.T) {
	t.Parallel()
	calls := make(chan *http.Request, 4)
	bodies := make(chan string, 4)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- r
		bodies <- string(body)
	}))
	defer collector.Close()
	tracer, err := from(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL + "/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_RESOURCE_ATTRIBUTES": "team=blue",
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(7, 9)
	tracer.Record(trace.Span{Name: "scan lint", Ref: ref, Start: start, End: start.Add(time.Second), Failure: "lost", Attributes: map[string]string{"k": "v"}})
	tracer.Record(trace.Span{Name: "push", Ref: ref, Whole: true, Start: start, End: start.Add(time.Minute)})
	tracer.Record(trace.Span{Name: "of no scan", Ref: "x"})
	stopped(t, tracer)
	call, body := <-calls, <-bodies
	if call.URL.Path != "/v1/traces" || call.Header.Get("X-Key") != "a b" || call.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the call is %s with %v", call.URL, call.Header)
	}
	for _, want := range []string{
		`{"key":"service.name","value":{"stringValue":"scanhook"}},{"key":"service.version","value":{"stringValue":"1.2"}},{"key":"team","value":{"stringValue":"blue"}}`,
		`"parentSpanId":"1de76412e8eb5452","name":"scan lint","kind":1,"startTimeUnixNano":"7000000009","endTimeUnixNano":"8000000009",` +
			`"attributes":[{"key":"k","value":{"stringValue":"v"}}],"status":{"code":2,"message":"lost"}`,
		`{"traceId":"` + id + `","spanId":"1de76412e8eb5452","name":"push","kind":1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if n := strings.Count(body, `"traceId":"`+id); n != 2 || !json.Valid([]byte(body)) {
		t.Errorf("%d spans in %s", n, body)
	}
}

// What a collector did not take is sent again; too many spans push the oldest out.
func TestSpansWaitForTheCollector(t *testing.T) {
	t.Parallel()
	answer, got := http.StatusServiceUnavailable, 0
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.Count(string(body), `"name":"step"`)
		w.WriteHeader(answer)
	}))
	defer collector.Close()
	tracer, err := from(map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.URL})
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		tracer.Record(trace.Span{Name: "step", Ref: ref})
	}
	stopped(t, tracer)
	answer, got = http.StatusOK, 0
	stopped(t, tracer)
	if got != 2048 {
		t.Errorf("%d spans came, want the newest 2048", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	for name, test := range map[string]struct {
		environment map[string]string
		on          bool
		want        string
	}{
		"nothing":       {nil, false, ""},
		"an endpoint":   {map[string]string{endpoint: "http://127.0.0.1:4318", protocol: "http/protobuf"}, true, ""},
		"no exporter":   {map[string]string{endpoint: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"disabled":      {map[string]string{endpoint: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		"grpc":          {map[string]string{endpoint: "http://127.0.0.1:4317", protocol: "grpc"}, false, "use http/json, and the collector's port for HTTP, 4318"},
		"not a address": {map[string]string{endpoint: "127.0.0.1:4318"}, false, "must be an address such as"},
	} {
		tracer, err := from(test.environment)
		if (tracer != nil) != test.on || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", name, tracer != nil, err)
		}
	}
	var none *trace.Tracer
	none.Record(trace.Span{Ref: ref}) // as where nothing is configured
	none.Run(t.Context())
}

func TestRefIn(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"https://scan.example.com/sub/scans/" + ref: ref, "https://scan.example.com/projects/github/a/b": "", "": "", "/scans/x": "",
	} {
		if got := trace.RefIn(link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}
