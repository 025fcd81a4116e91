package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intern"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/sqldb"
)

// previous is what the findings of a job are matched with, and the jobs that had it.
type previous struct {
	match.Previous
	base       completeRun
	jobs       []int64
	suppressed map[int64]bool // alerts of which the baseline's scanner suppressed the findings
	unresolved map[int64]bool // alerts that are unresolved after the baseline, on the default branch
	found      bool           // there is a baseline of the job's own
	foreign    bool           // the baseline is of other categories: what the report does not have of it may be in theirs
}

// loadPrevious loads what the findings of a job are matched with, and sets the job's baseline. changes are those since a
// commit, which count if that is the baseline's; they may be nil.
func (s *Store) loadPrevious(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, job *core.Job, changes *core.Changes,
) (past previous, err error) {
	base, err := baselineOf(ctx, tx, scan, *job)
	if err != nil {
		return past, fmt.Errorf("choosing the baseline: %w", err)
	}
	if past.base, past.found = base, base.found(); past.found {
		job.BaselineScanID, past.jobs = &base.ScanID, []int64{base.JobID}
		if past.Baseline, err = selectBaseline(ctx, tx, base, match.Baseline{}); err != nil {
			return past, fmt.Errorf("reading the baseline: %w", err)
		}
		if past.suppressed, err = suppressedIn(ctx, tx, base); err != nil {
			return past, fmt.Errorf("reading what the baseline suppresses: %w", err)
		}
		if past.unresolved, err = s.unresolvedIn(ctx, tx, scan, base); err != nil {
			return past, fmt.Errorf("reading what is unresolved: %w", err)
		}
		if err := nameBaseline(ctx, tx, scan.ID, base.ScanID); err != nil {
			return past, fmt.Errorf("naming the baseline: %w", err)
		}
		if changes != nil && changes.Base == base.CommitSHA {
			past.Changes = changes
		}
	}
	run, err := onBranchOnly(ctx, tx, scan, *job)
	if err == nil && run.found() {
		run.NumFindings = 0 // few of them remain
		past.jobs = append(past.jobs, run.JobID)
		past.SameBranch, err = selectBaseline(ctx, tx, run, past.Baseline)
	}
	if err != nil {
		return past, fmt.Errorf("reading the branch's last run: %w", err)
	}
	return past, nil
}

// suppressedIn are the alerts of the findings of a run that its scanner suppressed.
func suppressedIn(ctx context.Context, tx *sqlx.Tx, run completeRun) (map[int64]bool, error) {
	var list []int64
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		SELECT alert_id FROM findings WHERE scan_id = ? AND suppressed IS NOT NULL AND job_id + 0 = ?`), run.ScanID, run.JobID)
	set := make(map[int64]bool, len(list))
	for _, alert := range list {
		set[alert] = true
	}
	return set, err
}

// unresolvedIn are the alerts of a run that are unresolved after it. Only those of which that can be true are read, by index.
func (s *Store) unresolvedIn(ctx context.Context, tx *sqlx.Tx, scan core.Scan, run completeRun) (map[int64]bool, error) {
	gate := s.policyOf(scan).Gate
	severities, states, risk := []core.Severity{""}, []core.BaselineState{core.New}, `FALSE`
	for _, severity := range core.Severities {
		if gate.Unresolves(core.FindingGroup{Severity: severity, BaselineState: core.New}) {
			severities = append(severities, severity)
		}
	}
	if !gate.NewOnly {
		states = append(states, core.Unchanged)
	}
	if gate.AsksRisk() {
		risk = `cve_id <> ''`
	}
	facts := `SELECT alert_id, severity, baseline_state, unresolved, 1 AS n, ` + riskFacts(`findings.cve_id`) + `
		FROM findings WHERE scan_id = ? AND suppressed IS NULL AND job_id + 0 = ? AND `
	var list []struct {
		core.FindingGroup
		AlertID int64 `db:"alert_id"`
	}
	err := sqldb.SelectIn(ctx, tx, &list, facts+`unresolved
		UNION ALL `+facts+`baseline_state IN (?) AND (severity IN (?) OR `+risk+`)`,
		run.ScanID, run.JobID, run.ScanID, run.JobID, states, severities)
	set := map[int64]bool{}
	for _, f := range list {
		if gate.Unresolves(f.FindingGroup) {
			set[f.AlertID] = true
		}
	}
	return set, err
}

// markUnresolved marks the known findings of a job that are unresolved after its baseline.
func (s *Store) markUnresolved(ctx context.Context, tx *sqlx.Tx, job int64, scan core.Scan, base completeRun) error {
	set, err := s.unresolvedIn(ctx, tx, scan, base)
	if err == nil {
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE findings SET unresolved = FALSE WHERE job_id = ? AND unresolved`), job)
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(set)), sqldb.RowsPerStatement) {
		if err == nil {
			_, err = sqldb.ExecIn(ctx, tx, `
				UPDATE findings SET unresolved = TRUE WHERE job_id = ? AND baseline_state = 'unchanged' AND alert_id IN (?)`, job, chunk)
		}
	}
	return err
}

