// Package health sees to it that somebody notices when something stops flowing: it watches for webhooks that have
// fallen silent, and tells Prometheus and people (GET /readyz?verbose) how every hop from the push to the commit status
// is.
//
// Nothing here can hurt what it watches: the database is asked a few indexed questions, at most once in some seconds
// however many ask, and never for long.
package health

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/store"
)

// Config holds what there is to watch.
type Config struct {
	Store     *store.Store
	Platforms []Platform
	Scanners  []string          // by name; jobs of others are counted together
	Disks     map[string]string // directories by what they are for, whose free space is told
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
	Patience  time.Duration    // the database may take so long for all questions together; 2 seconds when 0

	Fault    func() error                    // why no job can start here, nil while jobs do; may be nil where none ever does
	Pause    func(platform string) time.Time // until when a platform wants to be left alone; zero when it does not
	LastPost func(platform string) time.Time // when this process last posted a status; zero for never
}

// Platform is what the configuration says of a Git platform.
type Platform struct {
	Name   string
	Listen bool // it has a secret to verify calls with
	Posts  bool // it has a credential to post commit statuses with
}

// Health knows how everything is.
type Health struct {
	Config
	hooks atomic.Pointer[[]liveness.Health] // nil until they were judged for the first time
	after int64                             // the last delivery that was listened to
	tried time.Time                         // to write
	full  bool                              // what the log was told of it

	reading sync.Mutex // held while the flow is read, so that all who ask share one answer
	latest  snapshot
}

// New returns a Health; Run makes it listen for silence.
func New(cfg Config) *Health {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Patience = cmp.Or(cfg.Patience, 2*time.Second)
	never := func(string) time.Time { return time.Time{} }
	if cfg.Pause == nil {
		cfg.Pause = never
	}
	if cfg.LastPost == nil {
		cfg.LastPost = never
	}
	return &Health{Config: cfg}
}
