// Package reconcile finds what no webhook announced. Projects compares where the branches and tags of each project stand
// with its scans, and opens the scans that are missing. Hooks has platforms deliver again what did not arrive, and tests
// webhooks that a platform has disabled.
package reconcile

import (
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/core"
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
	leaseTime   = 2 * time.Minute
	workTimeout = 100 * time.Second // for one project or hook target, within the lease

	defaultEvery = time.Hour
	firstPause   = 30 * time.Second // after a failure
	goOnAfter    = time.Minute      // where one turn did not do everything

	// overlap is how many ids are read again, because transactions do not end in the order of their ids.
	overlap = 1000
)

// Config holds what Projects and Hooks need.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Policies  core.Policies                // for Projects
	Address   func(platform string) string // for Hooks: the address that the webhooks of a platform call
	Every     time.Duration                // between two turns of a project or hook target; 0 to work on demand only
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}
