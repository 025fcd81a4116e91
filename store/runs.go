package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// completeRun is one scanner's complete run, with which another run of it can be compared.
type completeRun struct {
	ScanID      int64  `db:"scan_id"`
	JobID       int64  `db:"job_id"`
	CommitSHA   string `db:"commit_sha"`
	NumFindings int    `db:"num_findings"`
}

func (r completeRun) found() bool { return r.ScanID > 0 }

// wish says in SQL, with its parameters, what must hold for a scan s of a project, and in which order to look. Each can be
// answered by one index alone, so that no engine reads the whole project for it.
type wish struct {
	sql, order string
	args       func(platform, project string) []any
}

// thatScan wishes for a scan by its number.
func thatScan(id int64, condition string, args ...any) wish {
	return wish{`s.id = ? AND ` + projectOf("s") + ` = ? AND (` + condition + `)`, `s.id + 0 DESC`,
		func(platform, project string) []any { return append([]any{id, platform + "/" + project}, args...) }}
}

// atCommit wishes for the newest scan of a commit.
func atCommit(sha, condition string, args ...any) wish {
	return wish{ofCommit + ` AND (` + condition + `)`, `s.id + 0 DESC`,
		func(platform, project string) []any { return append(commitKey{platform, project, sha}.args(), args...) }}
}

// onBranch wishes for the newest scan of a branch before the one with the number, of a commit that the branch had reached.
func onBranch(branch string, before int64) wish {
	return wish{
		`s.source_platform = ? AND s.project_name = ? AND s.branch >= ? AND (s.branch, s.id) < (?, ?) AND NOT s.overtaken`,
		`s.branch DESC, s.id DESC`,
		func(platform, project string) []any { return []any{platform, project, branch, branch, before} },
	}
}

// newestRun finds a scanner's newest complete run of another commit of the scan's project, whose names are given, by the
// first of several wishes about the run's scan s that finds one, and tells by which.
func newestRun(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, names []string, scanner string, wishes ...wish,
) (newest completeRun, granted int, err error) {
	for i, wish := range wishes {
		for _, name := range names {
			scan.ProjectName = name
			run, err := runLike(ctx, q, scan, scanner, wish)
			if err != nil {
				return completeRun{}, 0, err
			}
			if run.ScanID > newest.ScanID {
				newest = run
			}
		}
		if newest.found() {
			return newest, i, nil
		}
	}
	return completeRun{}, 0, nil
}

// runLike answers the zero completeRun where there is none. It walks an index from its new end and stops at the first
// run, while one question that puts several wishes in order would read the whole branch, and so does PostgreSQL with a
// join, or where it takes complete runs for rare: "= 1" it holds for rare, "<> 0" for common.
func runLike(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, wish wish) (run completeRun, err error) {
	const jobs = `FROM scan_jobs j WHERE j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'`
	args := append([]any{scanner, scanner, scan.CommitSHA}, wish.args(scan.SourcePlatform, scan.ProjectName)...)
	err = sqlx.GetContext(ctx, q, &run, q.Rebind(`
		SELECT s.id AS scan_id, s.commit_sha, (SELECT j.id `+jobs+`) AS job_id, (SELECT j.num_findings `+jobs+`) AS num_findings
		FROM scans s
		WHERE s.commit_sha <> ? AND `+wish.sql+` AND (SELECT COUNT(*) `+jobs+`) <> 0
		ORDER BY `+wish.order+` LIMIT 1`), append(args, scanner)...)
	if errors.Is(err, sql.ErrNoRows) {
		return completeRun{}, nil
	}
	return run, err
}
