// Package catchup finds what no webhook announced: it compares where the branches and tags of each project stand with
// where they stood at the last look and with the scans, and opens a scan for what is missing. So pushes are healed that
// happened while nobody listened, whose webhook was lost, and which platforms never announce (many refs at once).
//
// The first look at a project opens a scan of its default branch at most: what has been there for long is remembered,
// not scanned.
//
// Reading order: catchup.go, watch.go, visit.go, look.go, missed.go, moved.go, round.go; ask.go, packets.go and
// snapshot.go speak with git servers.
package catchup

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
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
	keyProject  = "project"
)

const (
	parallel    = 4 // looks at a time
	watchEvery  = 2 * time.Second
	lookEvery   = 5 * time.Second
	lookTimeout = 100 * time.Second
	lease       = 2 * time.Minute
	startPause  = 10 * time.Second // webhooks that wait outside come first
	startSpread = 20 * time.Second
)

// Config holds what the loops need.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Policies  core.Policies
	Every     time.Duration // between two looks at a project; 0 for a Catchup that looks only when told to
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Catchup looks at projects.
type Catchup struct {
	Config
	askers map[string]asker
	most   int // scans that one look opens
	watcher

	mu    sync.Mutex
	quiet map[string]time.Time // platforms that want no call before
}

// New returns a Catchup; Run makes it look now and then, Round once.
func New(cfg Config) *Catchup {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Catchup{Config: cfg, most: maxOpened, askers: map[string]asker{}, quiet: map[string]time.Time{}}
	for name, platform := range cfg.Platforms {
		c.askers[name] = newAsker(platform, cfg.Now)
	}
	return c
}

// Run blocks until ctx ends. Projects that were watched before are looked at soon after the start; the rest of the time
// each has its turn after Every. Replicas share the work by leases.
func (c *Catchup) Run(ctx context.Context) {
	if c.Every <= 0 {
		return
	}
	var loops sync.WaitGroup
	watching := poll.Loop{Name: "watch", Every: min(watchEvery, c.Every), Once: c.watch, Log: c.Log}
	loops.Go(func() { watching.Run(ctx) })
	looking := poll.Loop{Name: "catch-up", Every: min(lookEvery, c.Every), Wake: &c.found, Once: c.once, Log: c.Log}
	for range parallel {
		loops.Go(func() { looking.Run(ctx) })
	}
	loops.Wait()
}

// once looks at the project that is due.
func (c *Catchup) once(ctx context.Context) (worked bool, err error) {
	watched, err := c.Store.ClaimWatched(ctx, c.ready(), lease)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = c.visit(ctx, watched, false)
	return true, err
}

// ready names the platforms that may be called.
func (c *Catchup) ready() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(c.Platforms) {
			if !c.Now().Before(c.quiet[name]) && !yield(name) {
				return
			}
		}
	})
}

func (c *Catchup) silence(platform string, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet[platform] = c.Now().Add(wait)
}

// afterStart is when the projects that are known already have their first turn.
func (c *Catchup) afterStart() time.Duration {
	return min(startPause+rand.N(startSpread), c.Every)
}
