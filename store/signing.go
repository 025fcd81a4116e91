package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

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
	return signedProject{d.Platform, core.LooseProject(d.Project), d.Project, d.Subject().Ref, s.clock()}
}

// pinSigning remembers whose calls are signed, and from then on refuses those that bear only a plain token: it travels
// with each call, so whoever overhears one knows it. All of a batch is pinned before any of it is judged.
func (s *Store) pinSigning(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	signed := map[noted]signedProject{}
	weak := map[signedProject][]*intake{}
	for _, item := range batch {
		switch d := item.delivery; {
		case d == nil || !d.Proof.MaySign || d.Project == "":
		case d.Proof.Signed && !s.noted.lately(item.pin(), s.clock()):
			signed[item.pin()] = s.signedProjectOf(d)
		case !d.Proof.Signed:
			wanted := s.signedProjectOf(d)
			wanted.SignedAt = time.Time{}
			weak[wanted] = append(weak[wanted], item)
		}
	}
	if err := pin(ctx, tx, signed); err != nil {
		return fmt.Errorf("pinning signatures: %w", err)
	}
	return s.refuseWeak(ctx, tx, weak)
}

func pin(ctx context.Context, tx *sqlx.Tx, signed map[noted]signedProject) error {
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

// refuseWeak refuses the plain tokens for projects that are pinned, by their path or by their number: either would
// reach them.
func (s *Store) refuseWeak(ctx context.Context, tx *sqlx.Tx, weak map[signedProject][]*intake) error {
	if len(weak) == 0 {
		return nil
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
	err := tx.SelectContext(ctx, &pinned, tx.Rebind(`
		WITH wanted (platform, project_key, project_name, project_ref) AS (VALUES `+tuples(len(weak), 4)+`)
		SELECT w.platform, w.project_key, w.project_name, w.project_ref, p.project_key AS pin, p.first_signed_at
		FROM wanted w JOIN signed_projects p ON p.platform = w.platform AND p.project_key = w.project_key
		UNION
		SELECT w.platform, w.project_key, w.project_name, w.project_ref, p.project_key AS pin, p.first_signed_at
		FROM wanted w JOIN signed_projects p ON p.platform = w.platform AND p.project_ref = w.project_ref
		WHERE w.project_ref <> ''
		ORDER BY 1, pin`), args...)
	if err != nil {
		return fmt.Errorf("looking for pinned signatures: %w", err)
	}
	for _, row := range pinned {
		items := weak[row.signedProject]
		for _, item := range items {
			item.refused = notSigned(row.Project, row.Since)
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE signed_projects SET num_refused = num_refused + ?, last_refused_at = ?
			WHERE platform = ? AND project_key = ?`), len(items), s.clock(), row.Platform, row.Pin); err != nil {
			return fmt.Errorf("counting refused calls: %w", err)
		}
		s.noted.forget(noted{platform: row.Platform, project: row.Pin}) // the next signature ends the warning
	}
	return nil
}

func notSigned(project string, since time.Time) string {
	return fmt.Sprintf("calls for %s have been signed since %s, and this one bears only a secret token: enter the"+
		" signing token in this webhook of the project or its groups, or remove the webhook",
		project, since.UTC().Format(time.DateTime))
}