// onBranchOnly is the last complete run on the scan's branch. What that has and the baseline has not, or no more, stays the
// same finding and keeps its alert while the branch moves on.
func onBranchOnly(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) (run completeRun, err error) {
	if branch, err := comparedWith(ctx, tx, scan); err != nil || scan.Ref == "" || scan.Ref == branch {
		return run, err
	}
	return runBefore(ctx, tx, scan, job.Scanner, scan.ID, ancestor{ref: scan.Ref})
}

// selectKept reads earlier findings that stay, with what reports say of them, from the jobs that had them.
func selectKept(ctx context.Context, tx *sqlx.Tx, jobs []int64, kept []match.Kept) (list []core.Finding, err error) {
	states, ids := make(map[string]core.BaselineState, len(kept)), make([]int64, len(kept))
	for i, k := range kept {
		states[k.Fingerprint], ids[i] = k.State, k.AlertID
	}
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		var rows []core.Finding
		err := sqldb.SelectIn(ctx, tx, &rows, `
			SELECT `+findingColumns+` FROM findings WHERE job_id IN (?) AND alert_id IN (?) ORDER BY id`, jobs, chunk)
		if err != nil {
			return nil, err
		}
		for _, f := range rows {
			state, stays := states[f.Fingerprint]
			if !stays {
				continue
			}
			delete(states, f.Fingerprint)
			f.BaselineState, f.MatchedBy, f.TriageDecision = state, string(match.ByKeeping), nil // which decisions of the project give it
			list = append(list, f)
		}
	}
	return list, nil
}

