package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxNames bounds how many names of one project are looked at.
const maxNames = 20

// formerRun is newestRun among the scans that the project has from the time when it had another name: its platform knows
// it by an id that stays, and the commit that was pushed onto, or where the branch left, was scanned there.
func formerRun(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, wishes []wish,
) (newest completeRun, found bool, err error) {
	names, err := formerNames(ctx, q, scan)
	for _, name := range names {
		if err != nil {
			break
		}
		var run completeRun
		var one bool
		scan.ProjectName = name
		if run, one, err = newestRun(ctx, q, scan, scanner, wishes...); one && run.ScanID > newest.ScanID {
			newest, found = run, true
		}
	}
	return newest, found, err
}

// formerNames are the other names under which a project was scanned, and with them the commit that the scan follows: the id
// alone would be believed of whoever knows some repository's secret.
func formerNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (names []string, err error) {
	if scan.ProjectRef == "" {
		return nil, nil
	}
	err = sqlx.SelectContext(ctx, q, &names, q.Rebind(`
		SELECT DISTINCT project_name FROM scans
		WHERE commit_sha IN (?, ?) AND source_platform = ? AND project_ref = ? AND project_name <> ?
		LIMIT ?`), scan.BeforeSHA, scan.MergeBaseSHA, scan.SourcePlatform, scan.ProjectRef, scan.ProjectName, maxNames)
	return names, err
}

// bringWords lets what people said of findings under a project's former name hold under its new one, until the first scan
// there has ended: what is said and taken back from then on is not brought again.
func bringWords(ctx context.Context, tx *sqlx.Tx, scan core.Scan, former string) error {
	if former == scan.ProjectName {
		return nil
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO triage_words (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		SELECT source_platform, CAST(? AS TEXT), fingerprint, source, decision, author, comment, finding_id, timestamp
		FROM triage_words
		WHERE source_platform = ? AND project_name = ? AND NOT EXISTS (SELECT 1 FROM scans
			WHERE source_platform = ? AND project_name = ? AND id <> ? AND status = 'completed')
		ORDER BY id
		ON CONFLICT (source_platform, project_name, fingerprint, source) DO NOTHING`),
		scan.ProjectName, scan.SourcePlatform, former, scan.SourcePlatform, scan.ProjectName, scan.ID)
	return err
}
