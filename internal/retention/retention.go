// Package retention removes what has been kept long enough: deliveries, scans that nothing needs any more, and what earlier
// searches came to with rules that are no longer used. It works in small batches with pauses between them, so that it slows
// nothing else down. Triage decisions outlive the scans.
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
	startPause = time.Minute // leave the database to startup work first
	batchPause = 100 * time.Millisecond

	removalsEvery = 5 * time.Second
	removalPause  = 20 * time.Millisecond

	// keepBranches is long: a branch that has not moved for so long counts as deleted, because deletions are rarely announced,
	// unless it is known to exist.
	keepBranches = 365 * 24 * time.Hour
	keepIgnored  = 24 * time.Hour           // the bodies of ignored calls
	keepRemoved  = 2 * 365 * 24 * time.Hour // the references of removed scans
)

// Config says how long things are kept; 0 means for ever.
type Config struct {
	Store      *store.Store
	Deliveries time.Duration
	Scans      time.Duration
	KeepScans  int // the newest of each project that are kept, however old; at least 1
	Log        *slog.Logger
	Now        func() time.Time // time.Now when nil
}

// Keeper removes what is old.
type Keeper struct {
	Config
	tables map[store.AgingTable]time.Duration
	bodies int64 // the delivery up to which bodies were looked at
}

// New returns a keeper; Run makes it work. Another table to prune is another line here.
func New(cfg Config) *Keeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Keeper{Config: cfg, tables: map[store.AgingTable]time.Duration{
		store.AgingDeliveries:   cfg.Deliveries,
		store.AgingRemovedScans: keepRemoved,
	}}
}

// Run blocks until ctx ends. Replicas may all run it.
func (k *Keeper) Run(ctx context.Context) {
	if !poll.Sleep(ctx, startPause) {
		return
	}
	poll.Loop{Name: "retention", Every: every, Once: k.once, Log: k.Log}.Run(ctx)
}

// RunRemovals deletes the projects that somebody had deleted, until ctx ends. Replicas may all run it.
func (k *Keeper) RunRemovals(ctx context.Context) {
	poll.Loop{Name: "deletion of projects", Every: removalsEvery, Once: k.remove, Log: k.Log}.Run(ctx)
}

// remove does a step, and leaves a pause to others after it.
func (k *Keeper) remove(ctx context.Context) (worked bool, err error) {
	worked, ended, err := k.Store.Removal().Step(ctx)
	if ended != nil {
		k.Log.Info("a project was deleted with everything", "platform", ended.Platform, "project", ended.Name, "by", ended.AskedBy)
	}
	return worked && poll.Sleep(ctx, removalPause), err
}

// once prunes everything; a failure of one table does not hold up the others.
func (k *Keeper) once(ctx context.Context) (worked bool, err error) {
	for table, keep := range k.tables {
		if keep > 0 {
			err = errors.Join(err, k.pruneTable(ctx, table, k.before(keep)))
		}
	}
	err = errors.Join(err, k.pruneBodies(ctx))
	if k.Scans > 0 {
		err = errors.Join(err, k.pruneScans(ctx), k.pruneSearched(ctx))
	}
	return false, err
}

// before is the age limit as a time. It leaves out a jump of the clock, which may be wrong.
func (k *Keeper) before(keep time.Duration) time.Time {
	then := k.Now().Add(-keep)
	return then.Add(-max(0, k.Store.Jumped(then)))
}

func (k *Keeper) pruneTable(ctx context.Context, table store.AgingTable, before time.Time) error {
	total := 0
	defer func() { k.log(string(table), total) }()
	for {
		removed, err := k.Store.PruneTable(ctx, table, before)
		total += removed
		if err != nil || removed == 0 || !poll.Sleep(ctx, batchPause) {
			return err
		}
	}
}

func (k *Keeper) pruneBodies(ctx context.Context) error {
	total := 0
	defer func() { k.log("delivery_bodies", total) }()
	for {
		removed, next, err := k.Store.PruneBodies(ctx, k.before(keepIgnored), k.bodies)
		total += removed
		if err != nil || next == 0 || !poll.Sleep(ctx, batchPause) {
			return err
		}
		k.bodies = next
	}
}

func (k *Keeper) pruneScans(ctx context.Context) error {
	total := 0
	defer func() { k.log("scans", total) }()
	rule := store.ScanRetention{
		Before: k.before(k.Scans), Heads: k.before(max(k.Scans, keepBranches)), Newest: max(k.KeepScans, 1),
		Metrics: anomaly.History,
	}
	for after := int64(0); ; {
		removed, next, err := k.Store.PruneScans(ctx, rule, after)
		total += removed
		if after = next; err != nil || next == 0 || !poll.Sleep(ctx, batchPause) {
			return err
		}
	}
}

func (k *Keeper) pruneSearched(ctx context.Context) error {
	total := 0
	defer func() { k.log("searches", total) }()
	for after := (store.SearchedRules{}); ; {
		removed, next, err := k.Store.PruneSearched(ctx, k.before(k.Scans), after)
		total += removed
		if after = next; err != nil || next == (store.SearchedRules{}) || removed > 0 && !poll.Sleep(ctx, batchPause) {
			return err
		}
	}
}

func (k *Keeper) log(what string, removed int) {
	if removed > 0 {
		k.Log.Info("removed what is older than retention says", "table", what, "rows", removed)
	}
}
