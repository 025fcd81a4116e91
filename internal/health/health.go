// Package health makes sure that somebody notices when something stops: it watches for webhooks that have fallen silent,
// and reports to Prometheus and to people (GET /readyz?verbose) the state of every hop from the push to the commit status.
//
// The watching costs little: the database gets a few indexed queries, at most once in some seconds however many ask, and
// each has a deadline.
package health

import (
	"cmp"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/cage"
	"github.com/scanhook/scanhook/store"
)

// Config holds what there is to watch.
type Config struct {
	Store     *store.Store
	Platforms []Platform
	Scanners  []string          // by name; jobs of others are counted together
	Disks     map[string]string // directories by their use, whose free space is reported
	Parts     []Part            // of what Scanhook does
	NoIntake  bool              // other processes take calls
	NoPosts   bool              // other processes post statuses
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
	Timeout   time.Duration    // of the database for all queries together; 2 seconds when 0

	Cage     func() cage.Level               // what the kernel gives to commands; nil where none runs here
	Reloaded func() error                    // why the configuration is not that of its file; nil while it is, and the function where it is read once
	Fault    func() error                    // why no job can start here, nil while jobs can; the function is nil where none ever does
	Pause    func(platform string) time.Time // until when a platform wants no calls; zero when it does not
	LastPost func(platform string) time.Time // when this process last posted a status; zero for never
}

// Platform is what the configuration says about a Git platform.
type Platform struct {
	Name   string
	Listen bool // it has a secret to verify calls with
	Posts  bool // it has a credential to post commit statuses with
}

// Part is a piece of what Scanhook does. Several processes can share the parts.
type Part struct {
	Name string
	Here bool // this process does it
}

// Health knows the state of every hop.
type Health struct {
	Config
	hooks      atomic.Pointer[[]liveness.Health] // nil until they are judged for the first time
	after      int64                             // the last delivery that was counted
	probed     time.Time                         // when the database was last tried to write
	unwritable bool                              // the log says that it cannot

	snapshots snapshots
}

// New returns a Health; Run keeps it up to date.
func New(cfg Config) *Health {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	never := func(string) time.Time { return time.Time{} }
	if cfg.Pause == nil {
		cfg.Pause = never
	}
	if cfg.LastPost == nil {
		cfg.LastPost = never
	}
	return &Health{Config: cfg, snapshots: snapshots{
		store: cfg.Store, disks: cfg.Disks, timeout: cfg.Timeout, now: cfg.Now,
	}}
}

// isCurrent tells whether the configuration in use is that of its file.
func (h *Health) isCurrent() bool { return h.Reloaded == nil || h.Reloaded() == nil }

// pause is how long a platform still wants no calls; not positive when it does not.
func (h *Health) pause(platform string) time.Duration { return h.Pause(platform).Sub(h.Now()) }

// other stands for platforms and scanners in the database that are no longer configured.
const other = "other"

// nameOf is the name of a configured platform, or other.
func (h *Health) nameOf(platform string) string {
	for _, configured := range h.Platforms {
		if configured.Name == platform {
			return platform
		}
	}
	return other
}
