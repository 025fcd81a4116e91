package store

import "context"

// rank is a transaction's place in the line of writers.
type rank int

const (
	inTurn rank = iota
	first       // intake: its senders hang up after ten seconds
)

// writer lets one transaction write at a time, on an engine that cannot have two: waiting here is fair, cheap and ends
// with its context. Of those in turn only one stands at the door, so that who goes first waits for two at most.
// A nil writer lets all pass.
type writer struct{ door, turn chan struct{} }

func newWriter(d dialect) *writer {
	if !d.singleWriter {
		return nil
	}
	return &writer{door: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// take waits for the right to write, which release gives back. The error is that of ctx.
func (w *writer) take(ctx context.Context, as rank) (release func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	if as != first {
		if err := enter(ctx, w.door); err != nil {
			return nil, err
		}
		defer func() { <-w.door }()
	}
	if err := enter(ctx, w.turn); err != nil {
		return nil, err
	}
	return func() { <-w.turn }, nil
}

func enter(ctx context.Context, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
