package health

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/poll"
)

// listenEvery is how often webhooks are judged; silence is a matter of days.
const listenEvery = time.Minute

// Run judges webhooks, and tries whether the database can write, until ctx ends.
func (h *Health) Run(ctx context.Context) {
	var trials sync.WaitGroup
	defer trials.Wait()
	trials.Go(func() { poll.Loop{Name: "write trial", Every: retryWrite, Once: h.tryWrite, Log: h.Log}.Run(ctx) })
	poll.Loop{Name: "hook silence", Every: listenEvery, Once: h.once, Log: h.Log}.Run(ctx)
}

// once listens to some deliveries, and judges when there are no more.
func (h *Health) once(ctx context.Context) (worked bool, err error) {
	last, more, err := h.Store.RecordRhythms(ctx, h.after)
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
	h.tell(judged)
	h.hooks.Store(&judged)
	return false, nil
}

// tell logs a silence when it begins and when it is over.
func (h *Health) tell(judged []liveness.Health) {
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
		case silent && !now.Silent && now.Last.After(h.Now().Add(-2*listenEvery)):
			log.Info("webhook calls again")
		}
	}
}

// Hooks are the webhooks of configured projects as they were judged last, by platform and project; the element without
// a project is a platform as a whole.
func (h *Health) Hooks() []liveness.Health {
	if judged := h.hooks.Load(); judged != nil {
		return *judged
	}
	return nil
}

// Hook is the webhook of one project; ok is false where it has never called.
func (h *Health) Hook(platform, project string) (hook liveness.Health, ok bool) {
	hooks := h.Hooks()
	at := slices.IndexFunc(hooks, func(j liveness.Health) bool { return j.Platform == platform && j.Project == project })
	if at < 0 || project == "" {
		return liveness.Health{}, false
	}
	return hooks[at], true
}

// Silent are the webhooks that have fallen silent.
func (h *Health) Silent() (silent []liveness.Health) {
	for _, hook := range h.Hooks() {
		if hook.Silent {
			silent = append(silent, hook)
		}
	}
	return silent
}

// silences sums the webhooks of a platform up.
type silences struct {
	hooks, silent int
	since         time.Time // the last call of the silent webhook that called least recently
	last          time.Time // the last call of any
	all           bool      // the platform as a whole is silent
}

func (h *Health) summarize(platform string) (sum silences) {
	for _, hook := range h.Hooks() {
		switch {
		case hook.Platform != platform:
		case hook.Project == "":
			sum.all, sum.last = hook.Silent, hook.Last
		default:
			sum.hooks++
			if hook.Silent {
				sum.silent++
				if sum.since.IsZero() || hook.Last.Before(sum.since) {
					sum.since = hook.Last
				}
			}
		}
	}
	return sum
}

func (h *Health) platformNames() (names []string) {
	for _, platform := range h.Platforms {
		names = append(names, platform.Name)
	}
	return names
}
