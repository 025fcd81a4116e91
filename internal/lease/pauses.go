package lease

import (
	"sync"
	"time"
)

// Pauses remembers until when others, by their names, want no call. The zero value is ready.
type Pauses struct {
	mu sync.Mutex
	of map[string]pause
}

// pause was asked for at a time, until another one. Before since there is none: the clock went back.
type pause struct{ since, until time.Time }

// Delay lets no call be made for a while. It never shortens a pause.
func (p *Pauses) Delay(name string, now time.Time, length time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[string]pause{}
	}
	if end := now.Add(length); end.After(p.of[name].until) || now.Before(p.of[name].since) {
		p.of[name] = pause{now, end}
	}
}

// End returns when the last pause ends or ended; zero if there was none.
func (p *Pauses) End(name string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[name].until
}

// Paused tells whether a call must wait.
func (p *Pauses) Paused(name string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.of[name].since) && now.Before(p.of[name].until)
}
