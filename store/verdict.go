package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// settleScan settles one scan. tally sums up the findings of the job that has just ended, if nothing else is known of them;
// or nil.
func (s *Store) settleScan(ctx context.Context, tx *sqlx.Tx, id int64, tally *core.ReportTally) error {
	scans, err := s.lockScans(ctx, tx, []int64{id})
	if err != nil {
		return err
	}
	return s.settleScans(ctx, tx, scans, tally)
}

// settleScans derives the states, verdicts and commit statuses of scans, which are locked, from their jobs and findings, set by
// set.
func (s *Store) settleScans(ctx context.Context, tx *sqlx.Tx, scans []core.Scan, tally *core.ReportTally) error {
	jobs, err := jobsByScan(ctx, tx, scanIDs(scans))
	if err != nil {
		return err
	}
	return s.settleJobs(ctx, tx, scans, jobs, tally)
}

// settleJobs is settleScans for jobs that are known, by their scans.
func (s *Store) settleJobs(
	ctx context.Context, tx *sqlx.Tx, scans []core.Scan, jobs map[int64][]core.Job, tally *core.ReportTally,
) (err error) {
	now := s.clock.Timestamp()
	var ended, open []core.Scan
	groups := map[int64][]core.FindingGroup{}
	for i := range scans {
		scan := &scans[i]
		scan.Settle(jobs[scan.ID], s.isOverdue(*scan, now), now)
		if !scan.Status.Ended() {
			open = append(open, *scan)
			continue
		}
		if err := s.chooseRiskiest(ctx, tx, scan.ID, jobs[scan.ID]); err != nil {
			return err
		}
		if groups[scan.ID], err = s.judge(ctx, tx, scan, jobs[scan.ID], tally); err != nil {
			return err
		}
		ended = append(ended, *scan)
	}
	if err := s.putSettled(ctx, tx, ended, `, started_at = COALESCE(started_at, ?), finished_at = ?`, now, now); err != nil {
		return err
	}
	if err := s.putSettled(ctx, tx, open, `, finished_at = NULL`); err != nil {
		return err
	}
	if err := s.putOutcomes(ctx, tx, ended, open); err != nil {
		return err
	}
	if err := s.closeFailedBefore(ctx, tx, ended); err != nil {
		return fmt.Errorf("closing alerts of failed scans: %w", err)
	}
	for _, scan := range ended {
		if scan.Status != core.ScanCompleted && findingsIn(jobs[scan.ID]) == 0 {
			continue
		}
		if err := s.showOpen(ctx, tx, scan, groups[scan.ID]); err != nil {
			return err
		}
	}
	return s.putStatuses(ctx, tx, scans)
}

// putSettled writes what Settle and judge have put into the scans; times are assignments of more columns, after a comma.
func (s *Store) putSettled(ctx context.Context, tx *sqlx.Tx, scans []core.Scan, times string, args ...any) error {
	if len(scans) == 0 {
		return nil
	}
	settled := sqldb.GivenOf("settled", "id BIGINT, status TEXT, error TEXT, verdict TEXT, verdict_reason TEXT, deciding TEXT, "+
		"num_deciding BIGINT, summary TEXT, superseded_by TEXT", scans)
	_, err := s.db.ExecGiven(ctx, tx, settled, `
		UPDATE scans SET status = w.status, error = w.error, verdict = w.verdict, verdict_reason = w.verdict_reason,
			deciding = w.deciding, num_deciding = w.num_deciding, summary = w.summary, superseded_by = w.superseded_by`+times+`
		FROM settled w WHERE scans.id = w.id`, args...)
	return err
}

// judged is a scan to judge again.
type judged struct {
	core.Scan
	Latest bool `db:"latest"`
	Head   bool `db:"head"`
}

// atHead is true for a scan s of the commit where its ref or the default branch stands.
const atHead = `(COALESCE((SELECT r.sha FROM refs r WHERE r.project_id = s.project_id AND r.name = s.ref), '') = s.commit_sha
	OR COALESCE((SELECT r.sha FROM refs r WHERE r.project_id = s.project_id AND r.name = 'refs/heads/' || s.default_branch), '') = s.commit_sha)`

