package lease_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
)

// row is a job of a queue.
type row struct {
	name  string
	until time.Time // end of its lease, by which a claim is told from a later one
}

// queue is a table of jobs in memory. Its methods are what a store offers a worker.
type queue struct {
	mu      sync.Mutex
	due     []string
	leases  map[string]time.Time
	settled []string
	away    bool // the database is unavailable
}

func newQueue(names ...string) *queue { return &queue{due: names, leases: map[string]time.Time{}} }

func (q *queue) claim(lease time.Duration) func(context.Context, int) ([]row, error) {
	return func(_ context.Context, most int) (claimed []row, err error) {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.away {
			return nil, core.ErrUnavailable
		}
		for _, name := range q.due[:min(most, len(q.due))] {
			q.leases[name] = time.Now().Add(lease)
			claimed = append(claimed, row{name, q.leases[name]})
		}
		q.due = q.due[len(claimed):]
		return claimed, nil
	}
}

func (q *queue) settle(_ context.Context, r row, result string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.away:
		return core.ErrUnavailable
	case !q.leases[r.name].Equal(r.until):
		return fmt.Errorf("settling %s: %w", r.name, core.ErrConflict)
	}
	delete(q.leases, r.name)
	q.settled = append(q.settled, r.name+" "+result)
	return nil
}

// set changes the queue behind the worker's back.
func (q *queue) set(change func(*queue)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(q)
}
