package web

import (
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
)

// maxSilent bounds how many silent webhooks are named at once.
const maxSilent = 20

// silentHooks are webhooks that have fallen silent.
type silentHooks struct {
	Hooks []liveness.Health
	More  int // that are not named
}

// silentLines are silent webhooks with the page that names them.
type silentLines struct {
	Page   view
	Silent silentHooks
}

func (w *Web) silentHooks() (silent silentHooks) {
	if w.Silent != nil {
		silent.Hooks = w.Silent()
	}
	silent.More = max(0, len(silent.Hooks)-maxSilent)
	silent.Hooks = silent.Hooks[:len(silent.Hooks)-silent.More]
	return silent
}

// hookOf is how a project's webhook is; nil where nothing is known. Hooks are judged now and then: a call that came
// since ends a silence.
func (w *Web) hookOf(platform, project string, latest []core.KeptDelivery) *liveness.Health {
	if w.Hook == nil {
		return nil
	}
	hook, heard := w.Hook(platform, project)
	if !heard {
		return nil
	}
	called := slices.IndexFunc(latest, func(d core.KeptDelivery) bool { return d.Event != core.Recovered })
	if called >= 0 && latest[called].ReceivedAt.After(hook.Last) {
		hook.Last, hook.Silent, hook.Missed = latest[called].ReceivedAt, false, false
	}
	return &hook
}

func days(d time.Duration) string { return core.Plural(int(d/(24*time.Hour)), "day") }
