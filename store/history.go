package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/decisions"
	"github.com/scanhook/scanhook/store/particulars"
	"github.com/scanhook/scanhook/store/sqldb"
)

// History is what a search of all commits of a project came to.
type History struct {
	Project  int64
	Branch   string // the default branch, to whose head it is added
	Scanner  string
	Rules    string         // the version that it was searched by
	Heads    []string       // commits that were searched with all that came before them, but for what is left
	Findings []core.Finding // each with its commit
	Left     []core.Stretch // what was left out
	Lost     []string       // further heads, that could not be searched
}

// progressOf are the rules under which it is kept how far a search of all commits is: each commit that it has searched, alone,
// and the contents that are not clean.
func progressOf(rules string) string { return "history " + rules }

// LoadProgress returns which commits a search of all commits of a project has searched already, and what it found.
func (s *Store) LoadProgress(ctx context.Context, project int64, rules string) (map[string]bool, core.SearchedContents, error) {
	known, err := s.ListSearched(ctx, project, progressOf(rules))
	var commits []string
	if err == nil {
		err = s.db.SelectContext(ctx, &commits, s.db.Rebind(`
			SELECT commit_sha FROM searched_commits WHERE project_id = ? AND rules = ?`), project, progressOf(rules))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("loading how far the history is searched: %w", sqldb.Classify(err))
	}
	searched := make(map[string]bool, len(commits))
	for _, sha := range commits {
		searched[sha] = true
	}
	return searched, known, nil
}

// RecordProgress keeps which further commits a search of all commits has searched, and what it found.
func (s *Store) RecordProgress(ctx context.Context, project int64, rules string, commits []string, fresh core.SearchedContents) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if err := s.putContents(ctx, tx, core.Scan{ProjectID: project}, progressOf(rules), fresh); err != nil {
			return err
		}
		return s.putSearched(ctx, tx, project, progressOf(rules), commits)
	})
	if err != nil {
		return fmt.Errorf("recording how far the history is searched: %w", sqldb.Classify(err))
	}
	return nil
}

func (s *Store) putSearched(ctx context.Context, tx *sqlx.Tx, project int64, rules string, commits []string) error {
	if len(commits) == 0 {
		return nil
	}
	given, now := sqldb.Given{Name: "searched", Columns: "project_id BIGINT, rules TEXT, commit_sha TEXT, searched_at TIMESTAMPTZ"}, s.clock.Timestamp()
	for _, sha := range commits {
		given.Rows = append(given.Rows, []any{project, rules, sha, now})
	}
	_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`searched_commits`)+`
		ON CONFLICT (project_id, rules, commit_sha) DO UPDATE SET searched_at = excluded.searched_at`)
	return err
}

// FindHead returns the scan of the commit where a branch stands, in which a scanner was completed; core.ErrNotFound where there
// is none, core.ErrConflict while the scanner has not ended for a commit of the branch.
func (s *Store) FindHead(ctx context.Context, project int64, branch, scanner string) (core.Scan, error) {
	scan, _, err := findHead(ctx, s.db, project, branch, scanner)
	if err != nil {
		return core.Scan{}, fmt.Errorf("looking for the scan of %s: %w", branch, sqldb.Classify(err))
	}
	return scan, nil
}

func findHead(ctx context.Context, q sqlx.ExtContext, project int64, branch, scanner string) (scan core.Scan, job core.Job, err error) {
	ref := core.BranchRef(branch)
	var open int
	err = sqlx.GetContext(ctx, q, &open, q.Rebind(`
		SELECT COUNT(*) FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state IN ('pending', 'running')
		WHERE s.project_id = ? AND s.ref = ? AND s.status IN ('pending', 'processing')`), scanner, project, ref)
	if err == nil && open > 0 {
		err = fmt.Errorf("%w: %s is about to search a commit of %s", core.ErrConflict, scanner, branch)
	}
	if err != nil {
		return scan, job, err
	}
	head, err := getRef(ctx, q, project, ref)
	if err == nil {
		err = sqlx.GetContext(ctx, q, &job, q.Rebind(`
			SELECT `+sqldb.Qualify("j", jobColumns)+` FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
			WHERE s.project_id + 0 = ? AND s.commit_sha = ? ORDER BY s.attempt DESC LIMIT 1`), scanner, project, head.SHA)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %s has not searched the commit where %s stands", core.ErrNotFound, scanner, branch)
	}
	if err == nil {
		err = sqlx.GetContext(ctx, q, &scan, q.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), job.ScanID)
	}
	return scan, job, err
}

