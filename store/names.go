package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Platforms compare the names of projects without case, and payloads, people and CI jobs spell one name in several ways.
// All tables hold the spelling that came first, so that statements compare plain columns: whatever brings a name
// from outside, it is respelt here.

// ProjectName is the spelling under which everything about a project is kept; the name as it is where it is not known.
func (s *Store) ProjectName(ctx context.Context, platform, name string) (string, error) {
	spelt, err := s.spelling(ctx, s.db.DB, platform, name)
	if errors.Is(err, core.ErrNotFound) {
		return name, nil
	}
	return spelt, err
}

// spelling returns core.ErrNotFound for a name that never came.
func (s *Store) spelling(ctx context.Context, db *sqlx.DB, platform, name string) (string, error) {
	key := projectKey{platform, core.ProjectKey(name)}
	if spelt, known := s.spelt.get(key); known || name == "" {
		return spelt, nil
	}
	var spelt string
	if err := db.GetContext(ctx, &spelt, db.Rebind(selectSpelling), key.project, platform); err != nil {
		return "", fmt.Errorf("spelling %s: %w", name, sqldb.Classify(err))
	}
	s.spelt.put(key, spelt)
	return spelt, nil
}

const selectSpelling = `SELECT project_name FROM project_names WHERE project_key = ? AND source_platform = ?`

// respell puts the kept spellings in the place of names.
func (s *Store) respell(ctx context.Context, platform string, names ...*string) error {
	for _, name := range names {
		spelt, err := s.spell(ctx, platform, *name)
		if err != nil {
			return err
		}
		*name = spelt
	}
	return nil
}

// spell is the spelling of a project's name; the given one from now on where none came before.
func (s *Store) spell(ctx context.Context, platform, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, intakeTimeout)
	defer cancel()
	spelt, err := s.spelling(ctx, s.db.Urgent(), platform, name)
	if !errors.Is(err, core.ErrNotFound) {
		return spelt, err
	}
	key := projectKey{platform, core.ProjectKey(name)}
	err = s.db.TransactUrgent(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO project_names (project_key, source_platform, project_name) VALUES (?, ?, ?)
			ON CONFLICT (project_key, source_platform) DO NOTHING`), key.project, platform, name)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &spelt, tx.Rebind(selectSpelling), key.project, platform)
	})
	if err != nil {
		s.noteWrite(err)
		return "", fmt.Errorf("spelling %s: %w", name, err)
	}
	s.spelt.put(key, spelt)
	return spelt, nil
}

// spellingsOf is what a filter means by the project's name on one platform, or on each where none is chosen.
func (s *Store) spellingsOf(ctx context.Context, platform, name string) (named namedProject, err error) {
	named.given = name
	switch {
	case name == "":
		return named, nil
	case platform != "":
		if name, err = s.ProjectName(ctx, platform, name); err != nil {
			return named, err
		}
		named.byPlatform = map[string]string{platform: name}
		return named, nil
	}
	var rows []struct {
		Platform string `db:"source_platform"`
		Name     string `db:"project_name"`
	}
	err = s.db.SelectContext(ctx, &rows, s.db.Rebind(`
		SELECT source_platform, project_name FROM project_names WHERE project_key = ?`), core.ProjectKey(name))
	named.byPlatform = map[string]string{}
	for _, row := range rows {
		named.byPlatform[row.Platform] = row.Name
	}
	return named, sqldb.Classify(err)
}

// namedProject is a project as a filter names it.
type namedProject struct {
	given      string
	byPlatform map[string]string // how it is spelt
}

// on is the spelling of one platform.
func (n namedProject) on(platform string) string {
	if name, known := n.byPlatform[platform]; known {
		return name
	}
	return n.given
}

// addTo makes the filter one of the conditions.
func (n namedProject) addTo(where *sqldb.Conditions) {
	names := []string{}
	for _, name := range n.byPlatform {
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		names = []string{n.given}
	}
	var same sqldb.Conditions
	for _, name := range names {
		same.Add(true, `project_name = ?`, name)
	}
	where.Add(n.given != "", `(`+strings.Join(same.Parts, ` OR `)+`)`, same.Args...)
}

// linkNames records a project's former names, and lets triage under them hold under the present one from then on.
func linkNames(ctx context.Context, tx *sqlx.Tx, platform, name string, former []string) error {
	for _, old := range former {
		linked, err := sqldb.Exec(ctx, tx, `
			INSERT INTO former_names (source_platform, project_name, former_name) VALUES (?, ?, ?)
			ON CONFLICT (source_platform, project_name, former_name) DO NOTHING`, platform, name, old)
		if err == nil && linked > 0 {
			err = copyDecisions(ctx, tx, platform, name, old)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyDecisions copies; of two decisions from one source the later one holds.
func copyDecisions(ctx context.Context, tx *sqlx.Tx, platform, name, former string) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO triage_decisions (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		SELECT source_platform, CAST(? AS TEXT), fingerprint, source, decision, author, comment, finding_id, timestamp
		FROM triage_decisions WHERE source_platform = ? AND project_name = ? ORDER BY id
		ON CONFLICT (source_platform, project_name, fingerprint, source) DO UPDATE SET
			decision = excluded.decision, author = excluded.author, comment = excluded.comment,
			finding_id = excluded.finding_id, timestamp = excluded.timestamp
		WHERE excluded.timestamp > triage_decisions.timestamp`), name, platform, former)
	return err
}
