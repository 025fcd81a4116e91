package poll

import "sync"

// Bell wakes loops: all that began to listen before it rings. The zero value is ready.
type Bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// Listen returns a channel that is closed at the next Ring. A loop that listens before it looks for work misses none.
func (b *Bell) Listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Ring wakes all listeners.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
