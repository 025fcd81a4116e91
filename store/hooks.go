package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/store/sqldb"
)

// HookCheck is what the last check of a target's webhooks found, and when the next one is due.
type HookCheck struct {
	ID             int64  `db:"id"`
	SourcePlatform string `db:"source_platform"`
	core.HookTarget
	State        string     `db:"state"`         // as of the last check: see NeedsRepair; else none, hidden or active
	Note         string     `db:"note"`          // what is wrong, or empty
	ArrivedUntil *time.Time `db:"arrived_until"` // everything that was sent before has arrived
	Failures     int        `db:"failures"`      // checks since the last one that succeeded
	CheckedAt    *time.Time `db:"checked_at"`
	NextCheckAt  time.Time  `db:"next_check_at"`
	LeaseUntil   *time.Time `db:"lease_until"`
}

// NeedsRepair tells whether pushes do not arrive through the target: its webhook is switched off, paused or disabled by
// the platform, or broken, which means that it is called without pushes or without the right secret.
func (p HookCheck) NeedsRepair() bool {
	return p.State == "off" || p.State == "paused" || p.State == "disabled" || p.State == "broken"
}

var hookColumns = sqldb.ColumnsOf[HookCheck]() + `, COALESCE(` + ofProject("", "name") + `, owner) AS owner`

// notGone leaves out the targets whose project is gone.
var notGone = ofProject("", "gone_at") + ` IS NULL`

// needsRepair selects the targets that a person has to check.
var needsRepair = `(state IN ('off', 'paused', 'disabled', 'broken') OR state = 'active' AND note <> '') AND ` + notGone

// MaxFailingHooks is how many ListFailingHooks returns at most.
const MaxFailingHooks = 100

// PutHookTargets adds targets whose first check is due at once; known ones stay as they are.
func (s *Store) PutHookTargets(ctx context.Context, places []HookCheck) error {
	projects, err := s.projectsOf(ctx, places)
	if err == nil {
		err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
			for n, p := range places {
				if err := s.putHookTarget(ctx, tx, p, projects[n]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("putting hook targets: %w", err)
	}
	return nil
}

// projectsOf are the numbers of the projects that the targets are; 0 for the others.
func (s *Store) projectsOf(ctx context.Context, places []HookCheck) ([]int64, error) {
	ids := make([]int64, len(places))
	for n, p := range places {
		if p.Scope != core.ScopeProject {
			continue
		}
		project, err := s.resolveNamed(ctx, p.SourcePlatform, p.Owner, "")
		if err != nil {
			return nil, err
		}
		ids[n] = project.ID
	}
	return ids, nil
}

func (s *Store) putHookTarget(ctx context.Context, tx *sqlx.Tx, p HookCheck, project int64) error {
	if project != 0 {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO hook_targets (source_platform, scope, project_id, next_check_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (project_id) WHERE project_id IS NOT NULL DO NOTHING`),
			p.SourcePlatform, p.Scope, project, s.clock.Timestamp())
		return err
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO hook_targets (source_platform, scope, owner, next_check_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (source_platform, scope, owner) WHERE project_id IS NULL DO NOTHING`),
		p.SourcePlatform, p.Scope, p.Owner, s.clock.Timestamp())
	return err
}

// MarkHooksDue makes every check of a platform due now: it is unknown what was sent during the downtime.
func (s *Store) MarkHooksDue(ctx context.Context, platform string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE hook_targets SET next_check_at = ? WHERE source_platform = ? AND next_check_at > ?`), now, platform, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("hastening checks of webhooks: %w", err)
	}
	return nil
}

// ClaimHookTarget leases the target of a platform that has waited longest for its check, those last where no webhook
// was seen the last time; core.ErrNotFound when none is due.
func (s *Store) ClaimHookTarget(ctx context.Context, platform string, lease time.Duration) (claimed HookCheck, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		return s.claimOne(ctx, tx, &claimed, claim{
			table: `hook_targets`, set: setLease,
			rows: s.firstDue(`hook_targets`, `source_platform = :platform AND next_check_at <= :now AND `+notGone+` AND `+unleased,
				`CASE WHEN state IN ('none', 'hidden') THEN 1 ELSE 0 END, next_check_at, id`),
			guard: unleased, columns: hookColumns,
		}, lease, map[string]any{"platform": platform})
	})
	if err != nil {
		return HookCheck{}, fmt.Errorf("claiming a hook target: %w", err)
	}
	return claimed, nil
}

// ClaimHookTargetNow leases one target, whenever its check is due. core.ErrConflict while another process checks it.
func (s *Store) ClaimHookTargetNow(ctx context.Context, p HookCheck, lease time.Duration) (claimed HookCheck, err error) {
	if err := s.PutHookTargets(ctx, []HookCheck{p}); err != nil {
		return HookCheck{}, err
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		err := s.claimOne(ctx, tx, &claimed, claim{
			table: `hook_targets`, set: setLease, rows: `source_platform = :platform AND scope = :scope AND (
				scope <> 'project' AND owner = :owner OR ` + ofProject("", "name_key") + ` = :key AND ` + notGone + `)`,
			guard: unleased, columns: hookColumns,
		}, lease, map[string]any{"platform": p.SourcePlatform, "scope": p.Scope, "owner": p.Owner, "key": core.ProjectKey(p.Owner)})
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: another process is checking it", core.ErrConflict)
		}
		return err
	})
	if err != nil {
		return HookCheck{}, fmt.Errorf("claiming a hook target: %w", err)
	}
	return claimed, nil
}

// SettleHookTarget ends the lease and keeps what the check found: State, Note, ArrivedUntil, Failures and
// CheckedAt of next, which is due after the pause. core.ErrConflict when the lease was lost.
func (s *Store) SettleHookTarget(ctx context.Context, claimed, next HookCheck, pause time.Duration) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		settled, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE hook_targets SET lease_until = NULL, next_check_at = ?, state = ?, note = ?, arrived_until = ?,
				failures = ?, checked_at = ?
			WHERE id = ? AND lease_until = ?`),
			s.clock.Timestamp().Add(pause), next.State, next.Note, next.ArrivedUntil, next.Failures, next.CheckedAt,
			claimed.ID, claimed.LeaseUntil)
		return sqldb.OneRow(settled, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling a hook target: %w", err)
	}
	return nil
}

