// Package retention removes what has been kept long enough: deliveries, and scans that nothing needs any more, in small
// batches with pauses between them, so that nobody notices. What people said of findings outlives the scans.
package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store"
)

const (
	every      = time.Hour
	startPause = time.Minute // who starts has better things to do
	batchPause = 100 * time.Millisecond

	// Branches are rarely announced as gone. One that has not moved for so long counts as gone, unless it
	// is known to be there.
	branchesLast = 365 * 24 * time.Hour
	notesLast    = 2 * 365 * 24 * time.Hour // notes of removed scans
)

// Config says how long things are kept; 0 is for ever.
type Config struct {
	Store      *store.Store
	Deliveries time.Duration
	Scans      time.Duration
	KeepScans  int // the newest of each project that stay, however old; at least 1
	Log        *slog.Logger
	Now        func() time.Time // time.Now when nil
}

// Keeper removes what is old.
type Keeper struct {
	Config
	tables map[store.AgingTable]time.Duration
}

// New returns a keeper; Run makes it work. A further table is a further line here.
func New(cfg Config) *Keeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Keeper{Config: cfg, tables: map[store.AgingTable]time.Duration{
		store.AgingDeliveries:   cfg.Deliveries,
		store.AgingRemovedScans: notesLast,
	}}
}

// Run blocks until ctx ends. Replicas may all run it.
func (k *Keeper) Run(ctx context.Context) {
	if !pause(ctx, startPause) {
		return
	}
	poll.Loop{Name: "retention", Every: every, Once: k.once, Log: k.Log}.Run(ctx)
}

// once goes through everything; what one table fails with holds up no other one.
func (k *Keeper) once(ctx context.Context) (worked bool, err error) {
	for table, lasts := range k.tables {
		if lasts > 0 {
			err = errors.Join(err, k.pruneTable(ctx, table, k.before(lasts)))
		}
	}
	if k.Scans > 0 {
		err = errors.Join(err, k.pruneScans(ctx))
	}
	return false, err
}

// before is the time of what has lasted for long enough, even if the clock should be wrong that has just jumped ahead.
func (k *Keeper) before(lasts time.Duration) time.Time {
	then := k.Now().Add(-lasts)
	return then.Add(-max(0, k.Store.Jumped(then)))
}

func (k *Keeper) pruneTable(ctx context.Context, table store.AgingTable, before time.Time) error {
	total := 0
	defer func() { k.tell(string(table), total) }()
	for {
		removed, err := k.Store.PruneTable(ctx, table, before)
		total += removed
		if err != nil || removed == 0 || !pause(ctx, batchPause) {
			return err
		}
	}
}

func (k *Keeper) pruneScans(ctx context.Context) error {
	total := 0
	defer func() { k.tell("scans", total) }()
	rule := store.ScanRetention{
		Before: k.before(k.Scans), Heads: k.before(max(k.Scans, branchesLast)), Newest: max(k.KeepScans, 1),
		Metrics: anomaly.History,
	}
	for after := int64(0); ; {
		removed, next, err := k.Store.PruneScans(ctx, rule, after)
		total += removed
		if after = next; err != nil || next == 0 || !pause(ctx, batchPause) {
			return err
		}
	}
}

func (k *Keeper) tell(what string, removed int) {
	if removed > 0 {
		k.Log.Info("removed what is older than retention says", "table", what, "rows", removed)
	}
}

// pause tells whether work goes on after it.
func pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