// judgeAll judges scans again that have ended, which it locks in one order for all transactions. The status of the
// first one is put first. A commit that is no head keeps its text where its verdict stays: there may be many of them.
func (s *Store) judgeAll(ctx context.Context, tx *sqlx.Tx, ids []int64, first int64) error {
	return s.judgeScans(ctx, tx, ids, func(scan judged, changed bool) bool { return scan.ID == first || scan.Head || changed }, first)
}

// judgeCompared does that with scans that were compared again, each of which shows its new counts.
func (s *Store) judgeCompared(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	return s.judgeScans(ctx, tx, ids, func(judged, bool) bool { return true }, 0)
}

func (s *Store) judgeScans(
	ctx context.Context, tx *sqlx.Tx, ids []int64, shows func(scan judged, changed bool) bool, first int64,
) error {
	var scans []judged
	err := sqldb.SelectIn(ctx, tx, &scans, `
		SELECT `+scansAs("s")+`, `+latestAttempt+` AS latest, `+atHead+` AS head
		FROM scans s WHERE s.id IN (?)
		ORDER BY s.id `+s.db.ForUpdate, ids)
	if err != nil {
		return err
	}
	changed, err := s.judgeEnded(ctx, tx, scans)
	if err != nil {
		return err
	}
	var own, others []core.Scan
	for _, scan := range scans {
		switch {
		case !scan.Latest || !shows(scan, changed[scan.ID]):
		case scan.ID == first:
			own = append(own, scan.Scan)
		default:
			others = append(others, scan.Scan)
		}
	}
	if err := s.putStatuses(ctx, tx, own); err != nil {
		return err
	}
	return s.putStatuses(ctx, tx, others)
}