// PutHistory adds what a search of all commits found to the scan of the default branch's head, from where the next scans take it:
// it is known, and never fixed. What earlier scans left out of the commits is no longer told, unless this search left it out
// too. It returns the scan and how many findings are new to it. Errors are those of FindHead.
func (s *Store) PutHistory(ctx context.Context, h History) (scan core.Scan, added int, err error) {
	err = s.write(ctx, func(tx *sqlx.Tx) error {
		// No scan is opened meanwhile, which would not see what is added.
		if _, err := sqldb.Exec(ctx, tx, `SELECT id FROM projects WHERE id = ? `+s.db.ForUpdate, h.Project); err != nil {
			return err
		}
		var job core.Job
		if scan, job, err = findHead(ctx, tx, h.Project, h.Branch, h.Scanner); err != nil {
			return err
		}
		if scan, err = s.lockForReport(ctx, tx, scan.ID); err != nil {
			return err
		}
		if added, err = s.addHistory(ctx, tx, scan, job, h); err != nil {
			return err
		}
		if err := s.settleScan(ctx, tx, scan.ID, nil); err != nil {
			return err
		}
		return s.closeHistory(ctx, tx, scan, h)
	})
	if err != nil {
		return core.Scan{}, 0, fmt.Errorf("adding history: %w", err)
	}
	return scan, added, nil
}

// addHistory adds findings to a completed job, without those whose code it has.
func (s *Store) addHistory(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, h History) (added int, err error) {
	code, err := codeOf(ctx, tx, job.ID, true)
	if err != nil {
		return 0, err
	}
	var fresh []core.Finding
	for _, f := range h.Findings {
		if f.Snippet == "" || !code[codeKey{f.RuleID, f.Snippet}] {
			fresh = append(fresh, f)
		}
	}
	d := newReportBatch(core.Report{Findings: fresh})
	d.job, d.known, d.ids = job, true, make(map[int]int64)
	var past previous
	if past.Baseline, err = selectBaseline(ctx, tx, completeRun{ScanID: scan.ID, JobID: job.ID, NumFindings: job.NumFindings}, past.Baseline); err != nil {
		return 0, err
	}
	policy := s.policyOf(scan)
	decided, err := decisions.In(ctx, tx, scan.ProjectID, policy.Approval)
	if err != nil {
		return 0, err
	}
	d.compare(past.Previous, decided, policy.Gate)
	d.alerts = d.compared.Alerts()
	for i, alert := range d.alerts {
		if alert != 0 { // it is one of the job's findings
			d.ids[i] = alert
		}
	}
	found, err := s.giveAlerts(ctx, tx, scan, d)
	if err != nil {
		return 0, err
	}
	added = d.Len() - len(d.ids)
	if err := s.insertFindings(ctx, tx, d); err != nil {
		return 0, err
	}
	if err := hashAlerts(ctx, tx, scan, d.toHash()); err != nil {
		return 0, err
	}
	if err := s.describeAlerts(ctx, tx, scan, found); err != nil {
		return 0, err
	}
	return added, putUnread(ctx, tx, job, added, h.unread(scan.CommitSHA, job.Coverage().Unread()))
}

// unread is what a scan tells of the commits after a search of all of them. What it left out itself stays left if its commit came
// after the search began.
func (h History) unread(commit string, own []core.Stretch) (left []core.Stretch) {
	if !slices.Contains(h.Heads, commit) {
		left = slices.Clone(own)
	}
	left = append(left, h.Left...)
	if len(h.Lost) > 0 {
		left = append(left, core.Stretch{Tips: h.Lost, Commits: len(h.Lost)})
	}
	return left
}

// putUnread updates a job that has got further findings, all known, and what it left out of the commits.
func putUnread(ctx context.Context, tx *sqlx.Tx, job core.Job, added int, left []core.Stretch) error {
	coverage := job.Coverage()
	if coverage == nil {
		coverage = new(core.Coverage)
	}
	coverage.PutUnread(left)
	job.PutCoverage(coverage)
	_, err := sqldb.Exec(ctx, tx, `
		UPDATE scan_jobs SET coverage = ?, num_findings = num_findings + ?, num_unchanged = num_unchanged + ? WHERE id = ?`,
		job.CoverageJSON, added, added, job.ID)
	return err
}

// closeHistory ends a search of all commits: the heads count as searched, and their scans no longer tell of commits that are left
// out. A search that left out something itself goes on where it was.
func (s *Store) closeHistory(ctx context.Context, tx *sqlx.Tx, scan core.Scan, h History) error {
	if len(h.Left) > 0 {
		return nil
	}
	if err := s.putSearched(ctx, tx, h.Project, h.Rules, h.Heads); err != nil {
		return err
	}
	if err := s.endProgress(ctx, tx, h); err != nil {
		return err
	}
	var again []int64
	for chunk := range slices.Chunk(h.Heads, sqldb.RowsPerStatement) {
		var told []core.Job
		err := sqldb.SelectIn(ctx, tx, &told, `
			SELECT `+sqldb.Qualify("j", jobColumns)+` FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
			WHERE s.project_id + 0 = ? AND s.commit_sha IN (?) AND s.id <> ? AND j.coverage LIKE '%"history":%'`, h.Scanner, h.Project, chunk, scan.ID)
		if err != nil {
			return err
		}
		for _, job := range told {
			again = append(again, job.ScanID)
			if err := putUnread(ctx, tx, job, 0, nil); err != nil {
				return err
			}
		}
	}
	if len(again) == 0 {
		return nil
	}
	return s.judgeAll(ctx, tx, again, 0)
}

