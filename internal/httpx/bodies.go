package httpx

import (
	"context"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Class is how many request bodies of a size may be in memory at once.
type Class struct {
	UpTo   int64 // bytes; each class takes larger bodies than the one before it
	AtOnce int
}

// Bodies bounds the memory of all request bodies together. Each size has places of its own, so that small bodies are
// taken while large ones wait for each other. What does not wait long is let in; the rest hears core.ErrBusy. Senders
// that stall are cut off while others wait.
type Bodies struct {
	classes []places
	wait    time.Duration
}

type places struct {
	Class
	taken, queue chan struct{}
	arrivals     *Arrivals // of bodies that have such a place
}

// maxQueue is how many requests wait for a place of one class. Those in the queue hold hardly anything yet, and there is
// room for everybody who has a connection: who stalls shall not make others hear core.ErrBusy.
const maxQueue = 1024

// NewBodies has the given classes, smallest first; wait is how long a request may wait for a place.
func NewBodies(wait time.Duration, classes ...Class) *Bodies {
	b := &Bodies{wait: wait}
	for _, c := range classes {
		b.classes = append(b.classes, places{
			c, make(chan struct{}, c.AtOnce), make(chan struct{}, maxQueue), new(Arrivals),
		})
	}
	return b
}

// largest is the size of the largest body that is taken at all.
func (b *Bodies) largest() int64 { return b.classes[len(b.classes)-1].UpTo }

// Place is what one request holds of Bodies. It belongs to one goroutine.
type Place struct {
	bodies  *Bodies
	class   int      // -1 while it holds nothing
	cut     func()   // ends the body's arrival; nil where it is not known
	arrival *Arrival // nil while none is under way
}

// Place returns an empty place; Leave must follow.
func (b *Bodies) Place() *Place { return &Place{bodies: b, class: -1} }

// Grow makes room for a body of size bytes. It gives back the place that the request has in a smaller class before it
// waits for a larger one, so that nobody waits for those who wait. core.ErrTooLarge beyond the last class,
// core.ErrBusy when no place becomes free in time, and the error of ctx when that ends first.
func (p *Place) Grow(ctx context.Context, size int64) error {
	class := max(p.class, 0)
	for class < len(p.bodies.classes) && size > p.bodies.classes[class].UpTo {
		class++
	}
	switch {
	case class == p.class:
		return nil
	case class == len(p.bodies.classes):
		return fmt.Errorf("%w: the body exceeds %d bytes", core.ErrTooLarge, p.bodies.largest())
	}
	p.Leave()
	if err := p.bodies.enter(ctx, p.bodies.classes[class]); err != nil {
		return err
	}
	p.class = class
	if p.cut != nil {
		p.arrival = p.bodies.classes[class].arrivals.Begin(p.cut)
	}
	return nil
}

// arrived says that the body takes up its place for our sake from now on.
func (p *Place) arrived() {
	p.arrival.End()
	p.arrival, p.cut = nil, nil
}

// Leave gives the place back.
func (p *Place) Leave() {
	p.arrival.End()
	if p.class >= 0 {
		<-p.bodies.classes[p.class].taken
	}
	p.class = -1
}

func (b *Bodies) enter(ctx context.Context, p places) error {
	select {
	case p.taken <- struct{}{}:
		return nil
	default:
	}
	busy := fmt.Errorf("%w: %d bodies as large as this one are being read already; send it again later", core.ErrBusy, p.AtOnce)
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return busy
	}
	entered := make(chan struct{})
	defer close(entered)
	go p.arrivals.cutUntil(entered)
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select { // once, not again after each cut: who waits longest is the first to be let in
	case p.taken <- struct{}{}:
		return nil
	case <-timer.C:
		return busy
	case <-ctx.Done():
		return ctx.Err()
	}
}
