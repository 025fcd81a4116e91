package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/scanhook/scanhook/core"
)

const (
	maxBatch   = 128  // items that share one transaction
	maxWaiting = 2048 // items that wait for one; more than can be written before their callers hang up
)

// Batcher lets concurrent calls share one transaction (group commit): while one batch is being made durable the next one
// gathers, so that the price of a disk flush is paid once for all who wait.
type Batcher[T any] struct {
	commit func([]T) error

	mu       sync.Mutex
	waiting  []*waiter[T]
	draining sync.WaitGroup
	running  bool
}

// waiter is an item with its caller.
type waiter[T any] struct {
	item T
	done chan error
	gone <-chan struct{} // closed when the caller has hung up
}

// NewBatcher returns a batcher whose commit makes all items durable, or none.
func NewBatcher[T any](commit func([]T) error) *Batcher[T] { return &Batcher[T]{commit: commit} }

// Do returns once item is durable or could not be made so, core.ErrUnavailable at once when too many wait already. When
// ctx ends first the outcome is unknown to the caller, and the item may be written all the same.
func (b *Batcher[T]) Do(ctx context.Context, item T) error {
	w := &waiter[T]{item: item, done: make(chan error, 1), gone: ctx.Done()}
	if !b.enqueue(w) {
		return fmt.Errorf("%w: %d writes wait for the database already", core.ErrUnavailable, maxWaiting)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Batcher[T]) enqueue(w *waiter[T]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxWaiting {
		return false
	}
	b.waiting = append(b.waiting, w)
	if !b.running {
		b.running = true
		b.draining.Add(1)
		go b.drain()
	}
	return true
}

func (b *Batcher[T]) drain() {
	defer b.draining.Done()
	for batch := b.next(); batch != nil; batch = b.next() {
		b.settle(batch)
	}
}

// next takes what has gathered; nil, and the end of draining, when there is nothing.
func (b *Batcher[T]) next() []*waiter[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = slices.DeleteFunc(b.waiting, (*waiter[T]).abandoned)
	n := min(len(b.waiting), maxBatch)
	if n == 0 {
		b.running = false
		b.waiting = nil
		return nil
	}
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}

// abandoned tells whether the caller has hung up: it will call again, and those who still wait come first.
func (w *waiter[T]) abandoned() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// settle answers each caller. A batch that fails is tried again one by one, so that no item fails because of another. But
// while the database is unavailable all who wait fail at once: each try takes time, in which more would gather.
func (b *Batcher[T]) settle(batch []*waiter[T]) {
	err := b.commit(items(batch))
	if errors.Is(err, core.ErrUnavailable) && !isDeadlock(err) {
		batch = append(batch, b.takeAll()...)
	} else if err != nil && len(batch) > 1 {
		for _, w := range batch {
			w.done <- b.commit([]T{w.item})
		}
		return
	}
	for _, w := range batch {
		w.done <- err
	}
}

func items[T any](batch []*waiter[T]) []T {
	list := make([]T, len(batch))
	for i, w := range batch {
		list[i] = w.item
	}
	return list
}

func (b *Batcher[T]) takeAll() []*waiter[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting
	b.waiting = nil
	return all
}

// Len is how many items wait.
func (b *Batcher[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// Busy tells whether items are being written or wait for it.
func (b *Batcher[T]) Busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running
}

// Wait returns when no item waits or is being written.
func (b *Batcher[T]) Wait() { b.draining.Wait() }
