//go:build otel

package trace

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

const lastTimeout = 2 * time.Second // for what is left when a process stops

// Tracer sends spans to a collector. A nil Tracer sends none.
type Tracer struct {
	provider *sdk.TracerProvider
	log      *slog.Logger
}

// FromEnvironment reads OpenTelemetry's standard variables, most of which its SDK follows by itself. The tracer is nil where they
// name no endpoint, or switch tracing off. Version is that of the program.
func FromEnvironment(ctx context.Context, version string, log *slog.Logger) (*Tracer, error) {
	if !isAskedFor() {
		return nil, nil
	}
	if cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")) == "grpc" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL is grpc, which is not spoken here: use http/protobuf, and the collector's port for HTTP, 4318")
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	program, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "scanhook"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were not sent", "error", err) }))
	return &Tracer{log: log, provider: sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(program),
		sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(generator{}))}, nil
}

// Record keeps a span until it is sent. It never blocks.
func (t *Tracer) Record(span Span) {
	id, valid := traceID(span.Ref)
	if t == nil || !valid {
		return
	}
	ctx := context.WithValue(context.Background(), wholePush{}, id)
	if !span.Whole {
		ctx = api.ContextWithRemoteSpanContext(context.Background(), api.NewSpanContext(api.SpanContextConfig{
			TraceID: id, SpanID: wholeID(id), TraceFlags: api.FlagsSampled, Remote: true,
		}))
	}
	var attributes []attribute.KeyValue
	for key, value := range span.Attributes {
		attributes = append(attributes, attribute.String(key, value))
	}
	_, step := t.provider.Tracer("scanhook").Start(ctx, span.Name, api.WithTimestamp(span.Start), api.WithAttributes(attributes...))
	if span.Failure != "" {
		step.SetStatus(codes.Error, span.Failure)
	}
	step.End(api.WithTimestamp(span.End))
}

// Run waits until ctx ends, and then closes.
func (t *Tracer) Run(ctx context.Context) {
	if t != nil {
		<-ctx.Done()
		t.Close()
	}
}

// Close sends what is left, and ends what works behind the tracer. It may be called again.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	last, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	if err := t.provider.Shutdown(last); err != nil {
		t.log.Debug("the last spans are lost", "error", err)
	}
}

// wholePush is the key of a trace's id in the context of the span of a whole push.
type wholePush struct{}

// wholeID is the id of the span of a whole push, which all processes can tell.
func wholeID(id api.TraceID) api.SpanID { return api.SpanID(id[:8]) }

// generator makes the ids of spans.
type generator struct{}

// NewIDs are those of a whole push.
func (generator) NewIDs(ctx context.Context) (api.TraceID, api.SpanID) {
	id, _ := ctx.Value(wholePush{}).([idSize]byte)
	return id, wholeID(id)
}

// NewSpanID is a new one.
func (generator) NewSpanID(context.Context, api.TraceID) (id api.SpanID) {
	_, _ = rand.Read(id[:]) // which never fails
	return id
}
