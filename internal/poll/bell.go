package poll

import "sync"

// Bell wakes loops: whoever listens before it rings hears it. The zero value is ready.
type Bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// Listen returns a channel that is closed at the next Ring. Taken before a loop looks for work, it cannot miss any.
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
