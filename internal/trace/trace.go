// Package trace tells what happened to a push as one trace, for OpenTelemetry. The id of the trace is the reference of the
// scan, without its hyphens: every process knows it from the rows that it works on, so that their spans meet in one trace
// without anything being passed on. Reading order: trace.go, span.go (how it is written), environment.go (what is sent where).
package trace

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

const (
	lastTimeout = 2 * time.Second // for what is left when a process stops
	mostKept    = 2048            // spans that wait; the oldest give way
)

// Tracer sends spans to a collector. A nil Tracer sends none.
type Tracer struct {
	settings settings
	log      *slog.Logger
	mu       sync.Mutex
	waiting  []Span
}

// Record keeps a span until it is sent. It never blocks.
func (t *Tracer) Record(span Span) {
	if _, valid := traceID(span.Ref); t == nil || !valid {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, span)
	t.bound()
}

// bound drops the oldest spans of too many.
func (t *Tracer) bound() { t.waiting = t.waiting[max(0, len(t.waiting)-mostKept):] }

// Run sends spans until ctx ends, and then what is left.
func (t *Tracer) Run(ctx context.Context) {
	if t == nil {
		return
	}
	poll.Loop{Name: "traces", Every: t.settings.every, Once: t.flush, Log: t.log}.Run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	if _, err := t.flush(last); err != nil {
		t.log.Debug("the last spans are lost", "error", err)
	}
}

// flush sends what waits. What could not be sent waits on.
func (t *Tracer) flush(ctx context.Context) (worked bool, err error) {
	t.mu.Lock()
	spans := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	if len(spans) == 0 {
		return false, nil
	}
	if err := t.send(ctx, spans); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waiting = append(spans, t.waiting...)
		t.bound()
		return false, err
	}
	return false, nil
}
