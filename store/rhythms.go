package store

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
)

const (
	rhythmBatch   = 2000 // deliveries that are gone through at once
	rhythmOverlap = 500  // that are looked at again: they may have been committed late, behind others with higher ids
)

type hookKey struct{ platform, project string }

type hookCall struct {
	ID         int64     `db:"id"`
	Event      string    `db:"event"`
	Platform   string    `db:"platform"`
	Project    string    `db:"project_name"`
	ReceivedAt time.Time `db:"received_at"`
}

// RecordRhythms notes on which days the webhooks of configured projects have called, from the deliveries after the
// given id, or after the last one noted when it is 0. What was found without a webhook is no call, but kept as well. It
// returns the last id that it has seen, and whether there are more. The same deliveries once more, also in another
// process, change nothing.
func (s *Store) RecordRhythms(ctx context.Context, after int64) (last int64, more bool, err error) {
	if after == 0 {
		err = s.db.GetContext(ctx, &after, `SELECT COALESCE(MAX(last_id), 0) FROM hook_rhythms`)
	}
	var calls []hookCall
	if err == nil {
		err = s.db.SelectContext(ctx, &calls, s.db.Rebind(`
			SELECT id, event, platform, project_name, received_at FROM deliveries
			WHERE id > ? ORDER BY id LIMIT ?`),
			after-rhythmOverlap, rhythmOverlap+rhythmBatch)
	}
	if err == nil {
		err = s.follow(ctx, calls)
	}
	if err != nil {
		return after, false, fmt.Errorf("recording webhooks' rhythms: %w", classify(err))
	}
	if len(calls) > 0 {
		after = max(after, calls[len(calls)-1].ID)
	}
	return after, len(calls) == rhythmOverlap+rhythmBatch, nil
}

// follow adds calls, in the order of their ids, to the rhythms of their projects.
func (s *Store) follow(ctx context.Context, calls []hookCall) error {
	byHook := map[hookKey][]hookCall{}
	for _, call := range calls {
		if _, configured := s.policies.For(call.Platform, call.Project); configured && call.Project != "" {
			key := hookKey{call.Platform, call.Project}
			byHook[key] = append(byHook[key], call)
		}
	}
	if len(byHook) == 0 {
		return nil
	}
	return s.transact(ctx, func(tx *sqlx.Tx) error {
		known, err := s.lockRhythms(ctx, tx, slices.Collect(maps.Keys(byHook)))
		if err != nil {
			return err
		}
		var changed []rhythmRow
		for key, calls := range byHook {
			if row := known[key].after(key, calls); row.LastID > 0 && !reflect.DeepEqual(row, known[key]) {
				changed = append(changed, row)
			}
		}
		return putRhythms(ctx, tx, changed)
	})
}

// rhythmRow is a row of hook_rhythms.
type rhythmRow struct {
	Platform string    `db:"platform"`
	Project  string    `db:"project_name"`
	LastAt   time.Time `db:"last_at"`
	LastID   int64     `db:"last_id"`
	Days     string    `db:"days"`

	MissedFirst *time.Time `db:"missed_first_at"`
	MissedLast  *time.Time `db:"missed_last_at"`
}

func (r rhythmRow) missed() (missed liveness.MissedPushes) {
	if r.MissedFirst != nil && r.MissedLast != nil {
		missed.Found(*r.MissedFirst)
		missed.Found(*r.MissedLast)
	}
	return missed
}

func (r rhythmRow) after(key hookKey, calls []hookCall) rhythmRow {
	var rhythm liveness.Calls
	if !r.LastAt.IsZero() {
		rhythm = liveness.ParseCalls(r.LastAt, r.Days)
	}
	missed := r.missed()
	for _, call := range calls {
		if call.Event == core.Recovered {
			missed.Found(call.ReceivedAt)
			continue
		}
		missed = liveness.MissedPushes{}
		rhythm.Add(call.ReceivedAt)
		r.LastID = max(r.LastID, call.ID)
	}
	after := rhythmRow{Platform: key.platform, Project: key.project, LastAt: rhythm.Last, LastID: r.LastID, Days: rhythm.Days()}
	if !missed.First.IsZero() {
		after.MissedFirst, after.MissedLast = &missed.First, &missed.Last
	}
	return after
}

// utc makes rows comparable: engines hand times out in zones of their own.
func (r rhythmRow) utc() rhythmRow {
	r.LastAt = r.LastAt.UTC()
	if missed := r.missed(); !missed.First.IsZero() {
		r.MissedFirst, r.MissedLast = &missed.First, &missed.Last
	}
	return r
}

func (s *Store) lockRhythms(ctx context.Context, tx *sqlx.Tx, keys []hookKey) (map[hookKey]rhythmRow, error) {
	var args []any
	for _, key := range keys {
		args = append(args, key.platform, key.project)
	}
	var rows []rhythmRow
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`
		SELECT `+rhythmColumns+` FROM hook_rhythms
		WHERE (platform, project_name) IN (VALUES `+tuples(len(keys), 2)+`)
		ORDER BY platform, project_name `+s.dialect.forUpdate), args...)
	known := map[hookKey]rhythmRow{}
	for _, row := range rows {
		row = row.utc()
		known[hookKey{row.Platform, row.Project}] = row
	}
	return known, err
}

// rhythmsAtOnce keeps a statement below the engines' limit of parameters.
const rhythmsAtOnce = 500

func putRhythms(ctx context.Context, tx *sqlx.Tx, rows []rhythmRow) error {
	for chunk := range slices.Chunk(rows, rhythmsAtOnce) {
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO hook_rhythms (platform, project_name, last_at, last_id, days, missed_first_at, missed_last_at)
			VALUES (:platform, :project_name, :last_at, :last_id, :days, :missed_first_at, :missed_last_at)
			ON CONFLICT (platform, project_name) DO UPDATE SET
				last_at = excluded.last_at, last_id = excluded.last_id, days = excluded.days,
				missed_first_at = excluded.missed_first_at, missed_last_at = excluded.missed_last_at`, chunk)
		if err != nil {
			return err
		}
	}
	return nil
}

// ListHooks returns the webhooks of all configured projects that have ever called, by platform and project.
func (s *Store) ListHooks(ctx context.Context) ([]liveness.Hook, error) {
	var rows []rhythmRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+rhythmColumns+` FROM hook_rhythms
		ORDER BY platform, project_name`)
	if err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", classify(err))
	}
	var hooks []liveness.Hook
	for _, row := range rows {
		if _, configured := s.policies.For(row.Platform, row.Project); configured {
			hooks = append(hooks, liveness.Hook{
				Platform: row.Platform, Project: row.Project, Calls: liveness.ParseCalls(row.LastAt, row.Days), Missed: row.missed(),
			})
		}
	}
	return hooks, nil
}