// nameBaseline lets the scan name the newest of its jobs' baselines.
func nameBaseline(ctx context.Context, tx *sqlx.Tx, scan, chosen int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scans SET baseline_scan_id = ? WHERE id = ? AND COALESCE(baseline_scan_id, 0) < ?`), chosen, scan, chosen)
	return err
}

// baselineOf chooses, once per job, the run of its scanner to compare it with. Only complete runs count, each scanner's
// for itself: one that failed in the newest scan is compared with an older one.
//
// On the default branch it is that of the commit that was pushed onto, elsewhere that of the commit where the branch
// left the default branch. Where that has none, it is that of the nearest commit before it, or of the nearest one before
// where the default branch stands.
func baselineOf(ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job) (run completeRun, err error) {
	if scan.Origin == core.OriginBaseline && scan.BeforeSHA == "" { // all that was scanned may have come after it
		return completeRun{}, nil
	}
	branch, err := comparedWith(ctx, q, scan)
	if err != nil {
		return completeRun{}, err
	}
	first, err := firstSeen(ctx, q, scan)
	if err != nil {
		return completeRun{}, err
	}
	if job.BaselineScanID != nil {
		run, err := runOf(ctx, q, scan, job.Scanner, *job.BaselineScanID, first)
		if err != nil || run.found() {
			return run, err
		}
	}
	if scan.Ref == branch {
		return runBefore(ctx, q, scan, job.Scanner, first, ancestor{})
	}
	if run, err = runAtOrBefore(ctx, q, scan, job.Scanner, scan.MergeBaseSHA, ancestor{}); err != nil || run.found() {
		return run, err
	}
	head, err := getRef(ctx, q, scan.ProjectID, branch)
	if err != nil {
		return completeRun{}, err
	}
	return firstRun(ctx, q, scan, job.Scanner, ancestor{before: first}, head.SHA, head.BeforeSHA)
}

// runBefore finds the nearest run before a scan on its own ref. Where the commit that was pushed onto is not known, because
// its push was lost, it is looked for where the ref stands or stood before, unless that is beyond the scan's commit.
func runBefore(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, first int64, a ancestor) (completeRun, error) {
	run, err := runAtOrBefore(ctx, q, scan, scanner, scan.BeforeSHA, a)
	if err != nil || run.found() || core.IsZeroSHA(scan.BeforeSHA) {
		return run, err
	}
	stands, err := getRef(ctx, q, scan.ProjectID, scan.Ref)
	if err != nil || stands.SHA == "" {
		return completeRun{}, err
	}
	from := stands.SHA
	if from == scan.CommitSHA {
		from = stands.BeforeSHA
	}
	beyond, err := isBefore(ctx, q, scan, from)
	if err != nil || beyond {
		return completeRun{}, err
	}
	a.before = first
	return runAtOrBefore(ctx, q, scan, scanner, from, a)
}

// firstRun finds the nearest run at or before the first of several commits that has one.
func firstRun(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, a ancestor, from ...string) (run completeRun, err error) {
	for _, commit := range from {
		if run, err = runAtOrBefore(ctx, q, scan, scanner, commit, a); err != nil || run.found() {
			break
		}
	}
	return run, err
}

// firstSeen is the number of the first scan of a scan's commit: a rescan is compared as that was.
func firstSeen(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (id int64, err error) {
	if scan.Attempt <= 1 {
		return scan.ID, nil
	}
	err = sqlx.GetContext(ctx, q, &id, q.Rebind(`
		SELECT MIN(s.id + 0) FROM scans s WHERE `+ofCommit), keyOf(&scan).args()...)
	return id, err
}

// comparedWith is the full name of the branch with whose runs a scan is compared: that into which it is to go, or its own where that
// is not known.
func comparedWith(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (ref string, err error) {
	branch := scan.MergeTarget()
	if branch == "" {
		branch, err = defaultBranch(ctx, q, scan)
	}
	return cmp.Or(core.BranchRef(branch), scan.Ref), err
}

// defaultBranch is that of a scan's project.
func defaultBranch(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (branch string, err error) {
	err = sqlx.GetContext(ctx, q, &branch, q.Rebind(`SELECT default_branch FROM projects WHERE id = ?`), scan.ProjectID)
	return branch, err
}

// GetBaseline returns the commit that a job's findings will be compared with, as things stand; core.ErrNotFound when
// there is none.
func (s *Store) GetBaseline(ctx context.Context, scan core.Scan, job core.Job) (sha string, err error) {
	base, err := baselineOf(ctx, s.db, scan, job)
	if err == nil && !base.found() {
		err = fmt.Errorf("%w: %s has not completed a scan to compare with", core.ErrNotFound, job.Scanner)
	}
	if err != nil {
		return "", fmt.Errorf("getting baseline: %w", sqldb.Classify(err))
	}
	return base.CommitSHA, nil
}

// FindBaseline returns the baseline of a job without its findings, as long as it is that of a commit; core.ErrNotFound otherwise.
func (s *Store) FindBaseline(ctx context.Context, scan core.Scan, job core.Job, sha string) (Baseline, error) {
	run, err := baselineOf(ctx, s.db, scan, job)
	if err == nil && (!run.found() || run.CommitSHA != sha) {
		err = fmt.Errorf("%w: %s is not compared with %s", core.ErrNotFound, job.Scanner, sha)
	}
	if err != nil {
		return Baseline{}, fmt.Errorf("looking for the baseline: %w", sqldb.Classify(err))
	}
	return Baseline{ScanID: run.ScanID, CommitSHA: run.CommitSHA, Coverage: run.coverage()}, nil
}

// Baseline is what a job's findings will be compared with.
type Baseline struct {
	ScanID    int64
	CommitSHA string         // empty where there is none
	Findings  []core.Finding // as they were reported, without what was said of them
	Coverage  *core.Coverage // nil where its scanner does not tell
}

// LoadBaseline returns the baseline of a job, as things stand.
func (s *Store) LoadBaseline(ctx context.Context, scan core.Scan, job core.Job) (base Baseline, err error) {
	run, err := baselineOf(ctx, s.db, scan, job)
	if err == nil && run.found() {
		base.ScanID, base.CommitSHA, base.Coverage = run.ScanID, run.CommitSHA, run.coverage()
		err = s.db.SelectContext(ctx, &base.Findings, s.db.Rebind(`
			SELECT tool, rule_id, file, line, end_line, severity, title, message, cwe, snippet, secret_hash, commit_sha
			FROM findings WHERE job_id = ? ORDER BY id`), run.JobID)
	}
	if err != nil {
		return Baseline{}, fmt.Errorf("loading baseline: %w", sqldb.Classify(err))
	}
	return base, nil
}

// completeRun is one scanner's complete run, with which another run of it can be compared.
type completeRun struct {
	ScanID      int64  `db:"scan_id"`
	JobID       int64  `db:"job_id"`
	CommitSHA   string `db:"commit_sha"`
	NumFindings int    `db:"num_findings"`
	Coverage    string `db:"coverage"`
}

func (r completeRun) found() bool { return r.ScanID > 0 }

func (r completeRun) coverage() *core.Coverage { return core.Job{CoverageJSON: r.Coverage}.Coverage() }

// ancestor says which runs count.
type ancestor struct {
	ref    string // that brought the commit; empty for any
	before int64  // the scan is older than the one with this number; 0 for any
}

// maxAncestors is how many commits are looked at for one with a run.
const maxAncestors = 1000

// completeScan is the newest scan of the commit with a complete run of the scanner, or null. Its parameters are those of args.
// What a fork brought is compared with by itself only.
// PostgreSQL takes "= 1" for rare and would begin with the runs; "<> 0" is common for it.
const completeScan = `(SELECT MAX(s.id + 0) FROM scans s
	WHERE s.commit_sha = chain.sha AND s.project_id + 0 = ? AND s.commit_sha <> ? AND (s.ref = ? OR ? = '' AND NOT s.fork) AND s.id + 0 < ?
		AND (SELECT COUNT(*) FROM scan_jobs j WHERE j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed') <> 0)`

func (a ancestor) args(scan core.Scan, scanner string) []any {
	before := a.before
	if before == 0 {
		before = math.MaxInt64
	}
	return []any{scan.ProjectID, scan.CommitSHA, a.ref, a.ref, before, scanner}
}

// pushedOnto is the commit onto which that of a row of chain was pushed in a project, as far as we know; null where it was not
// scanned.
func pushedOnto(project string) string {
	return `(SELECT s.before_sha FROM scans s
		WHERE s.commit_sha = chain.sha AND s.project_id + 0 = ` + project + ` ORDER BY s.attempt LIMIT 1)`
}

// runAtOrBefore finds a scanner's complete run of the nearest commit at or before one that has it; the zero completeRun where
// there is none. The scan's own commit does not count.
func runAtOrBefore(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner, commit string, a ancestor) (completeRun, error) {
	if !core.IsCommitSHA(commit) {
		return completeRun{}, nil
	}
	counts := a.args(scan, scanner)
	args := append([]any{commit, scan.ProjectID, maxAncestors}, counts...)
	var id sql.NullInt64
	err := sqlx.GetContext(ctx, q, &id, q.Rebind(`
		WITH RECURSIVE chain (sha, n) AS (
			SELECT CAST(? AS TEXT), 1
			UNION ALL
			SELECT `+pushedOnto(`?`)+`, n + 1 FROM chain WHERE sha IS NOT NULL AND n < ? AND `+completeScan+` IS NULL)
		SELECT `+completeScan+` FROM chain ORDER BY n DESC LIMIT 1`), append(args, counts...)...)
	if err != nil || !id.Valid {
		return completeRun{}, err
	}
	return runOf(ctx, q, scan, scanner, id.Int64, math.MaxInt64)
}

// isBefore tells whether the scan's commit is one of those from which a commit came.
func isBefore(ctx context.Context, q sqlx.ExtContext, scan core.Scan, commit string) (before bool, err error) {
	err = sqlx.GetContext(ctx, q, &before, q.Rebind(`
		WITH RECURSIVE chain (sha, n) AS (
			SELECT CAST(? AS TEXT), 1
			UNION ALL
			SELECT `+pushedOnto(`?`)+`, n + 1 FROM chain WHERE sha IS NOT NULL AND n < ? AND sha <> ?)
		SELECT COUNT(*) <> 0 FROM chain WHERE sha = ?`),
		commit, scan.ProjectID, maxAncestors, scan.CommitSHA, scan.CommitSHA)
	return before, err
}

// runOf is a scanner's complete run of a scan of another commit of the project; the zero completeRun where there is none.
func runOf(ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, id, before int64) (run completeRun, err error) {
	err = sqlx.GetContext(ctx, q, &run, q.Rebind(`
		SELECT s.id AS scan_id, s.commit_sha, j.id AS job_id, j.num_findings, j.coverage
		FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
		WHERE s.id = ? AND s.project_id + 0 = ? AND s.commit_sha <> ? AND (s.id + 0 < ? OR s.commit_sha IN (?, ?))`),
		scanner, id, scan.ProjectID, scan.CommitSHA, before, scan.MergeBaseSHA, scan.BeforeSHA)
	if errors.Is(err, sql.ErrNoRows) {
		return completeRun{}, nil
	}
	return run, err
}

// selectBaseline reads the findings of a run, without those whose alerts are among the others.
func selectBaseline(ctx context.Context, tx *sqlx.Tx, run completeRun, others match.Baseline) (match.Baseline, error) {
	return selectSide(ctx, tx, run.NumFindings, others, `job_id = ?`, run.JobID)
}

// selectNew is selectBaseline for the new findings of a run.
func selectNew(ctx context.Context, tx *sqlx.Tx, run completeRun, others match.Baseline) (match.Baseline, error) {
	return selectSide(ctx, tx, 0, others, `scan_id = ? AND baseline_state = 'new' AND job_id + 0 = ?`, run.ScanID, run.JobID)
}

// selectSide reads about so many findings that are where a condition says, without those whose alerts are among the others.
func selectSide(
	ctx context.Context, tx *sqlx.Tx, about int, others match.Baseline, where string, args ...any) (match.Baseline, error) {
	rows, err := tx.QueryContext(ctx, tx.Rebind(`
		SELECT fingerprint, anchor, secret_hash, file, line, severity, alert_id, commit_sha FROM findings WHERE `+where), args...)
	if err != nil {
		return match.Baseline{}, err
	}
	defer func() { _ = rows.Close() }()
	known, kept, among := match.NewBaseline(about), intern.Texts{}, others.Alerts()
	for rows.Next() {
		var fingerprint, anchor, hash, file, severity, commit sql.RawBytes
		var line int
		var alert int64
		if err := rows.Scan(&fingerprint, &anchor, &hash, &file, &line, &severity, &alert, &commit); err != nil {
			return match.Baseline{}, err
		}
		if _, left := slices.BinarySearch(among, alert); left {
			continue
		}
		known.Add(match.BaselineFinding{
			Fingerprint: kept.Copy(fingerprint), Anchor: string(anchor), SecretHash: string(hash), File: kept.Name(file), Line: line,
			Severity: core.Severity(kept.Name(severity)), AlertID: alert, Commit: kept.Name(commit),
		})
	}
	return known, rows.Err()
}

// maxLate is how many runs, the newest, are compared again with one that came after them.
const maxLate = 200

// lateRun is a run that had to do without the run that it should have been compared with.
type lateRun struct {
	core.Job
	Scan core.Scan
}

func (r lateRun) complete() completeRun {
	return completeRun{ScanID: r.ScanID, JobID: r.ID, CommitSHA: r.Scan.CommitSHA, NumFindings: r.NumFindings, Coverage: r.CoverageJSON}
}

type lateList []lateRun

// lateRuns finds a scanner's runs whose baseline is a scan's commit, now that it comes, and that were compared with another one: on the
// default branch the first run after it, elsewhere those of branches that left the default branch at it, or after it where no run was
// complete. They come in the order in which they were opened.
func lateRuns(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (lateList, error) {
	if scan.Fork {
		return nil, nil
	}
	next, after, err := runsAfter(ctx, tx, scan, scanner)
	if err != nil {
		return nil, err
	}
	return loadLate(ctx, tx, scan, scanner, next, append(after, scan.CommitSHA))
}

// runsAfter finds the first commit of the default branch after a scan's with a complete run of a scanner, or empty, and the commits
// between them.
func runsAfter(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (next string, between []string, err error) {
	if scan.Ref != core.BranchRef(scan.DefaultBranch) {
		return "", nil, nil
	}
	head, err := getRef(ctx, tx, scan.ProjectID, scan.Ref)
	if err != nil || head.SHA == scan.CommitSHA || !core.IsCommitSHA(head.SHA) {
		return "", nil, err
	}
	var line []struct {
		SHA string `db:"sha"`
		Run bool   `db:"run"`
	}
	err = tx.SelectContext(ctx, &line, tx.Rebind(`
		WITH RECURSIVE chain (sha, n) AS (
			SELECT CAST(? AS TEXT), 1
			UNION ALL
			SELECT `+pushedOnto(`?`)+`, n + 1 FROM chain WHERE sha IS NOT NULL AND n < ? AND sha <> ?)
		SELECT sha, `+completeScan+` IS NOT NULL AS run FROM chain WHERE sha IS NOT NULL ORDER BY n DESC`),
		append([]any{head.SHA, scan.ProjectID, maxAncestors, scan.CommitSHA}, ancestor{}.args(scan, scanner)...)...)
	if err != nil || len(line) == 0 || line[0].SHA != scan.CommitSHA { // the branch stands where the scan's commit does not lead
		return "", nil, err
	}
	for _, commit := range line[1:] {
		if commit.Run {
			return commit.SHA, between, nil
		}
		between = append(between, commit.SHA)
	}
	return "", between, nil
}

// loadLate loads a scanner's runs of the next commit of the default branch, and those of branches that left it at some commits, unless
// they were compared with the scan's commit. The project is an expression, because an engine without statistics would otherwise read all
// its scans.
func loadLate(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner, next string, left []string) (late lateList, err error) {
	const unlike = `NOT EXISTS (SELECT 1 FROM scans base WHERE base.id = j.baseline_scan_id AND base.commit_sha = ?)`
	var jobs []core.Job
	err = sqldb.SelectIn(ctx, tx, &jobs, `
		SELECT `+jobColumns+` FROM (
			SELECT `+sqldb.Qualify("j", jobColumns)+` FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
			WHERE s.commit_sha = ? AND s.project_id + 0 = ? AND s.ref = ? AND `+unlike+`
			UNION
			SELECT `+sqldb.Qualify("j", jobColumns)+` FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
			WHERE s.merge_base_sha IN (?) AND s.merge_base_sha <> '' AND s.commit_sha <> ? AND s.project_id + 0 = ?
				AND s.branch <> s.default_branch AND `+unlike+`) late
		ORDER BY scan_id DESC LIMIT ?`,
		scanner, next, scan.ProjectID, scan.Ref, scan.CommitSHA, scanner, left, scan.CommitSHA, scan.ProjectID, scan.CommitSHA, maxLate)
	if err != nil {
		return nil, err
	}
	slices.Reverse(jobs)
	return withScans(ctx, tx, jobs)
}

// withScans are runs of jobs with their scans.
func withScans(ctx context.Context, tx *sqlx.Tx, jobs []core.Job) (list lateList, err error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	ids := make([]int64, len(jobs))
	for i, job := range jobs {
		ids[i] = job.ScanID
	}
	var scans []core.Scan
	if err := sqldb.SelectIn(ctx, tx, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, ids); err != nil {
		return nil, err
	}
	of := make(map[int64]core.Scan, len(scans))
	for _, scan := range scans {
		of[scan.ID] = scan
	}
	for _, job := range jobs {
		list = append(list, lateRun{job, of[job.ScanID]})
	}
	return list, nil
}

// findings are the new ones of the runs, each once.
func (l lateList) findings(ctx context.Context, tx *sqlx.Tx) (all match.Baseline, err error) {
	for _, run := range l {
		fresh, err := selectNew(ctx, tx, run.complete(), all)
		if err != nil {
			return all, err
		}
		all = all.With(fresh)
	}
	return all, nil
}
