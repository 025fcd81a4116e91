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

// maxNames bounds how many names of one project are looked at.
const maxNames = 10

// linkedNames are the recorded names under which a scan's project was scanned, its own first.
func linkedNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan) ([]string, error) {
	names := []string{scan.ProjectName}
	for i := 0; i < len(names); i++ {
		var former []string
		err := sqlx.SelectContext(ctx, q, &former, q.Rebind(`
			SELECT former_name FROM former_names WHERE source_platform = ? AND project_name = ? ORDER BY former_name`),
			scan.SourcePlatform, names[i])
		if err != nil {
			return nil, err
		}
		for _, name := range former {
			if len(names) < maxNames && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// provenNames are further names that a scan's project had before: its platform knew them by the id that stays, one of
// the first commits under the present name came onto one that was scanned under the former, and no scan has used the
// former name since. The id alone would let everybody who knows the secret of some repository claim another one.
func provenNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan, known []string) (names []string, err error) {
	if scan.ProjectRef == "" {
		return nil, nil
	}
	first, onto, err := beginning(ctx, q, scan)
	if err != nil || len(onto) == 0 {
		return nil, err
	}
	query, args, err := sqlx.In(`
		WITH onto (commit_sha) AS (VALUES `+sqldb.Tuples(len(onto), 1)+`),
		former (name) AS (SELECT (
			SELECT MIN(f.project_name) FROM scans f
			WHERE f.commit_sha = onto.commit_sha AND f.source_platform || '' = ? AND f.project_ref = ? AND f.project_name NOT IN (?)
				AND `+newestOfProject+` < ?) FROM onto)
		SELECT name FROM former WHERE name IS NOT NULL`,
		append(onto, scan.SourcePlatform, scan.ProjectRef, known, first)...)
	if err != nil {
		return nil, err
	}
	err = sqlx.SelectContext(ctx, q, &names, q.Rebind(query), args...)
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxNames)], err
}

// newestOfProject is the number of the newest scan of the project of a scan f.
var newestOfProject = `(SELECT later.id FROM scans later
	WHERE ` + wholeProject("later") + ` <= ` + wholeProject("f") + `
	ORDER BY ` + wholeProject("later") + ` DESC, later.id DESC LIMIT 1)`

// beginning is the first scan under a project's present name, and the commits onto which its first ones came.
func beginning(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (first int64, onto []any, err error) {
	var early []core.Scan
	err = sqlx.SelectContext(ctx, q, &early, q.Rebind(`
		SELECT id, source_platform, project_name, project_ref, before_sha, merge_base_sha FROM scans s
		WHERE `+wholeProject("s")+` >= ? ORDER BY `+wholeProject("s")+`, id LIMIT 20`), wholeProjectKey(scan))
	seen := map[string]bool{}
	for i, s := range early {
		if wholeProjectKey(s) != wholeProjectKey(scan) {
			break
		}
		if i == 0 {
			first = s.ID
		}
		for _, commit := range []string{s.BeforeSHA, s.MergeBaseSHA} {
			if s.ProjectRef == scan.ProjectRef && core.IsCommitSHA(commit) && !seen[commit] {
				seen[commit], onto = true, append(onto, commit)
			}
		}
	}
	return first, onto, err
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