// endProgress makes what was found a part of what is known with the rules: contents of a searched commit of which nothing is known
// are clean.
func (s *Store) endProgress(ctx context.Context, tx *sqlx.Tx, h History) error {
	clean, err := packContents(core.Contents{})
	if err == nil {
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO searched_contents (project_id, rules, blob, class, result)
			SELECT project_id, CAST(? AS TEXT), blob, class, result FROM searched_contents WHERE project_id = ? AND rules = ? AND result <> ?
			ON CONFLICT (project_id, rules, blob, class) DO NOTHING`, h.Rules, h.Project, progressOf(h.Rules), clean)
	}
	for _, table := range []string{`searched_commits`, `searched_contents`} {
		if err == nil {
			_, err = sqldb.Exec(ctx, tx, `DELETE FROM `+table+` WHERE project_id = ? AND rules = ?`, h.Project, progressOf(h.Rules))
		}
	}
	return err
}

// codeKey is what a secret looks like wherever it is.
type codeKey struct{ rule, snippet string }

// codeOf is the code of a job's findings.
func codeOf(ctx context.Context, tx *sqlx.Tx, job int64, wanted bool) (map[codeKey]bool, error) {
	if !wanted {
		return nil, nil
	}
	var found []core.Finding
	err := tx.SelectContext(ctx, &found, tx.Rebind(`SELECT rule_id, snippet FROM findings WHERE job_id = ? AND snippet <> ''`), job)
	code := make(map[codeKey]bool, len(found))
	for _, f := range found {
		code[codeKey{f.RuleID, f.Snippet}] = true
	}
	return code, err
}

// LoadCoverage returns what a scanner searched when it was last completed for a commit; nil where it was not, or does not tell.
func (s *Store) LoadCoverage(ctx context.Context, project int64, sha, scanner string) (*core.Coverage, error) {
	var job core.Job
	err := s.db.GetContext(ctx, &job.CoverageJSON, s.db.Rebind(`
		SELECT j.coverage FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
		WHERE s.project_id + 0 = ? AND s.commit_sha = ? ORDER BY s.attempt DESC LIMIT 1`), scanner, project, sha)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("loading coverage: %w", sqldb.Classify(err))
	}
	return job.Coverage(), nil
}

// Unsearched is what was pushed before a scan and not searched.
type Unsearched struct {
	From   string   // the commit onto which all of it was pushed; empty where none is known
	Begins bool     // From was itself pushed and not searched, and nothing is known of what came before it
	Pushed []string // the commits in between at which pushes ended, the newest first; a forced push may have taken some away
}

// FindUnsearched follows the pushes before a scan to the first that was searched with rules of a version, or of which nothing
// is known.
func (s *Store) FindUnsearched(ctx context.Context, scan core.Scan, rules string) (u Unsearched, err error) {
	var chain []sql.NullString
	err = s.db.SelectContext(ctx, &chain, s.db.Rebind(`
		WITH RECURSIVE chain (sha, n) AS (
			SELECT CAST(? AS TEXT), 1
			UNION ALL
			SELECT `+pushedOnto(`?`)+`, n + 1 FROM chain WHERE sha IS NOT NULL AND n < ? AND NOT EXISTS (
				SELECT 1 FROM searched_commits c WHERE c.project_id = ? AND c.rules = ? AND c.commit_sha = chain.sha))
		SELECT sha FROM chain ORDER BY n`), scan.BeforeSHA, scan.ProjectID, maxAncestors, scan.ProjectID, rules)
	if err != nil {
		return Unsearched{}, fmt.Errorf("looking for what was not searched: %w", sqldb.Classify(err))
	}
	passed := map[string]bool{scan.CommitSHA: true} // a ref may have been moved to and fro
	for _, next := range chain {
		if !next.Valid { // nobody had the commit scanned
			break
		}
		if !core.IsCommitSHA(next.String) || passed[next.String] {
			u.Begins = u.From != ""
			break
		}
		if u.From != "" {
			u.Pushed = append(u.Pushed, u.From)
		}
		u.From = next.String
		passed[u.From] = true
	}
	return u, nil
}

// copyToHistory lets a job have findings of its base, known, in the history that ends at a commit.
func copyToHistory(ctx context.Context, tx *sqlx.Tx, job core.Job, ids []int64, commit string) error {
	columns := `alert_id, fingerprint, ` + strings.Join(reportedNames(), ", ")
	kept := strings.NewReplacer(
		"baseline_state", "'unchanged'", "matched_by", "'"+string(match.ByKeeping)+"'",
		"commit_sha", "CASE commit_sha WHEN '' THEN CAST(? AS TEXT) ELSE commit_sha END").Replace(columns)
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		_, err := sqldb.ExecIn(ctx, tx, `
			INSERT INTO findings (scan_id, job_id, `+columns+`)
			SELECT ?, ?, `+kept+` FROM findings WHERE id IN (?) ORDER BY id`, job.ScanID, job.ID, commit, chunk)
		if err == nil {
			err = particulars.Copy(ctx, tx, job.ID, chunk)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
