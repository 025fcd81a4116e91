package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/scanhook/scanhook/core"
)

const (
	maxBatch   = 128  // deliveries that share one transaction
	maxWaiting = 2048 // deliveries that wait for one; more than can be written before their senders hang up
)

// batcher lets concurrent requests share one transaction (group commit): while one batch is being made durable the next
// one gathers, so that the price of a disk flush is paid once for all who wait.
type batcher struct {
	commit func([]*intake) error // makes all of them durable, or none

	mu       sync.Mutex
	waiting  []*intake
	draining sync.WaitGroup
	running  bool
}

// do returns once item is durable or could not be made so, core.ErrUnavailable at once when too many wait already. When
// ctx ends first the outcome is unknown to the caller: the item may be written all the same, which is harmless because
// a repeated delivery is recognised.
func (b *batcher) do(ctx context.Context, item *intake) error {
	item.done, item.gone = make(chan error, 1), ctx.Done()
	if !b.enqueue(item) {
		return fmt.Errorf("%w: %d deliveries wait for the database already", core.ErrUnavailable, maxWaiting)
	}
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) enqueue(item *intake) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxWaiting {
		return false
	}
	b.waiting = append(b.waiting, item)
	if !b.running {
		b.running = true
		b.draining.Add(1)
		go b.drain()
	}
	return true
}

func (b *batcher) drain() {
	defer b.draining.Done()
	for batch := b.next(); batch != nil; batch = b.next() {
		b.settle(batch)
	}
}

// next takes what has gathered; nil, and the end of draining, when there is nothing.
func (b *batcher) next() []*intake {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = slices.DeleteFunc(b.waiting, (*intake).abandoned)
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

// abandoned tells whether the sender has hung up: it will send again, and who still waits comes first.
func (i *intake) abandoned() bool {
	select {
	case <-i.gone:
		return true
	default:
		return false
	}
}

// settle tells each waiter. A batch that fails is tried again one by one, so that nobody fails for a neighbour's sake.
// But while the database is away all who wait hear so at once: each trial takes time, in which more would pile up.
func (b *batcher) settle(batch []*intake) {
	err := b.commit(batch)
	if errors.Is(err, core.ErrUnavailable) && !isDeadlock(err) {
		batch = append(batch, b.takeAll()...)
	} else if err != nil && len(batch) > 1 {
		for _, item := range batch {
			item.done <- b.commit([]*intake{item})
		}
		return
	}
	for _, item := range batch {
		item.done <- err
	}
}

func (b *batcher) takeAll() []*intake {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting
	b.waiting = nil
	return all
}

func (b *batcher) length() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

func (b *batcher) wait() { b.draining.Wait() }
