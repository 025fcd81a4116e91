package health

import (
	"context"
	"time"
)

const (
	tryWriteEvery = 10 * time.Second
	retryWrite    = 2 * time.Second // while the database cannot write
	writePatience = 5 * time.Second
)

// tryWrite finds out by itself whether the database can write: a full disk must show without traffic, and room on it must
// show though a load balancer sends none.
func (h *Health) tryWrite(ctx context.Context) (worked bool, err error) {
	full := h.Store.Refusal()
	if full == nil && time.Since(h.tried) < tryWriteEvery {
		return false, nil
	}
	trying, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	h.tried = time.Now()
	switch err := h.Store.TryWrite(trying); {
	case err != nil && !h.full:
		h.full = true
		h.Log.Error("the database answers but cannot write: make room on its disk", "error", err)
	case err == nil && h.full:
		h.full = false
		h.Log.Info("the database can write again")
	}
	return false, nil
}