// ListFailingHooks returns the targets whose webhooks let no pushes through, and the others that have a note.
func (s *Store) ListFailingHooks(ctx context.Context) (list []HookCheck, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+hookColumns+` FROM hook_targets WHERE `+needsRepair+`
		ORDER BY source_platform, scope, owner LIMIT ?`), MaxFailingHooks)
	if err != nil {
		return nil, fmt.Errorf("listing failing webhooks: %w", sqldb.Classify(err))
	}
	return list, nil
}

// FailingHooks lists the webhooks that need repair from the database at url, as of their last check. The schema is not
// touched; the error is core.ErrNotFound where there is no database yet.
func FailingHooks(ctx context.Context, url string) ([]HookCheck, error) {
	s, err := Attach(ctx, Config{URL: url})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return s.ListFailingHooks(ctx)
}

const (
	callBatch   = 2000 // deliveries that are gone through at once
	callOverlap = 500  // that are looked at again: they may have been committed late, behind others with higher ids
)

type hookCall struct {
	ID         int64     `db:"id"`
	Event      string    `db:"event"`
	ProjectID  int64     `db:"project_id"`
	Platform   string    `db:"platform"`
	Project    string    `db:"project_name"`
	ReceivedAt time.Time `db:"received_at"`
}

// RecordCalls keeps on which days the webhooks of configured projects have called, from the deliveries after the given
// id, or after the last one recorded when it is 0. What was found without a webhook is no call, but is recorded as
// well. It returns the last id that it has read, and whether there are more. The same deliveries once more, also in
// another process, change nothing.
func (s *Store) RecordCalls(ctx context.Context, after int64) (last int64, more bool, err error) {
	if after == 0 {
		err = s.db.GetContext(ctx, &after, `SELECT COALESCE(MAX(last_id), 0) FROM hook_calls`)
	}
	var calls []hookCall
	if err == nil {
		err = s.db.SelectContext(ctx, &calls, s.db.Rebind(`
			SELECT id, event, project_id, received_at, `+ofProject("", "platform")+` AS platform, `+ofProject("", "name")+` AS project_name
			FROM deliveries WHERE id > ? AND project_id IS NOT NULL ORDER BY id LIMIT ?`),
			after-callOverlap, callOverlap+callBatch)
	}
	if err == nil {
		err = s.addCalls(ctx, calls)
	}
	if err != nil {
		return after, false, fmt.Errorf("recording webhooks' calls: %w", sqldb.Classify(err))
	}
	if len(calls) > 0 {
		after = max(after, calls[len(calls)-1].ID)
	}
	return after, len(calls) == callOverlap+callBatch, nil
}

