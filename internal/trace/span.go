package trace

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Span is a step of a push.
type Span struct {
	Name       string
	Ref        string // reference id of the scan; a span without a valid one is left out
	Whole      bool   // the span of the whole push, below which all others are
	Start, End time.Time
	Failure    string // why it failed, or empty
	Attributes map[string]string
}

const idSize = 16 // bytes of a trace's id

// RefIn is the reference of the scan that a link of a commit status leads to, or empty.
func RefIn(link string) string {
	_, ref, _ := strings.Cut(link, "/scans/")
	if _, valid := traceID(ref); !valid {
		return ""
	}
	return ref
}

// traceID is a reference as the id of a trace, in hexadecimal.
func traceID(ref string) (id string, valid bool) {
	id = strings.ToLower(strings.ReplaceAll(ref, "-", ""))
	bytes, err := hex.DecodeString(id)
	return id, err == nil && len(bytes) == idSize
}

// spanID is that of the whole push, which all processes can tell, or a new one.
func (s Span) spanID() string {
	if s.Whole {
		return s.wholeID()
	}
	fresh := make([]byte, idSize/2)
	_, _ = rand.Read(fresh) // which never fails
	return hex.EncodeToString(fresh)
}

func (s Span) wholeID() string {
	id, _ := traceID(s.Ref)
	return id[:idSize]
}

// The messages of OTLP over HTTP, in JSON, as far as they are used:
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
type (
	message struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope      `json:"scope"`
		Spans []wireSpan `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	wireSpan struct {
		TraceID    string      `json:"traceId"`
		SpanID     string      `json:"spanId"`
		ParentID   string      `json:"parentSpanId,omitempty"`
		Name       string      `json:"name"`
		Kind       int         `json:"kind"`
		Start      string      `json:"startTimeUnixNano"`
		End        string      `json:"endTimeUnixNano"`
		Attributes []attribute `json:"attributes"`
		Status     wireStatus  `json:"status"`
	}
	wireStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message,omitempty"`
	}
	attribute struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		Text string `json:"stringValue"`
	}
)

const (
	kindInternal = 1
	codeError    = 2
)

func wired(span Span) wireSpan {
	id, _ := traceID(span.Ref)
	w := wireSpan{
		TraceID: id, SpanID: span.spanID(), Name: span.Name, Kind: kindInternal, Start: nanoseconds(span.Start), End: nanoseconds(span.End),
		Attributes: attributes(span.Attributes),
	}
	if !span.Whole {
		w.ParentID = span.wholeID()
	}
	if span.Failure != "" {
		w.Status = wireStatus{codeError, span.Failure}
	}
	return w
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func attributes(values map[string]string) []attribute {
	list := []attribute{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, attribute{key, value{values[key]}})
	}
	return list
}

// send makes one call.
func (t *Tracer) send(ctx context.Context, spans []Span) error {
	scoped := scopeSpans{Scope: scope{"scanhook"}}
	for _, span := range spans {
		scoped.Spans = append(scoped.Spans, wired(span))
	}
	body, err := json.Marshal(message{[]resourceSpans{{resource{attributes(t.settings.resource)}, []scopeSpans{scoped}}}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.settings.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.settings.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = t.settings.headers.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("sending spans: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("sending spans: %s answered %d: does it take OTLP in JSON there?", t.settings.endpoint, response.StatusCode)
	}
	return nil
}
