package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	// maxQueue is how many requests wait for a slot of one class. They hold hardly any memory yet, and the queue has room
	// for as many as there are connections, so that stalled senders do not make others get core.ErrBusy.
	maxQueue = 1024

	// firstRead is the size in bytes of the slot that a request gets first. Most webhooks' bodies are not much larger.
	firstRead = 8 << 10

	// unreadTime is how long the rest of a body that is not read may take to arrive.
	unreadTime = 2 * time.Second
)

// Bodies bounds the memory of all request bodies together. Each size has slots of its own, so that small bodies pass
// while large ones wait for each other. A request waits a short time for a slot, then it gets core.ErrBusy. Stalled
// senders are aborted while others wait.
type Bodies struct {
	classes []slots
	wait    time.Duration
}

// Class is how many request bodies of a size may be in memory at once.
type Class struct {
	UpTo   int64 // bytes; each class takes larger bodies than the one before it
	AtOnce int
}

type slots struct {
	Class
	taken, queue chan struct{}
	transfers    *Transfers // of the bodies that hold such a slot
}

// NewBodies has the given classes, smallest first; wait is how long a request may wait for a slot.
func NewBodies(wait time.Duration, classes ...Class) *Bodies {
	b := &Bodies{wait: wait}
	for _, c := range classes {
		b.classes = append(b.classes, slots{
			c, make(chan struct{}, c.AtOnce), make(chan struct{}, maxQueue), new(Transfers),
		})
	}
	return b
}

// largest is the size of the largest body that is taken at all.
func (b *Bodies) largest() int64 { return b.classes[len(b.classes)-1].UpTo }

// Slot is the share of the memory that one request holds. It belongs to one goroutine.
type Slot struct {
	bodies   *Bodies
	class    int       // -1 while it holds nothing
	abort    func()    // ends the body's transfer; nil where there is none
	transfer *Transfer // nil while none is under way
}

// Slot returns an empty slot; Release must follow.
func (b *Bodies) Slot() *Slot { return &Slot{bodies: b, class: -1} }

// Read reads a request's whole body, and never further than the slot allows; the caller releases the slot when nothing
// refers to the body any more. A sender gets the time limit for the beginning, and again with each larger slot.
//
// Errors are those of Grow, and core.ErrInvalid for a body that ended early or came too slowly.
func (s *Slot) Read(w http.ResponseWriter, r *http.Request, limit time.Duration) (body []byte, err error) {
	largest := s.bodies.largest()
	if r.ContentLength > largest {
		return nil, s.Grow(r.Context(), r.ContentLength)
	}
	connection := http.NewResponseController(w)
	s.abort = func() { _ = connection.SetReadDeadline(time.Now()) }
	defer func() {
		s.arrived()
		if err != nil {
			LeaveUnread(w)
			return
		}
		_ = connection.SetReadDeadline(time.Time{}) // a deadline that passes later would end the request's context
	}()
	source := http.MaxBytesReader(w, r.Body, largest)
	size := int64(firstRead)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	for whole := false; ; size = s.nextSize(r.ContentLength) {
		if err := s.Grow(r.Context(), min(size, largest)); err != nil {
			return nil, err
		}
		_ = connection.SetReadDeadline(time.Now().Add(limit)) // fails only in tests without a connection
		if body, whole, err = s.fill(body, source, int(size)); err != nil {
			return nil, bodyError(err)
		}
		if whole || int64(len(body)) == r.ContentLength {
			return body, nil
		}
	}
}

// nextSize is how far a body that goes on may be read: to the end that it has declared, or through the next class and,
// after the last one, to the byte that is too much.
func (s *Slot) nextSize(declared int64) int64 {
	if declared >= 0 {
		return declared
	}
	if next := s.class + 1; next < len(s.bodies.classes) {
		return s.bodies.classes[next].UpTo
	}
	return s.bodies.largest() + 1
}

// fill reads on until body has size bytes or, whole then, its end has come.
func (s *Slot) fill(body []byte, source io.Reader, size int) (filled []byte, whole bool, err error) {
	body = slices.Grow(body, size-len(body))
	for len(body) < size && err == nil {
		var n int
		n, err = s.transfer.Read(source, body[len(body):size])
		body = body[:len(body)+n]
	}
	if errors.Is(err, io.EOF) {
		return body, true, nil
	}
	return body, false, err
}

// arrived says that the whole body is here: its sender is not slow from now on, however long the slot is held.
func (s *Slot) arrived() {
	s.transfer.End()
	s.transfer, s.abort = nil, nil
}

func bodyError(err error) error {
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		return fmt.Errorf("%w: the body exceeds %d bytes", core.ErrTooLarge, tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the body came too slowly: %w", core.ErrInvalid, err)
	}
	return fmt.Errorf("%w: the body ended early: %w", core.ErrInvalid, err)
}

// LeaveUnread is for a request that is answered before its body has been read to the end. net/http reads the rest before
// it answers, and would wait for a stalled sender without limit.
func LeaveUnread(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // fails only in tests, as in Read
}

// Grow makes the slot large enough for a body of size bytes. It releases the smaller slot before it waits for a larger
// one, so that waiting requests do not block each other. core.ErrTooLarge beyond the last class, core.ErrBusy when no
// slot becomes free in time, and the error of ctx when that ends first.
func (s *Slot) Grow(ctx context.Context, size int64) error {
	class := max(s.class, 0)
	for class < len(s.bodies.classes) && size > s.bodies.classes[class].UpTo {
		class++
	}
	switch {
	case class == s.class:
		return nil
	case class == len(s.bodies.classes):
		return fmt.Errorf("%w: the body exceeds %d bytes", core.ErrTooLarge, s.bodies.largest())
	}
	s.Release()
	if err := s.bodies.acquire(ctx, s.bodies.classes[class]); err != nil {
		return err
	}
	s.class = class
	if s.abort != nil {
		s.transfer = s.bodies.classes[class].transfers.Begin(s.abort)
	}
	return nil
}

func (b *Bodies) acquire(ctx context.Context, s slots) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
	}
	busy := fmt.Errorf("%w: %d bodies as large as this one are being read already; send it again later", core.ErrBusy, s.AtOnce)
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return busy
	}
	acquired := make(chan struct{})
	defer close(acquired)
	go s.transfers.abortUntil(acquired)
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select { // one wait, not a new one after each aborted transfer: the channel serves those who wait in their order
	case s.taken <- struct{}{}:
		return nil
	case <-timer.C:
		return busy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shrink exchanges the slot for one of size bytes, where less than what was read is still needed and such a one is free.
func (s *Slot) Shrink(size int64) {
	for class := range max(s.class, 0) {
		if size > s.bodies.classes[class].UpTo {
			continue
		}
		select {
		case s.bodies.classes[class].taken <- struct{}{}:
			s.Release()
			s.class = class
			return
		default: // the next larger one
		}
	}
}

// Release gives the slot back.
func (s *Slot) Release() {
	s.transfer.End()
	if s.class >= 0 {
		<-s.bodies.classes[s.class].taken
	}
	s.class = -1
}