// addCalls adds calls, in the order of their ids, to the histories of their projects.
func (s *Store) addCalls(ctx context.Context, calls []hookCall) error {
	byHook := map[int64][]hookCall{}
	for _, call := range calls {
		if _, configured := s.policies.For(call.Platform, call.Project); configured {
			byHook[call.ProjectID] = append(byHook[call.ProjectID], call)
		}
	}
	if len(byHook) == 0 {
		return nil
	}
	return s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		known, err := s.lockCallHistories(ctx, tx, slices.Collect(maps.Keys(byHook)))
		if err != nil {
			return err
		}
		var changed []callHistory
		for key, calls := range byHook {
			if row := known[key].after(key, calls); row.LastID > 0 && !reflect.DeepEqual(row, known[key]) {
				changed = append(changed, row)
			}
		}
		return putCallHistories(ctx, tx, changed)
	})
}

// callHistory is a row of hook_calls.
type callHistory struct {
	ProjectID int64     `db:"project_id"`
	LastAt    time.Time `db:"last_at"`
	LastID    int64     `db:"last_id"`
	Days      string    `db:"days"`

	Platform string `db:"platform,computed"` // of the project, as is its name; only listed
	Project  string `db:"project_name,computed"`

	MissedFirst *time.Time `db:"missed_first_at"`
	MissedLast  *time.Time `db:"missed_last_at"`
}

var callHistoryColumns = sqldb.ColumnsOf[callHistory]()

func (r callHistory) missed() (missed liveness.MissedPushes) {
	if r.MissedFirst != nil && r.MissedLast != nil {
		missed.Found(*r.MissedFirst)
		missed.Found(*r.MissedLast)
	}
	return missed
}

func (r callHistory) after(project int64, calls []hookCall) callHistory {
	var history liveness.Calls
	if !r.LastAt.IsZero() {
		history = liveness.ParseCalls(r.LastAt, r.Days)
	}
	missed := r.missed()
	for _, call := range calls {
		if call.Event == core.OriginReconcile {
			missed.Found(call.ReceivedAt)
			continue
		}
		missed = liveness.MissedPushes{}
		history.Add(call.ReceivedAt)
		r.LastID = max(r.LastID, call.ID)
	}
	after := callHistory{ProjectID: project, LastAt: history.Last, LastID: r.LastID, Days: history.Days()}
	if !missed.First.IsZero() {
		after.MissedFirst, after.MissedLast = &missed.First, &missed.Last
	}
	return after
}

// utc makes rows comparable: engines hand times out in zones of their own.
func (r callHistory) utc() callHistory {
	r.LastAt = r.LastAt.UTC()
	if missed := r.missed(); !missed.First.IsZero() {
		r.MissedFirst, r.MissedLast = &missed.First, &missed.Last
	}
	return r
}

func (s *Store) lockCallHistories(ctx context.Context, tx *sqlx.Tx, keys []int64) (map[int64]callHistory, error) {
	var rows []callHistory
	err := sqldb.SelectIn(ctx, tx, &rows, `
		SELECT `+callHistoryColumns+` FROM hook_calls WHERE project_id IN (?)
		ORDER BY project_id `+s.db.ForUpdate, keys)
	known := map[int64]callHistory{}
	for _, row := range rows {
		row = row.utc()
		known[row.ProjectID] = row
	}
	return known, err
}

// historiesPerStatement keeps a statement below the engines' limit of parameters.
const historiesPerStatement = 500

func putCallHistories(ctx context.Context, tx *sqlx.Tx, rows []callHistory) error {
	for chunk := range slices.Chunk(rows, historiesPerStatement) {
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO hook_calls (project_id, last_at, last_id, days, missed_first_at, missed_last_at)
			VALUES (:project_id, :last_at, :last_id, :days, :missed_first_at, :missed_last_at)
			ON CONFLICT (project_id) DO UPDATE SET
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
	var rows []callHistory
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+callHistoryColumns+`, `+ofProject("", "platform")+` AS platform, `+ofProject("", "name")+` AS project_name
		FROM hook_calls WHERE `+notGone+` ORDER BY platform, project_name`)
	if err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", sqldb.Classify(err))
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

// Hooks lists the webhooks of the projects that the policies name, from the database at url. The schema is not touched;
// the error is core.ErrNotFound where there is no database yet.
func Hooks(ctx context.Context, url string, policies core.Policies) ([]liveness.Hook, error) {
	s, err := Attach(ctx, Config{URL: url, Policies: policies})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return s.ListHooks(ctx)
}
