package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

const (
	noteEvery = time.Minute // as exact as an administrator needs it; more would make all deliveries wait for one row
	maxNoted  = 10_000      // what is remembered of what was noted
)

// noted is something of which the latest moment is kept: the use of a secret, or a signed call of a project.
type noted struct{ platform, secret, project string }

// notebook remembers what was noted lately and need not be written again yet.
type notebook struct {
	mu sync.Mutex
	at map[noted]time.Time
}

func (n *notebook) lately(what noted, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, known := n.at[what]
	return known && now.Sub(at) < noteEvery
}

func (n *notebook) note(what noted, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.at == nil || len(n.at) >= maxNoted {
		n.at = map[noted]time.Time{}
	}
	n.at[what] = now
}

// forget has the next moment written, however soon it comes.
func (n *notebook) forget(what noted) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.at, what)
}

func (i *intake) use() noted {
	return noted{platform: i.delivery.Platform, secret: i.delivery.Proof.SecretID}
}

func (i *intake) pin() noted {
	return noted{platform: i.delivery.Platform, project: core.LooseProject(i.delivery.Project)}
}

// noteSecrets keeps when each secret was used last, by whatever call it verified.
func (s *Store) noteSecrets(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	used := map[noted]core.SecretUse{}
	for _, item := range batch {
		if d := item.delivery; d != nil && d.Proof.SecretID != "" && !s.noted.lately(item.use(), s.clock()) {
			used[item.use()] = core.SecretUse{
				Platform: d.Platform, SecretID: d.Proof.SecretID, Place: d.Proof.Place, LastUsedAt: s.clock(),
			}
		}
	}
	if len(used) == 0 {
		return nil
	}
	var rows []core.SecretUse
	for _, row := range used {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b core.SecretUse) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.SecretID, b.SecretID))
	})
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO secret_uses (platform, secret_id, place, first_used_at, last_used_at)
		VALUES (:platform, :secret_id, :place, :last_used_at, :last_used_at)
		ON CONFLICT (platform, secret_id) DO UPDATE SET place = excluded.place, last_used_at = excluded.last_used_at`, rows)
	return err
}

// noteBatch remembers what a batch that is on disk has noted.
func (s *Store) noteBatch(batch []*intake) {
	now := s.clock()
	for _, item := range batch {
		d := item.delivery
		if d == nil {
			continue
		}
		if !s.noted.lately(item.use(), now) {
			s.noted.note(item.use(), now)
		}
		if d.Proof.Signed && d.Proof.MaySign && !s.noted.lately(item.pin(), now) {
			s.noted.note(item.pin(), now)
		}
	}
}

// Evidence is what is kept of how calls were verified.
type Evidence struct {
	Secrets []core.SecretUse
	Refused []core.RefusedProject // the latest first, at most maxRefused
}

const maxRefused = 20

// UseOf returns when a secret was used; its times are zero where it never was.
func (e Evidence) UseOf(platform, secretID string) core.SecretUse {
	for _, use := range e.Secrets {
		if use.Platform == platform && use.SecretID == secretID {
			return use
		}
	}
	return core.SecretUse{}
}

// Where leaves out the refused projects whose calls cannot be signed any more: nothing is refused for them now.
func (e Evidence) Where(maySign func(platform, project string) bool) Evidence {
	e.Refused = slices.DeleteFunc(slices.Clone(e.Refused), func(p core.RefusedProject) bool {
		return !maySign(p.Platform, p.ProjectName)
	})
	return e
}

// ListEvidence returns which secrets verified calls, and for which projects calls were refused that were not signed. A
// signed call that came later shows that the webhook was mended, and ends that.
func (s *Store) ListEvidence(ctx context.Context) (Evidence, error) { return listEvidence(ctx, s.db) }

// ReadEvidence is ListEvidence of a database whose schema is not to be touched. It is core.ErrNotFound where the schema
// is not there yet.
func ReadEvidence(ctx context.Context, url string) (Evidence, error) {
	db, d, err := connect(url)
	if err != nil {
		return Evidence{}, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	if d.file != "" {
		if err := probeFile(d.file); err != nil {
			return Evidence{}, fmt.Errorf("looking for database: %w", err)
		}
	}
	return listEvidence(ctx, db)
}

func listEvidence(ctx context.Context, db *sqlx.DB) (e Evidence, err error) {
	err = db.SelectContext(ctx, &e.Secrets, `SELECT `+secretColumns+` FROM secret_uses ORDER BY platform, secret_id`)
	if err == nil {
		err = db.SelectContext(ctx, &e.Refused, db.Rebind(`
			SELECT platform, project_name, first_signed_at, last_signed_at, num_refused, last_refused_at
			FROM signed_projects WHERE num_refused > 0 AND last_refused_at >= last_signed_at
			ORDER BY last_refused_at DESC LIMIT ?`), maxRefused)
	}
	if isUndefined(err) {
		err = errors.Join(core.ErrNotFound, err)
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("listing evidence: %w", classify(err))
	}
	return e, nil
}
