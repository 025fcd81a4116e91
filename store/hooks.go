package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// HookPlace is a place where webhooks that call us can be: a project, a group or organisation, a GitHub App.
type HookPlace struct {
	ID             int64      `db:"id"`
	SourcePlatform string     `db:"source_platform"`
	Scope          string     `db:"scope"`         // project, group or app
	Owner          string     `db:"owner"`         // full path, empty for an App
	State          string     `db:"state"`         // as of the last check: see MustMend; else none, hidden or active
	Note           string     `db:"note"`          // what is wrong, or empty
	ArrivedUntil   *time.Time `db:"arrived_until"` // everything that was sent before has arrived
	Failures       int        `db:"failures"`      // checks since the last one that succeeded
	CheckedAt      *time.Time `db:"checked_at"`
	NextCheckAt    time.Time  `db:"next_check_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
}

// MustMend tells that pushes do not come through the place: its webhook is switched off, paused or disabled by the
// platform, or broken, which is called but without pushes or without the right secret.
func (p HookPlace) MustMend() bool {
	return p.State == "off" || p.State == "paused" || p.State == "disabled" || p.State == "broken"
}

// Covers tells whether a project's calls can come by the place.
func (p HookPlace) Covers(project string) bool {
	owner, name := strings.ToLower(p.Owner), strings.ToLower(project)
	return owner == "" || owner == name || p.Scope == "group" && strings.HasPrefix(name, owner+"/")
}

// toMend are the places that a person has to look at.
const toMend = `state IN ('off', 'paused', 'disabled', 'broken') OR state = 'active' AND note <> ''`

// MaxFailingHooks is how many ListFailingHooks returns at most.
const MaxFailingHooks = 100

// PutHookPlaces adds places whose first check is due at once; those that are known stay as they are.
func (s *Store) PutHookPlaces(ctx context.Context, places []HookPlace) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		for _, p := range places {
			_, err := tx.ExecContext(ctx, tx.Rebind(`
				INSERT INTO hook_places (source_platform, scope, owner, next_check_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (source_platform, scope, owner) DO NOTHING`), p.SourcePlatform, p.Scope, p.Owner, s.clock())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("putting places of webhooks: %w", err)
	}
	return nil
}

// HastenHookChecks makes every check of a platform due now: nobody knows what was sent while nobody listened.
func (s *Store) HastenHookChecks(ctx context.Context, platform string) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock()
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE hook_places SET next_check_at = ? WHERE source_platform = ? AND next_check_at > ?`), now, platform, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("hastening checks of webhooks: %w", err)
	}
	return nil
}

// ClaimHookPlace leases the place of a platform that has waited longest for its check, those last where no webhook was
// seen the last time; core.ErrNotFound when none is due.
func (s *Store) ClaimHookPlace(ctx context.Context, platform string, lease time.Duration) (claimed HookPlace, err error) {
	err = s.transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock()
		return tx.GetContext(ctx, &claimed, tx.Rebind(`
			UPDATE hook_places SET lease_until = ?
			WHERE id = (SELECT id FROM hook_places
				WHERE source_platform = ? AND next_check_at <= ? AND (lease_until IS NULL OR lease_until <= ?)
				ORDER BY CASE WHEN state IN ('none', 'hidden') THEN 1 ELSE 0 END, next_check_at, id
				LIMIT 1 `+s.dialect.skipLocked+`)
				AND (lease_until IS NULL OR lease_until <= ?)
			RETURNING `+hookColumns), now.Add(lease), platform, now, now, now)
	})
	if err != nil {
		return HookPlace{}, fmt.Errorf("claiming a place of webhooks: %w", err)
	}
	return claimed, nil
}

// ClaimHookPlaceNow leases one place, whenever its check is due. core.ErrConflict while another process looks at it.
func (s *Store) ClaimHookPlaceNow(ctx context.Context, p HookPlace, lease time.Duration) (claimed HookPlace, err error) {
	if err := s.PutHookPlaces(ctx, []HookPlace{p}); err != nil {
		return HookPlace{}, err
	}
	err = s.transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock()
		err := tx.GetContext(ctx, &claimed, tx.Rebind(`
			UPDATE hook_places SET lease_until = ?
			WHERE source_platform = ? AND scope = ? AND owner = ? AND (lease_until IS NULL OR lease_until <= ?)
			RETURNING `+hookColumns), now.Add(lease), p.SourcePlatform, p.Scope, p.Owner, now)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: another process is looking at it", core.ErrConflict)
		}
		return err
	})
	if err != nil {
		return HookPlace{}, fmt.Errorf("claiming a place of webhooks: %w", err)
	}
	return claimed, nil
}

// SettleHookPlace ends the lease and keeps what the check found: State, Note, ArrivedUntil, Failures and
// CheckedAt of next, which is due after the pause. core.ErrConflict when the lease was lost.
func (s *Store) SettleHookPlace(ctx context.Context, claimed, next HookPlace, pause time.Duration) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		settled, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE hook_places SET lease_until = NULL, next_check_at = ?, state = ?, note = ?, arrived_until = ?,
				failures = ?, checked_at = ?
			WHERE id = ? AND lease_until = ?`),
			s.clock().Add(pause), next.State, next.Note, next.ArrivedUntil, next.Failures, next.CheckedAt,
			claimed.ID, claimed.LeaseUntil)
		return oneRow(settled, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling a place of webhooks: %w", err)
	}
	return nil
}

// ListFailingHooks returns the places whose webhooks let no pushes through, and the others that have a note.
func (s *Store) ListFailingHooks(ctx context.Context) (list []HookPlace, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+hookColumns+` FROM hook_places WHERE `+toMend+`
		ORDER BY source_platform, scope, owner LIMIT ?`), MaxFailingHooks)
	if err != nil {
		return nil, fmt.Errorf("listing failing webhooks: %w", classify(err))
	}
	return list, nil
}

// ListWatchedSince returns a platform's projects under watch that were put there after the one with the id since.
func (s *Store) ListWatchedSince(ctx context.Context, platform string, since int64) (list []Watched, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+watchedColumns+` FROM watched_projects WHERE source_platform = ? AND id > ? ORDER BY id`), platform, since)
	if err != nil {
		return nil, fmt.Errorf("listing projects under watch: %w", classify(err))
	}
	return list, nil
}