// judgeEnded judges those of the scans that have ended, and tells whose verdict changed. The others are left to their jobs.
func (s *Store) judgeEnded(ctx context.Context, tx *sqlx.Tx, scans []judged) (changed map[int64]bool, err error) {
	var ids []int64
	for _, scan := range scans {
		ids = append(ids, scan.ID)
	}
	jobs, err := jobsByScan(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var ended []core.Scan
	changed, groups := map[int64]bool{}, map[int64][]core.FindingGroup{}
	for i := range scans {
		scan := &scans[i].Scan
		if !scan.Status.Ended() {
			continue
		}
		before := scan.Verdict
		if groups[scan.ID], err = s.judge(ctx, tx, scan, jobs[scan.ID], nil); err != nil {
			return nil, err
		}
		changed[scan.ID] = before != nil && scan.Verdict != nil && *before != *scan.Verdict
		ended = append(ended, *scan)
	}
	if err := s.countDays(ctx, tx, ended, groups); err != nil {
		return nil, err
	}
	return changed, s.putVerdicts(ctx, tx, ended)
}

// countDays keeps how many alerts are open today on the default branches that show scans. groups are the scans' findings.
func (s *Store) countDays(ctx context.Context, tx *sqlx.Tx, scans []core.Scan, groups map[int64][]core.FindingGroup) error {
	shows, err := shownOnDefault(ctx, tx, scans)
	if err != nil {
		return err
	}
	for _, scan := range scans {
		if !shows[scan.ID] || scan.Status != core.ScanCompleted {
			continue
		}
		if err := s.countDay(ctx, tx, scan, groups[scan.ID]); err != nil {
			return err
		}
	}
	return nil
}

// shownOnDefault tells which of the scans the default branches of their projects show.
func shownOnDefault(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) (map[int64]bool, error) {
	if len(scans) == 0 {
		return nil, nil
	}
	var projects []int64
	var refs []string
	of := map[int64]core.Scan{}
	for _, scan := range scans {
		projects, refs, of[scan.ID] = append(projects, scan.ProjectID), append(refs, core.BranchRef(scan.DefaultBranch)), scan
	}
	var heads []alertHead
	err := sqldb.SelectIn(ctx, tx, &heads, `
		SELECT `+headColumns+` FROM alert_heads WHERE project_id IN (?) AND ref IN (?)`, projects, refs)
	shows := map[int64]bool{}
	for _, head := range heads {
		scan := of[head.ScanID]
		if scan.ProjectID == head.ProjectID && core.BranchRef(scan.DefaultBranch) == head.Ref { // else a branch that is another scan's default
			shows[head.ScanID] = true
		}
	}
	return shows, err
}

// judge gives an ended scan its verdict by the findings of its jobs, with the words that say why, and returns these in groups.
func (s *Store) judge(
	ctx context.Context, tx *sqlx.Tx, scan *core.Scan, jobs []core.Job, tally *core.ReportTally,
) ([]core.FindingGroup, error) {
	groups, err := s.judgeFindings(ctx, tx, scan, jobs, tally)
	scan.MarkReplaced(jobs)
	return groups, err
}

// judgeFindings loads the groups of an ended scan's findings, has them judged, and finds those that decided the verdict. A tally
// of all findings spares reading them, if the gate asks for nothing else.
func (s *Store) judgeFindings(
	ctx context.Context, tx *sqlx.Tx, scan *core.Scan, jobs []core.Job, tally *core.ReportTally,
) (groups []core.FindingGroup, err error) {
	fixed, findings, notSearched := 0, findingsIn(jobs), 0
	for _, job := range jobs {
		fixed += job.NumAbsent
	}
	if left := core.CoverageOf(jobs); left != nil {
		notSearched = left.NotSearched()
	}
	if findings == 0 && tally == nil && scan.Status != core.ScanCompleted { // as of scans that a newer push supersedes: no gate decides on them
		scan.Judge(core.Gate{}, nil, fixed, notSearched)
		return nil, nil
	}
	gate, onMain, err := s.gateOf(ctx, tx, *scan)
	if err != nil {
		return nil, err
	}
	if tally != nil && !gate.AsksRisk() && findings <= tally.Len() {
		groups = tally.Groups()
		scan.Judge(gate, groups, fixed, notSearched)
		return groups, putTallied(ctx, tx, scan, tally)
	}
	if findings == 0 {
		scan.Judge(gate, nil, fixed, notSearched)
		return nil, nil
	}
	if groups, err = findingGroups(ctx, tx, `scan_id`, scan.ID, gate, onMain); err != nil {
		return nil, fmt.Errorf("counting findings: %w", err)
	}
	scan.Judge(gate, groups, fixed, notSearched)
	if err := putDeciding(ctx, tx, scan, gate, groups); err != nil {
		return nil, fmt.Errorf("listing deciding findings: %w", err)
	}
	return groups, nil
}

// wasRed tells whether the report that a job has failed the gate, or else that of the same job in the last attempt that had one.
func (s *Store) wasRed(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) (bool, error) {
	if job.FinishedAt == nil && scan.Attempt > 1 {
		var earlier []core.Job
		err := tx.SelectContext(ctx, &earlier, tx.Rebind(`
			SELECT `+sqldb.Qualify("j", jobColumns)+` FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.worker = ?
			WHERE `+ofCommit+` AND s.attempt < ? AND j.finished_at IS NOT NULL ORDER BY s.attempt DESC LIMIT 1`),
			append(append([]any{job.Scanner, core.Uploader}, keyOf(&scan).args()...), scan.Attempt)...)
		if err != nil || len(earlier) == 0 {
			return false, err
		}
		job = earlier[0]
	}
	if job.FinishedAt == nil || job.Turned {
		return job.Turned, nil
	}
	gate, onMain, err := s.gateOf(ctx, tx, scan)
	if err != nil {
		return false, err
	}
	return failsAlone(ctx, tx, job, gate, onMain)
}

// failsAlone tells whether the report of a job fails the gate.
func failsAlone(ctx context.Context, tx *sqlx.Tx, job core.Job, gate core.Gate, onMain bool) (bool, error) {
	groups, err := findingGroups(ctx, tx, `job_id`, job.ID, gate, onMain)
	tallies := make([]core.Tally, len(groups))
	for i, group := range groups {
		tallies[i] = group.Tally()
	}
	notSearched := 0
	if left := job.Coverage(); left != nil {
		notSearched = left.NotSearched()
	}
	return gate.JudgeScan(tallies, notSearched) == core.Fail, err
}

// findingsIn is how many findings the reports of jobs have.
func findingsIn(jobs []core.Job) (n int) {
	for _, job := range jobs {
		n += job.NumFindings
	}
	return n
}

// gateFacts are the columns of core.FindingGroup that belong to a finding itself.
var gateFacts = `severity, baseline_state, suppressed IS NOT NULL AS suppressed, COALESCE(triage_decision, '') AS decision,
	CASE WHEN triage_decision = 'FP' THEN ` + byAI + ` ELSE FALSE END AS only_ai,
	CASE WHEN triage_decision = 'TP' THEN ` + dismissedReal + ` ELSE FALSE END AS accepted,
	COALESCE(red_team_success, FALSE) AS exploited,
	CASE WHEN unresolved THEN ` + unspoken + ` ELSE FALSE END AS unresolved`

// unspoken is true for a finding on which no person's decision holds.
const unspoken = `(SELECT COUNT(*) FROM alert_decisions w WHERE w.alert_id = findings.alert_id AND w.source = 'person') = 0`

// stillUnresolved is Tally.Unresolved for lists.
var stillUnresolved = `findings.unresolved AND NOT ` + dismissed + ` AND ` + unspoken

// CountUnresolved is how many findings of a scan are unresolved.
func (s *Store) CountUnresolved(ctx context.Context, scan core.Scan) (n int, err error) {
	onMain, err := onDefault(ctx, s.db, scan)
	if err == nil && onMain {
		err = s.db.GetContext(ctx, &n, s.db.Rebind(`SELECT COUNT(*) FROM findings WHERE scan_id = ? AND `+stillUnresolved), scan.ID)
	}
	if err != nil {
		return 0, fmt.Errorf("counting unresolved findings: %w", sqldb.Classify(err))
	}
	return n, nil
}

// tellUnresolved leaves the mark of unresolved ones to those findings of a scan that are, as its status counts them.
func tellUnresolved(ctx context.Context, q sqlx.ExtContext, scan core.Scan, list []core.Finding) error {
	var marked, still []int64
	for _, f := range list {
		if f.Unresolved {
			marked = append(marked, f.ID)
		}
	}
	if len(marked) == 0 {
		return nil
	}
	onMain, err := onDefault(ctx, q, scan)
	if err == nil && onMain {
		err = sqldb.SelectIn(ctx, q, &still, `SELECT id FROM findings WHERE id IN (?) AND `+stillUnresolved, marked)
	}
	for i := range list {
		list[i].Unresolved = list[i].BaselineState != core.Absent && slices.Contains(still, list[i].ID)
	}
	if err != nil {
		return fmt.Errorf("listing what is unresolved: %w", sqldb.Classify(err))
	}
	return nil
}

// riskFacts are those of its CVE, as they are now and as they were before the last import. Subqueries look each up by key,
// whatever an engine knows or believes of the tables.
func riskFacts(cve string) string {
	now := func(column string) string {
		return `(SELECT ` + column + ` FROM epss_data e WHERE e.cve_id = ` + cve + `)`
	}
	was := func(column string) string {
		return `(SELECT ` + column + ` FROM epss_changes m WHERE m.cve_id = ` + cve + `)`
	}
	return `COALESCE(` + now(`probability`) + `, 0) AS probability, COALESCE(` + now(`kev`) + `, FALSE) AS kev,
		COALESCE(` + was(`was_probability`) + `, ` + now(`probability`) + `, 0) AS was_probability,
		COALESCE(` + was(`was_kev`) + `, ` + now(`kev`) + `, FALSE) AS was_kev`
}

// findingGroups counts the findings of a scan or of a job, by the column that has its number. The CVE matters where the gate asks for
// risks, and for what an AI dismissed. Only on the default branch findings are unresolved.
func findingGroups(
	ctx context.Context, tx *sqlx.Tx, of string, id int64, gate core.Gate, onMain bool,
) (groups []core.FindingGroup, err error) {
	cve := `CASE WHEN triage_decision = 'FP' THEN cve_id ELSE '' END`
	if gate.AsksRisk() {
		cve = `cve_id`
	}
	err = tx.SelectContext(ctx, &groups, tx.Rebind(`
		SELECT severity, baseline_state, suppressed, decision, only_ai, accepted, exploited, unresolved, cve_id, n, `+riskFacts(`counted.cve_id`)+`
		FROM (SELECT `+gateFacts+`, `+cve+` AS cve_id, COUNT(*) AS n
			FROM findings WHERE `+of+` = ?
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) counted`), id)
	for i := range groups {
		groups[i].Unresolved = groups[i].Unresolved && onMain
	}
	return groups, err
}

// decidingPage is how many findings are read first to find those that decided a verdict.
const decidingPage = 4 * core.MaxDeciding

// putDeciding finds which of a failed scan's findings fail the gate, the most severe first, among those with the severities
// and baseline states of the groups that do.
func putDeciding(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, gate core.Gate, groups []core.FindingGroup) error {
	if scan.Verdict == nil || *scan.Verdict != core.Fail {
		return nil
	}
	total := 0
	var severities []core.Severity
	var states []core.BaselineState
	for _, group := range groups {
		if gate.Fails(group) {
			total += group.N
			severities, states = append(severities, group.Severity), append(states, group.BaselineState)
		}
	}
	slices.Sort(severities)
	slices.Sort(states)
	var ids []int64
	for limit, more := decidingPage, true; more && len(ids) < min(total, core.MaxDeciding); limit *= 10 {
		var list []struct {
			core.FindingGroup
			ID int64 `db:"id"`
		}
		err := sqldb.SelectIn(ctx, tx, &list, `
			SELECT id, cve_id, 1 AS n, `+gateFacts+`, `+riskFacts(`findings.cve_id`)+`
			FROM findings WHERE scan_id = ? AND severity IN (?) AND baseline_state IN (?)
			ORDER BY `+severityRank+` DESC, id LIMIT ?`,
			scan.ID, slices.Compact(severities), slices.Compact(states), limit)
		if err != nil {
			return err
		}
		ids, more = ids[:0], len(list) == limit
		for _, finding := range list {
			if len(ids) < core.MaxDeciding && gate.Fails(finding.FindingGroup) {
				ids = append(ids, finding.ID)
			}
		}
	}
	scan.PutDeciding(ids, total)
	return nil
}

// putTallied is putDeciding for findings of which only the ids are unknown.
func putTallied(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, tally *core.ReportTally) error {
	if scan.Verdict == nil || *scan.Verdict != core.Fail || len(tally.First) == 0 { // then coverage failed it
		return nil
	}
	at := make(map[int64]int, len(tally.First))
	deciding := make([]int64, len(tally.First))
	for n, d := range tally.First {
		at[d.AlertID], deciding[n] = n, d.AlertID
	}
	var rows []core.Finding
	err := sqldb.SelectIn(ctx, tx, &rows, `SELECT id, alert_id FROM findings WHERE scan_id = ? AND alert_id IN (?)`,
		scan.ID, deciding)
	if err != nil {
		return err
	}
	ids := make([]int64, len(tally.First))
	for _, row := range rows {
		ids[at[row.AlertID]] = row.ID
	}
	scan.PutDeciding(ids, tally.Deciding)
	return nil
}

// putVerdicts writes what judge has put into scans that had ended before.
func (s *Store) putVerdicts(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	if err := s.putSettled(ctx, tx, scans, ``); err != nil {
		return err
	}
	return s.putOutcomes(ctx, tx, scans, nil)
}

// aliased is a finding whose vulnerability has several ids.
type aliased struct {
	ID               int64  `db:"id"`
	ScanID           int64  `db:"scan_id"`
	CVEID            string `db:"cve_id"`
	VulnerabilityIDs string `db:"vulnerability_ids"`
}

// chooseRiskiest lets the findings of a scan whose vulnerabilities have several CVE ids bear the one by which they are judged, as
// things are known now. That is when its report comes, and for heads when an import changes what is known.
func (s *Store) chooseRiskiest(ctx context.Context, tx *sqlx.Tx, scan int64, jobs []core.Job) error {
	if findingsIn(jobs) == 0 {
		return nil
	}
	var list []aliased
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		SELECT id, cve_id, vulnerability_ids FROM findings WHERE scan_id = ? AND vulnerability_ids <> ''`), scan)
	if err != nil || len(list) == 0 {
		return err
	}
	known, err := scoresOf(ctx, tx, cvesOf(list))
	if err != nil {
		return err
	}
	var changed []aliased
	for _, f := range list {
		if chosen := core.Riskiest(f.CVEID, core.CVEsOf(f.VulnerabilityIDs), known); chosen != f.CVEID {
			f.CVEID = chosen
			changed = append(changed, f)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	_, err = s.db.ExecGiven(ctx, tx, sqldb.GivenOf("chosen", "id BIGINT, cve_id TEXT", changed), `
		UPDATE findings SET cve_id = w.cve_id FROM chosen w WHERE findings.id = w.id`)
	return err
}

// scoresOf is what is published about CVEs.
func scoresOf(ctx context.Context, tx *sqlx.Tx, ids []string) (map[string]core.Score, error) {
	known := make(map[string]core.Score)
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		var rows []core.Score
		if err := sqldb.SelectIn(ctx, tx, &rows, `SELECT cve_id, probability, percentile, kev FROM epss_data WHERE cve_id IN (?)`, chunk); err != nil {
			return nil, err
		}
		for _, row := range rows {
			known[row.CVEID] = row
		}
	}
	return known, nil
}

// cvesOf are the CVE ids of vulnerabilities, each once.
func cvesOf(list []aliased) (ids []string) {
	for _, f := range list {
		ids = append(ids, core.CVEsOf(f.VulnerabilityIDs)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// putOutcomes keeps how scans have ended. Those that run again have no outcome.
func (s *Store) putOutcomes(ctx context.Context, tx *sqlx.Tx, ended, open []core.Scan) error {
	if len(open) > 0 {
		_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM outcomes WHERE scan_id IN (?)`, scanIDs(open))
		if err != nil {
			return err
		}
	}
	if len(ended) == 0 {
		return nil
	}
	given := sqldb.Given{Name: "ended", Columns: "scan_id BIGINT, source_platform TEXT, project_id BIGINT, branch TEXT, outcome TEXT"}
	for _, scan := range ended {
		given.Rows = append(given.Rows, []any{scan.ID, scan.SourcePlatform, scan.ProjectID, scan.Branch, outcomeOf(scan)})
	}
	_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`outcomes`)+`
		ON CONFLICT (scan_id) DO UPDATE SET branch = excluded.branch, outcome = excluded.outcome
			WHERE outcomes.branch <> excluded.branch OR outcomes.outcome <> excluded.outcome`)
	return err
}

// outcomeOf is the verdict of an ended scan, or else its status.
func outcomeOf(scan core.Scan) string {
	if scan.Verdict != nil {
		return string(*scan.Verdict)
	}
	return string(scan.Status)
}

func scanIDs(scans []core.Scan) []int64 {
	ids := make([]int64, len(scans))
	for i, scan := range scans {
		ids[i] = scan.ID
	}
	return ids
}
