package store

import (
	"context"
	"sync"
)

// maxBatch bounds how many deliveries share one transaction.
const maxBatch = 128

// batcher lets concurrent requests share one transaction (group commit): while one batch is being made durable the next
// one gathers, so that the price of a disk flush is paid once for all who wait.
type batcher struct {
	commit func([]*intake) error // makes all of them durable, or none

	mu       sync.Mutex
	waiting  []*intake
	draining sync.WaitGroup
	running  bool
}

// do returns once item is durable or could not be made so. When ctx ends first the outcome is unknown to the caller;
// the item is written all the same, which is harmless because a repeated delivery is recognised.
func (b *batcher) do(ctx context.Context, item *intake) error {
	item.done = make(chan error, 1)
	b.enqueue(item)
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) enqueue(item *intake) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, item)
	if !b.running {
		b.running = true
		b.draining.Add(1)
		go b.drain()
	}
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

// settle tells each waiter. A batch that fails is tried again one by one, so that nobody fails for a neighbour's sake.
func (b *batcher) settle(batch []*intake) {
	err := b.commit(batch)
	for _, item := range batch {
		if err != nil && len(batch) > 1 {
			item.done <- b.commit([]*intake{item})
			continue
		}
		item.done <- err
	}
}

func (b *batcher) wait() { b.draining.Wait() }
