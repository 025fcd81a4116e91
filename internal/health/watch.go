package health

import (
	"context"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/poll"
)

const (
	judgeEvery   = time.Minute // webhooks; silence is a matter of days
	probeEvery   = 10 * time.Second
	reprobeEvery = 2 * time.Second // while the database cannot write
	probeTimeout = 5 * time.Second
)

// Run judges webhooks and probes whether the database can write, until ctx ends.
func (h *Health) Run(ctx context.Context) {
	var probing sync.WaitGroup
	defer probing.Wait()
	probing.Go(func() { poll.Loop{Name: "write probe", Every: reprobeEvery, Once: h.probe, Log: h.Log}.Run(ctx) })
	poll.Loop{Name: "hook silence", Every: judgeEvery, Once: h.judge, Log: h.Log}.Run(ctx)
}

// probe finds out whether the database can write. A full disk must be noticed without traffic, and free space must be
// noticed although a load balancer sends no traffic yet.
func (h *Health) probe(ctx context.Context) (worked bool, err error) {
	refusal := h.Store.Refusal()
	if refusal == nil && time.Since(h.probed) < probeEvery {
		return false, nil
	}
	probing, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	h.probed = time.Now()
	switch err := h.Store.TryWrite(probing); {
	case err != nil && !h.unwritable:
		h.unwritable = true
		h.Log.Error("the database answers but cannot write: free space on its disk", "error", err)
	case err == nil && h.unwritable:
		h.unwritable = false
		h.Log.Info("the database can write again")
	}
	return false, nil
}

// judge counts some deliveries, and judges all webhooks when there are no more.
func (h *Health) judge(ctx context.Context) (worked bool, err error) {
	last, more, err := h.Store.RecordCalls(ctx, h.after)
	if err != nil {
		return false, err
	}
	h.after = last
	if more {
		return true, nil
	}
	hooks, err := h.Store.ListHooks(ctx)
	if err != nil {
		return false, err
	}
	judged := liveness.Judge(hooks, h.Now())
	h.logSilence(judged)
	h.hooks.Store(&judged)
	return false, nil
}

// logSilence logs a silence when it begins and when it is over.
func (h *Health) logSilence(judged []liveness.Health) {
	type hook struct{ platform, project string }
	was := map[hook]bool{}
	for _, before := range h.Hooks() {
		was[hook{before.Platform, before.Project}] = before.Silent
	}
	for _, now := range judged {
		log := h.Log.With("platform", now.Platform, "project", now.Project, "last", now.Last)
		switch silent := was[hook{now.Platform, now.Project}]; {
		case now.Silent && !silent:
			log.Warn("webhook silent; look at its deliveries on the platform", "why", now.Why(), "usual", now.Usual)
		case silent && !now.Silent && now.Last.After(h.Now().Add(-2*judgeEvery)):
			log.Info("webhook calls again")
		}
	}
}
