// Package redelivery looks after the webhooks that call us: it asks the platforms to deliver again what did not arrive,
// and revives webhooks that they have disabled. What arrives twice is recognised by its delivery key.
//
// Webhooks are kept in places (a project, a group or organisation, an App), and each place is checked now and then.
// Reading order: redelivery.go, visit.go, check.go, tries.go; round.go is for a check on demand.
package redelivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Keys of the log.
const (
	keyError    = "error"
	keyPlatform = "platform"
)

const (
	// pace is the pause between two places on a platform: two or three calls each, a fraction of what GitHub allows.
	pace         = 5 * time.Second
	checkTimeout = 100 * time.Second
	lease        = 2 * time.Minute
	// overlap is how many ids are looked at again, because transactions do not end in the order of their ids.
	overlap = 1000
)

// Config holds what a Redelivery needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set                // those that do not look after webhooks are left alone
	Address   func(platform string) string // that a platform's webhooks call
	Every     time.Duration                // between two checks of a place; 0 for a Redelivery that checks only when told to
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Redelivery checks webhooks.
type Redelivery struct{ workers map[string]*worker }

// worker looks after the webhooks of one platform.
type worker struct {
	Config
	name    string
	manager platforms.HookManager
	sender  platforms.Redeliverer
	started bool
	watched int64 // the newest project that was seen
	known   map[platforms.HookTarget]bool
}

// New returns a Redelivery; Run makes it check now and then, Round once.
func New(cfg Config) *Redelivery {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Redelivery{workers: map[string]*worker{}}
	for name, platform := range cfg.Platforms {
		manager, manages := platforms.HookManagerOf(platform)
		sender, sends := platforms.RedelivererOf(platform)
		if manages && sends {
			r.workers[name] = &worker{
				Config: cfg, name: name, manager: manager, sender: sender, known: map[platforms.HookTarget]bool{},
			}
		}
	}
	return r
}

// Run blocks until ctx ends. All places are checked at the start, later each has its turn after Every; replicas share
// them by leases. Each platform has its own loop.
func (r *Redelivery) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, w := range r.workers {
		if w.Every > 0 {
			loop := poll.Loop{Name: "webhooks " + w.name, Every: min(pace, w.Every), Once: w.once, Log: w.Log}
			loops.Go(func() { loop.Run(ctx) })
		}
	}
	loops.Wait()
}

// once checks the place that is due. It never reports work, so that the pause between two places is rows.
func (w *worker) once(ctx context.Context) (worked bool, err error) {
	if err := w.notice(ctx); err != nil {
		return false, err
	}
	place, err := w.Store.ClaimHookPlace(ctx, w.name, lease)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		_, err = w.visit(ctx, place)
	}
	return false, err
}

// notice adds the places of the projects that are new.
func (w *worker) notice(ctx context.Context) error {
	if !w.started {
		if err := w.Store.HastenHookChecks(ctx, w.name); err != nil {
			return err
		}
		w.started = true
	}
	watched, err := w.Store.ListWatchedSince(ctx, w.name, w.watched-overlap)
	if err != nil {
		return err
	}
	var projects []string
	for _, project := range watched {
		projects = append(projects, project.ProjectName)
		w.watched = max(w.watched, project.ID)
	}
	fresh := slices.DeleteFunc(w.places(projects), func(p platforms.HookTarget) bool { return w.known[keyOf(p)] })
	if len(fresh) == 0 {
		return nil
	}
	if err := w.Store.PutHookPlaces(ctx, w.rows(fresh...)); err != nil {
		return err
	}
	for _, place := range fresh {
		w.known[keyOf(place)] = true
	}
	return nil
}

// places are those of several projects, each once.
func (w *worker) places(projects []string) (places []platforms.HookTarget) {
	seen := map[platforms.HookTarget]bool{}
	for _, project := range projects {
		for _, place := range w.manager.HookTargets(project) {
			if !seen[keyOf(place)] {
				places = append(places, place)
			}
			seen[keyOf(place)] = true
		}
	}
	return places
}

// keyOf is what the spellings of one place have in common.
func keyOf(place platforms.HookTarget) platforms.HookTarget {
	place.Owner = core.ProjectKey(place.Owner)
	return place
}

func (w *worker) rows(places ...platforms.HookTarget) []store.HookPlace {
	rows := make([]store.HookPlace, len(places))
	for i, place := range places {
		rows[i] = store.HookPlace{SourcePlatform: w.name, Scope: string(place.Scope), Owner: place.Owner}
	}
	return rows
}
