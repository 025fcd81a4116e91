package health

import (
	"slices"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
)

// Hooks are the webhooks of configured projects as they were judged last, by platform and project. An element without a
// project is a whole platform.
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

// silences is the summary of a platform's webhooks.
type silences struct {
	hooks, silent int
	since         time.Time // the last call of the silent webhook that called least recently
	last          time.Time // the last call of any
	all           bool      // the whole platform is silent
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
