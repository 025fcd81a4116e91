package store

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxNames bounds how many names of one project are looked at.
const maxNames = 10

// linkedNames are the names under which a scan's project was scanned as far as that was noted, its own first.
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
// the first commits under the present name came onto one that was scanned under the former, and the former has not been
// heard of since. The id alone would be believed of whoever knows some repository's secret.
func provenNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan, known []string) (names []string, err error) {
	if scan.ProjectRef == "" {
		return nil, nil
	}
	first, onto, err := beginning(ctx, q, scan)
	if err != nil || len(onto) == 0 {
		return nil, err
	}
	query, args, err := sqlx.In(`
		WITH onto (commit_sha) AS (VALUES `+tuples(len(onto), 1)+`),
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

// newestOfProject is the number of the newest scan of the project of a scan f. No other index has them in this order.
const newestOfProject = `(SELECT later.id FROM scans later
	WHERE later.source_platform = f.source_platform
		AND later.project_name >= f.project_name AND later.project_name <= f.project_name
	ORDER BY later.project_name DESC, later.id DESC LIMIT 1)`

// beginning is the first scan under a project's present name, and the commits onto which its first ones came.
func beginning(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (first int64, onto []any, err error) {
	var early []core.Scan
	err = sqlx.SelectContext(ctx, q, &early, q.Rebind(`
		SELECT id, project_ref, before_sha, merge_base_sha FROM scans
		WHERE source_platform = ? AND project_name >= ? AND project_name <= ?
		ORDER BY project_name, id LIMIT 20`), scan.SourcePlatform, scan.ProjectName, scan.ProjectName)
	seen := map[string]bool{}
	for i, s := range early {
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

// linkNames notes a project's former names, and lets what people said of findings under them hold under the present one
// from then on.
func linkNames(ctx context.Context, tx *sqlx.Tx, platform, name string, former []string) error {
	for _, old := range former {
		linked, err := rowsChanged(ctx, tx, `
			INSERT INTO former_names (source_platform, project_name, former_name) VALUES (?, ?, ?)
			ON CONFLICT (source_platform, project_name, former_name) DO NOTHING`, platform, name, old)
		if err == nil && linked > 0 {
			err = bringWords(ctx, tx, platform, name, old)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bringWords copies; of two words from one source the later one holds.
func bringWords(ctx context.Context, tx *sqlx.Tx, platform, name, former string) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO triage_words (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		SELECT source_platform, CAST(? AS TEXT), fingerprint, source, decision, author, comment, finding_id, timestamp
		FROM triage_words WHERE source_platform = ? AND project_name = ? ORDER BY id
		ON CONFLICT (source_platform, project_name, fingerprint, source) DO UPDATE SET
			decision = excluded.decision, author = excluded.author, comment = excluded.comment,
			finding_id = excluded.finding_id, timestamp = excluded.timestamp
		WHERE excluded.timestamp > triage_words.timestamp`), name, platform, former)
	return err
}
