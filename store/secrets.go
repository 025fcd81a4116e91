package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// writeEvery is as exact as an administrator needs it. More would make all deliveries wait for one row.
const writeEvery = time.Minute

var secretColumns = sqldb.ColumnsOf[core.SecretUsage]()

func useOf(d *core.Delivery) writtenKey {
	return writtenKey{platform: d.Platform, secret: d.Verification.SecretID}
}

func pinOf(d *core.Delivery) writtenKey {
	return writtenKey{project: d.ProjectID}
}

// putSecretUsage keeps when each secret was used last, by whichever call it verified.
func (s *Store) putSecretUsage(ctx context.Context, tx *sqlx.Tx, batch []*keeping) error {
	used := map[writtenKey]core.SecretUsage{}
	for _, item := range batch {
		if d := &item.Delivery; d.Verification.SecretID != "" && !s.isWritten(useOf(d), s.clock.Timestamp()) {
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

// onlyKeeps tells whether there is nothing to write of a batch but its calls: pinSigning and putSecretUsage would do nothing.
func (s *Store) onlyKeeps(batch []*keeping) bool {
	now := s.clock.Timestamp()
	return !slices.ContainsFunc(batch, func(item *keeping) bool {
		d := &item.Delivery
		pins := d.Verification.MaySign && d.Project != "" &&
			(!d.Verification.Signed || d.ProjectID != 0 && !s.isWritten(pinOf(d), now))
		return pins || item.refused != "" || d.Verification.SecretID != "" && !s.isWritten(useOf(d), now)
	})
}

// rememberBatch remembers what a batch that is on disk has written.
func (s *Store) rememberBatch(batch []*keeping) {
	now := s.clock.Timestamp()
	for _, item := range batch {
		d := &item.Delivery
		if !s.isWritten(useOf(d), now) {
			s.written.put(useOf(d), now)
		}
		if d.Verification.Signed && d.Verification.MaySign && d.ProjectID != 0 && !s.isWritten(pinOf(d), now) {
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
			SELECT p.platform, p.name AS project_name, s.first_signed_at, s.last_signed_at, s.num_refused, s.last_refused_at
			FROM signed_projects s JOIN projects p ON p.id = s.project_id
			WHERE s.num_refused > 0 AND s.last_refused_at >= s.last_signed_at
			ORDER BY s.last_refused_at DESC LIMIT ?`), maxRefused)
	}
	if sqldb.IsUndefined(err) {
		err = errors.Join(core.ErrNotFound, err)
	}
	if err != nil {
		return SecretUsages{}, fmt.Errorf("listing usage of secrets: %w", sqldb.Classify(err))
	}
	return e, nil
}

// projectOfSigned makes the project of a signed call known at once: from this call on, all others of it must be signed. found is
// what the call's name means so far.
func (s *Store) projectOfSigned(ctx context.Context, d *core.Delivery, found core.KeptProject) (core.KeptProject, error) {
	_, change := d.Event.(core.ProjectChange) // which is taken in the order of the calls, see noteChange
	if v := d.Verification; !v.Signed || !v.MaySign || d.Project == "" || d.ProjectID != 0 || change {
		return found, nil
	}
	subject := d.Subject()
	subject.Name = cmp.Or(subject.Name, d.Project)
	project, err := s.settleProject(ctx, s.sightingOf(*d, subject))
	d.ProjectID = project.ID
	return project, err
}

// pinSigning remembers whose calls are signed, and from then on refuses calls with only a plain token: it is part of each call, so
// an eavesdropper knows it. All of a batch is pinned before any of it is judged.
func (s *Store) pinSigning(ctx context.Context, tx *sqlx.Tx, batch []*keeping) error {
	now, signed := s.clock.Timestamp(), map[int64]bool{}
	weak := map[weakCall][]*keeping{}
	for _, item := range batch {
		item.refused = ""
		switch d := &item.Delivery; {
		case !d.Verification.MaySign || d.Project == "":
		case !d.Verification.Signed:
			call := weakCall{d.Platform, core.ProjectAddress(d.Project), d.Subject().Ref}
			weak[call] = append(weak[call], item)
		case d.ProjectID != 0 && !s.isWritten(pinOf(d), now):
			signed[d.ProjectID] = true
		}
	}
	if err := pin(ctx, tx, slices.Sorted(maps.Keys(signed)), now); err != nil {
		return fmt.Errorf("pinning signatures: %w", err)
	}
	return s.refuseWeak(ctx, tx, weak)
}

// pin takes the projects in one order, so that no two transactions wait for each other.
func pin(ctx context.Context, tx *sqlx.Tx, projects []int64, now time.Time) error {
	for _, project := range projects {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO signed_projects (project_id, first_signed_at, last_signed_at) VALUES (?, ?, ?)
			ON CONFLICT (project_id) DO UPDATE SET last_signed_at = excluded.last_signed_at`), project, now, now)
		if err != nil {
			return err
		}
	}
	return nil
}

// weakCall is what a call with only a plain token says of its project.
type weakCall struct {
	Platform string `db:"platform"`
	Address  string `db:"address"` // the path in the spelling that all spellings share
	Ref      string `db:"project_ref"`
}

// refuseWeak refuses plain tokens for projects that are pinned, by their present path or by their number: either identifies
// them.
func (s *Store) refuseWeak(ctx context.Context, tx *sqlx.Tx, weak map[weakCall][]*keeping) error {
	if len(weak) == 0 {
		return nil
	}
	var args []any
	for call := range weak {
		args = append(args, call.Platform, call.Address, call.Ref)
	}
	var pinned []struct {
		weakCall
		Pin   int64     `db:"pin"`
		Since time.Time `db:"first_signed_at"`
	}
	err := tx.SelectContext(ctx, &pinned, tx.Rebind(`
		WITH wanted (platform, address, project_ref) AS (VALUES `+sqldb.Tuples(len(weak), 3)+`)
		SELECT w.platform, w.address, w.project_ref, s.project_id AS pin, s.first_signed_at FROM wanted w
		JOIN projects p ON p.platform = w.platform AND p.name_key = w.address AND p.gone_at IS NULL
		JOIN signed_projects s ON s.project_id = p.id
		UNION
		SELECT w.platform, w.address, w.project_ref, s.project_id AS pin, s.first_signed_at FROM wanted w
		JOIN projects p ON p.platform = w.platform AND p.platform_ref = w.project_ref AND p.platform_ref <> ''
		JOIN signed_projects s ON s.project_id = p.id
		ORDER BY pin`), args...)
	if err != nil {
		return fmt.Errorf("looking for pinned signatures: %w", err)
	}
	for _, row := range pinned {
		items := weak[row.weakCall]
		for _, item := range items {
			item.refused = notSigned(item.Project, row.Since)
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE signed_projects SET num_refused = num_refused + ?, last_refused_at = ? WHERE project_id = ?`),
			len(items), s.clock.Timestamp(), row.Pin); err != nil {
			return fmt.Errorf("counting refused calls: %w", err)
		}
		s.written.put(writtenKey{project: row.Pin}, time.Time{}) // the next signature ends the warning
	}
	return nil
}

func notSigned(project string, since time.Time) string {
	return fmt.Sprintf("calls for %s have been signed since %s, and this one bears only a secret token: enter the"+
		" signing token in this webhook of the project or its groups, or remove the webhook",
		project, since.UTC().Format(time.DateTime))
}

// hashAlerts keeps of which secrets alerts are that were made before secrets had hashes.
func hashAlerts(ctx context.Context, tx *sqlx.Tx, scan core.Scan, ids []int64) error {
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		_, err := sqldb.ExecIn(ctx, tx, `
			UPDATE alerts SET secret_hash = f.secret_hash FROM findings f
			WHERE alerts.id IN (?) AND f.scan_id = ? AND f.alert_id = alerts.id AND alerts.secret_hash = ''`, chunk, scan.ID)
		if err != nil {
			return err
		}
	}
	return nil
}
