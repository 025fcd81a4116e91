package catchup

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

// hookPace is the pause between two places on a platform: two or three calls each, a fraction of what GitHub allows.
const hookPace = 5 * time.Second

// HookConfig holds what a HookWatch needs.
type HookConfig struct {
	Store     *store.Store
	Platforms platforms.Set                // those that do not look after webhooks are left alone
	Address   func(platform string) string // that a platform's webhooks call
	Every     time.Duration                // between two checks of a place; 0 for a HookWatch that checks only when told to
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// HookWatch looks after the webhooks that call us: it has the platforms deliver again what did not arrive, and revives
// webhooks that they have disabled. What arrives twice is recognised by its delivery key.
type HookWatch struct{ carers map[string]*carer }

// carer looks after the webhooks of one platform.
type carer struct {
	HookConfig
	name    string
	keeper  platforms.HookKeeper
	sender  platforms.Redeliverer
	started bool
	watched int64 // the newest project that was seen
	known   map[platforms.HookPlace]bool
}

// NewHookWatch returns a HookWatch; Run makes it check now and then, Round once.
func NewHookWatch(cfg HookConfig) *HookWatch {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	w := &HookWatch{carers: map[string]*carer{}}
	for name, platform := range cfg.Platforms {
		keeper, keeps := platform.(platforms.HookKeeper)
		sender, sends := platform.(platforms.Redeliverer)
		if keeps && sends {
			w.carers[name] = &carer{
				HookConfig: cfg, name: name, keeper: keeper, sender: sender, known: map[platforms.HookPlace]bool{},
			}
		}
	}
	return w
}

// Run blocks until ctx ends. All places are checked at the start, later each has its turn after Every; replicas share
// them by leases. Each platform has its own loop.
func (w *HookWatch) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, c := range w.carers {
		if c.Every > 0 {
			loop := poll.Loop{Name: "webhooks " + c.name, Every: min(hookPace, c.Every), Once: c.once, Log: c.Log}
			loops.Go(func() { loop.Run(ctx) })
		}
	}
	loops.Wait()
}

// once checks the place that is due. It never reports work, so that the pause between two places is kept.
func (c *carer) once(ctx context.Context) (worked bool, err error) {
	if err := c.notice(ctx); err != nil {
		return false, err
	}
	place, err := c.Store.ClaimHookPlace(ctx, c.name, lease)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		_, err = c.visit(ctx, place)
	}
	return false, err
}

// notice adds the places of the projects that are new.
func (c *carer) notice(ctx context.Context) error {
	if !c.started {
		if err := c.Store.HastenHookChecks(ctx, c.name); err != nil {
			return err
		}
		c.started = true
	}
	watched, err := c.Store.ListWatchedSince(ctx, c.name, c.watched-overlap)
	if err != nil {
		return err
	}
	var projects []string
	for _, project := range watched {
		projects = append(projects, project.ProjectName)
		c.watched = max(c.watched, project.ID)
	}
	fresh := slices.DeleteFunc(c.places(projects), func(p platforms.HookPlace) bool { return c.known[p] })
	if len(fresh) == 0 {
		return nil
	}
	if err := c.Store.PutHookPlaces(ctx, c.kept(fresh...)); err != nil {
		return err
	}
	for _, place := range fresh {
		c.known[place] = true
	}
	return nil
}

// places are those of several projects, each once.
func (c *carer) places(projects []string) (places []platforms.HookPlace) {
	seen := map[platforms.HookPlace]bool{}
	for _, project := range projects {
		for _, place := range c.keeper.HookPlaces(project) {
			if !seen[place] {
				places = append(places, place)
			}
			seen[place] = true
		}
	}
	return places
}

func (c *carer) kept(places ...platforms.HookPlace) []store.HookPlace {
	kept := make([]store.HookPlace, len(places))
	for i, place := range places {
		kept[i] = store.HookPlace{SourcePlatform: c.name, Scope: string(place.Scope), Owner: place.Owner}
	}
	return kept
}
