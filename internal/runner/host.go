package runner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const (
	probeEvery = 5 * time.Second // while the host is at fault
	logEvery   = time.Minute     // between two lines of the log
)

// host tells whether this host can run jobs. While it cannot, no job is claimed: another replica may be able to.
type host struct {
	fault  atomic.Pointer[sandbox.HostFault] // nil while it can
	mu     sync.Mutex
	probed time.Time
	logged time.Time // when the log was last told of a fault
	down   bool      // what the log was told
}

// Fault is why no job starts on this host; nil while jobs do.
func (r *Runner) Fault() error {
	if fault := r.host.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

// canWork probes again now and then while the host is at fault.
func (r *Runner) canWork(ctx context.Context) bool {
	if r.Fault() == nil {
		return true
	}
	h := &r.host
	if !h.mu.TryLock() { // another worker probes
		return false
	}
	defer h.mu.Unlock()
	if time.Since(h.probed) >= probeEvery {
		r.probe(ctx)
	}
	return r.Fault() == nil
}

// reportFault notes that a job failed for a fault of the host, and tells whether all jobs would.
func (r *Runner) reportFault(ctx context.Context, fault error) bool {
	h := &r.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log(r.Log, fault)
	r.probe(ctx)
	return r.Fault() != nil
}

// probe does what every job does first: it makes a workspace and runs git.
func (r *Runner) probe(ctx context.Context) {
	h := &r.host
	fault := sandbox.Probe(r.TempDir)
	if fault == nil {
		_, fault = git.Version(ctx)
	}
	if ctx.Err() != nil { // a probe that was broken off proves nothing
		return
	}
	h.probed = time.Now()
	h.log(r.Log, fault)
	if found := new(sandbox.HostFault); errors.As(fault, found) {
		h.fault.Store(found)
	} else {
		h.fault.Store(nil)
	}
}

// log logs once that the host is at fault, and once that it is not any more.
func (h *host) log(log *slog.Logger, fault error) {
	switch {
	case fault != nil && !h.down && time.Since(h.logged) >= logEvery:
		log.Error("this host is at fault, jobs wait", keyError, fault)
		h.logged, h.down = time.Now(), true
	case fault == nil && h.down:
		log.Info("this host can work again")
		h.down = false
	}
}
