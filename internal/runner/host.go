package runner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const (
	probeEvery = 5 * time.Second // while the host is at fault
	logEvery   = time.Minute     // between two lines of the log
)

// host tells whether this host can run jobs. While it cannot, no job is claimed: another replica may be able to.
type host struct {
	log     *slog.Logger
	mirrors *mirror.Cache
	fault   atomic.Pointer[sandbox.HostFault] // nil while it can
	mu      sync.Mutex
	probed  time.Time
	logged  time.Time // when the log was last told of a fault
	down    bool      // what the log was told
}

// Fault is why no job starts on this host; nil while jobs do.
func (h *host) Fault() error {
	if fault := h.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

// CanWork tells whether jobs can have workspaces in dir. It probes again now and then while the host is at fault.
func (h *host) CanWork(ctx context.Context, dir string) bool {
	if h.Fault() == nil {
		return true
	}
	if !h.mu.TryLock() { // another worker probes
		return false
	}
	defer h.mu.Unlock()
	if time.Since(h.probed) >= probeEvery {
		h.Probe(ctx, dir)
	}
	return h.Fault() == nil
}

// AllFail notes that a job failed for a fault of the host, and tells whether all jobs would.
func (h *host) AllFail(ctx context.Context, dir string, fault error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logChange(fault)
	h.Probe(ctx, dir)
	return h.Fault() != nil
}

// Probe does what every job does first: it makes a workspace, writes where the mirrors are and runs git.
func (h *host) Probe(ctx context.Context, dir string) {
	fault := sandbox.Probe(sandbox.Place{Dir: dir})
	if fault == nil {
		fault = h.mirrors.Probe()
	}
	if fault == nil {
		_, fault = git.Version(ctx)
	}
	if ctx.Err() != nil { // a probe that was broken off proves nothing
		return
	}
	h.probed = time.Now()
	h.logChange(fault)
	if found := new(sandbox.HostFault); errors.As(fault, found) {
		h.fault.Store(found)
	} else {
		h.fault.Store(nil)
	}
}

// logChange logs once that the host is at fault, and once that it is not any more.
func (h *host) logChange(fault error) {
	switch {
	case fault != nil && !h.down && time.Since(h.logged) >= logEvery:
		h.log.Error("this host is at fault, jobs wait", "error", fault)
		h.logged, h.down = time.Now(), true
	case fault == nil && h.down:
		h.log.Info("this host can work again")
		h.down = false
	}
}
