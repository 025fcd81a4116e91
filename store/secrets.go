package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// writeEvery is as exact as an administrator needs it. More would make all deliveries wait for one row.
const writeEvery = time.Minute

var secretColumns = sqldb.ColumnsOf[core.SecretUsage]()

func useOf(d *core.Delivery) writtenKey {
	return writtenKey{platform: d.Platform, secret: d.Verification.SecretID}
}

func pinOf(d *core.Delivery) writtenKey {
	return writtenKey{platform: d.Platform, project: core.ProjectAddress(d.Project)}
}

// putSecretUsage keeps when each secret was used last, by whichever call it verified.
func (s *Store) putSecretUsage(ctx context.Context, tx *sqlx.Tx, batch []*intake.Request) error {
	used := map[writtenKey]core.SecretUsage{}
	for _, item := range batch {
		if d := item.Delivery; d != nil && d.Verification.SecretID != "" && !s.isWritten(useOf(d), s.clock.Timestamp()) {
			used[useOf(d)] = core.SecretUsage{
				Platform: d.Platform, SecretID: d.Verification.SecretID, Place: d.Verification.Place, LastUsedAt: s.clock.Timestamp(),
			}
		}
	}
	if len(used) == 0 {
		return nil
	}
	var rows []core.SecretUsage
	for _, row := range used {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b core.SecretUsage) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.SecretID, b.SecretID))
	})
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO secret_usages (platform, secret_id, place, first_used_at, last_used_at)
		VALUES (:platform, :secret_id, :place, :last_used_at, :last_used_at)
		ON CONFLICT (platform, secret_id) DO UPDATE SET place = excluded.place, last_used_at = excluded.last_used_at`, rows)
	return err
}

// isWritten tells whether the time was written so lately that it need not be written again yet.
func (s *Store) isWritten(what writtenKey, now time.Time) bool {
	at, known := s.written.get(what)
	return known && now.Sub(at) < writeEvery
}

// rememberBatch remembers what a batch that is on disk has written.
func (s *Store) rememberBatch(batch []*intake.Request) {
	now := s.clock.Timestamp()
	for _, item := range batch {
		d := item.Delivery
		if d == nil {
			continue
		}
		if !s.isWritten(useOf(d), now) {
			s.written.put(useOf(d), now)
		}
		if d.Verification.Signed && d.Verification.MaySign && !s.isWritten(pinOf(d), now) {
			s.written.put(pinOf(d), now)
		}
	}
}

// SecretUsages is what is kept of how calls were verified.
type SecretUsages struct {
	Secrets []core.SecretUsage
	Refused []core.RefusedProject // the latest first, at most maxRefused
}

const maxRefused = 20

// Of returns when a secret was used; its times are zero where it never was.
func (e SecretUsages) Of(platform, secretID string) core.SecretUsage {
	for _, use := range e.Secrets {
		if use.Platform == platform && use.SecretID == secretID {
			return use
		}
	}
	return core.SecretUsage{}
}

// Where omits the refused projects whose calls cannot be signed any more: nothing is refused for them now.
func (e SecretUsages) Where(maySign func(platform, project string) bool) SecretUsages {
	e.Refused = slices.DeleteFunc(slices.Clone(e.Refused), func(p core.RefusedProject) bool {
		return !maySign(p.Platform, p.ProjectName)
	})
	return e
}

// ListSecretUsages returns which secrets verified calls, and for which projects unsigned calls were refused. A signed
// call that came later shows that the webhook was repaired, and ends that.
func (s *Store) ListSecretUsages(ctx context.Context) (SecretUsages, error) {
	return listSecretUsage(ctx, s.db)
}

// ReadSecretUsages is ListSecretUsages of a database whose schema is not to be touched. It is core.ErrNotFound where
// the schema is not there yet.
func ReadSecretUsages(ctx context.Context, url string) (SecretUsages, error) {
	db, err := sqldb.AttachUnchecked(url)
	if err != nil {
		return SecretUsages{}, err
	}
	defer func() { _ = db.Close() }()
	return listSecretUsage(ctx, db)
}

func listSecretUsage(ctx context.Context, db *sqldb.DB) (e SecretUsages, err error) {
	err = db.SelectContext(ctx, &e.Secrets, `SELECT `+secretColumns+` FROM secret_usages ORDER BY platform, secret_id`)
	if err == nil {
		err = db.SelectContext(ctx, &e.Refused, db.Rebind(`
			SELECT platform, project_name, first_signed_at, last_signed_at, num_refused, last_refused_at
			FROM signed_projects WHERE num_refused > 0 AND last_refused_at >= last_signed_at
			ORDER BY last_refused_at DESC LIMIT ?`), maxRefused)
	}
	if sqldb.IsUndefined(err) {
		err = errors.Join(core.ErrNotFound, err)
	}
	if err != nil {
		return SecretUsages{}, fmt.Errorf("listing usage of secrets: %w", sqldb.Classify(err))
	}
	return e, nil
}

// signedProject is a row of signed_projects as intake writes it.
type signedProject struct {
	Platform   string    `db:"platform"`
	ProjectKey string    `db:"project_key"` // the path in the spelling that all spellings share
	Project    string    `db:"project_name"`
	Ref        string    `db:"project_ref"`
	SignedAt   time.Time `db:"signed_at"`
}

func (p signedProject) compare(other signedProject) int {
	return cmp.Or(cmp.Compare(p.Platform, other.Platform), cmp.Compare(p.ProjectKey, other.ProjectKey))
}

func (s *Store) signedProjectOf(d *core.Delivery) signedProject {
	return signedProject{d.Platform, core.ProjectAddress(d.Project), d.Project, d.Subject().Ref, s.clock.Timestamp()}
}

// pinSigning remembers whose calls are signed, and from then on returns why it refuses calls with only a plain token: it is part of
// each call, so an eavesdropper knows it. All of a batch is pinned before any of it is judged.
func (s *Store) pinSigning(
	ctx context.Context, tx *sqlx.Tx, batch []*intake.Request) (refused map[*intake.Request]string, err error) {
	signed := map[writtenKey]signedProject{}
	weak := map[signedProject][]*intake.Request{}
	for _, item := range batch {
		switch d := item.Delivery; {
		case d == nil || !d.Verification.MaySign || d.Project == "":
		case d.Verification.Signed && !s.isWritten(pinOf(d), s.clock.Timestamp()):
			signed[pinOf(d)] = s.signedProjectOf(d)
		case !d.Verification.Signed:
			wanted := s.signedProjectOf(d)
			wanted.SignedAt = time.Time{}
			weak[wanted] = append(weak[wanted], item)
		}
	}
	if err := pin(ctx, tx, signed); err != nil {
		return nil, fmt.Errorf("pinning signatures: %w", err)
	}
	return s.refuseWeak(ctx, tx, weak)
}

func pin(ctx context.Context, tx *sqlx.Tx, signed map[writtenKey]signedProject) error {
	if len(signed) == 0 {
		return nil
	}
	var rows []signedProject
	for _, row := range signed {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, signedProject.compare)
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO signed_projects (platform, project_key, project_name, project_ref, first_signed_at, last_signed_at)
		VALUES (:platform, :project_key, :project_name, :project_ref, :signed_at, :signed_at)
		ON CONFLICT (platform, project_key) DO UPDATE SET last_signed_at = excluded.last_signed_at,
			project_ref = CASE WHEN excluded.project_ref = '' THEN signed_projects.project_ref ELSE excluded.project_ref END`,
		rows)
	return err
}

// refuseWeak refuses plain tokens for projects that are pinned, by their path or by their number: either identifies
// them.
func (s *Store) refuseWeak(ctx context.Context, tx *sqlx.Tx, weak map[signedProject][]*intake.Request) (
	refused map[*intake.Request]string, err error) {
	refused = map[*intake.Request]string{}
	if len(weak) == 0 {
		return refused, nil
	}
	var args []any
	for wanted := range weak {
		args = append(args, wanted.Platform, wanted.ProjectKey, wanted.Project, wanted.Ref)
	}
	var pinned []struct {
		signedProject
		Pin   string    `db:"pin"`
		Since time.Time `db:"first_signed_at"`
	}
	err = tx.SelectContext(ctx, &pinned, tx.Rebind(`
		WITH wanted (platform, project_key, project_name, project_ref) AS (VALUES `+sqldb.Tuples(len(weak), 4)+`)
		SELECT w.platform, w.project_key, w.project_name, w.project_ref, p.project_key AS pin, p.first_signed_at
		FROM wanted w JOIN signed_projects p ON p.platform = w.platform AND p.project_key = w.project_key
		UNION
		SELECT w.platform, w.project_key, w.project_name, w.project_ref, p.project_key AS pin, p.first_signed_at
		FROM wanted w JOIN signed_projects p ON p.platform = w.platform AND p.project_ref = w.project_ref
		WHERE w.project_ref <> ''
		ORDER BY 1, pin`), args...)
	if err != nil {
		return nil, fmt.Errorf("looking for pinned signatures: %w", err)
	}
	for _, row := range pinned {
		items := weak[row.signedProject]
		for _, item := range items {
			refused[item] = notSigned(row.Project, row.Since)
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE signed_projects SET num_refused = num_refused + ?, last_refused_at = ?
			WHERE platform = ? AND project_key = ?`), len(items), s.clock.Timestamp(), row.Platform, row.Pin); err != nil {
			return nil, fmt.Errorf("counting refused calls: %w", err)
		}
		s.written.put(writtenKey{platform: row.Platform, project: row.Pin}, time.Time{}) // the next signature ends the warning
	}
	return refused, nil
}

func notSigned(project string, since time.Time) string {
	return fmt.Sprintf("calls for %s have been signed since %s, and this one bears only a secret token: enter the"+
		" signing token in this webhook of the project or its groups, or remove the webhook",
		project, since.UTC().Format(time.DateTime))
}
