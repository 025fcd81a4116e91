package store

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/decisions"
	"github.com/scanhook/scanhook/store/particulars"
	"github.com/scanhook/scanhook/store/sqldb"
)

// lockForReport locks a scan whose findings are about to change. The project comes first, as in triage. Of a run and
// the one that it is compared with, the later one sees the other.
func (s *Store) lockForReport(ctx context.Context, tx *sqlx.Tx, scan int64) (core.Scan, error) {
	if err := s.lockKeys(ctx, tx, scan); err != nil {
		return core.Scan{}, err
	}
	return s.lockScan(ctx, tx, scan)
}

// lockForBase is lockForReport of a scan that is about to be compared with another merge base. No row is locked before the keys: the
// run of that commit, which has its key, may wait for the row.
func (s *Store) lockForBase(ctx context.Context, tx *sqlx.Tx, scan int64, base string) error {
	err := s.lockKeys(ctx, tx, scan)
	if err == nil {
		err = s.db.ShareKey(ctx, tx, lockOfProject+` || '@' || CAST(? AS TEXT)`, ofScan+` AND commit_sha <> ?`, base, scan, base)
	}
	if err == nil {
		_, err = s.lockScan(ctx, tx, scan)
	}
	return err
}

func (s *Store) lockKeys(ctx context.Context, tx *sqlx.Tx, scan int64) error {
	err := s.db.ShareKey(ctx, tx, lockOfProject, ofScan, scan)
	const onDefault = lockOfProject + ` || '@refs/heads/' || default_branch`
	if err == nil { // any run may be compared with one of the default branch
		err = s.db.LockKey(ctx, tx, onDefault, ofScan+` AND ref = 'refs/heads/' || default_branch`, scan)
	}
	if err == nil {
		err = s.db.ShareKey(ctx, tx, onDefault, ofScan+` AND ref <> 'refs/heads/' || default_branch`, scan)
	}
	if err == nil {
		err = s.db.LockKey(ctx, tx, lockOfProject+` || '@' || commit_sha`, ofScan, scan)
	}
	if err == nil {
		err = s.db.ShareKey(ctx, tx, lockOfProject+` || '@' || merge_base_sha`,
			ofScan+` AND merge_base_sha <> '' AND merge_base_sha <> commit_sha`, scan)
	}
	return err
}

// turns tells whether an earlier report of the job failed the gate, and this one does not: that stands still after one that only says that
// the scanner failed.
func (d *reportBatch) turns(ctx context.Context, tx *sqlx.Tx, job core.Job, gate core.Gate, onMain bool) (bool, error) {
	if !d.past.red || d.Failure != "" {
		return d.past.red, nil
	}
	red, err := failsAlone(ctx, tx, job, gate, onMain)
	return !red, err
}

// compareReport chooses the baseline of a job, and compares the report with it.
func (s *Store) compareReport(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, job *core.Job, d *reportBatch, gate core.Gate) (past previous, err error) {
	if past, err = s.loadPrevious(ctx, tx, scan, job, d.Changes); err != nil {
		return past, err
	}
	past.Moved, past.Later = d.Moved, d.later
	if err := past.loadForeign(ctx, tx, scan, job); err != nil {
		return past, fmt.Errorf("reading the baseline of other categories: %w", err)
	}
	decided, err := decisions.In(ctx, tx, scan.ProjectID, s.policyOf(scan).Approval)
	if err != nil {
		return past, err
	}
	if !past.foreign {
		past.Unsearched, past.Outside = d.Coverage.Unsearched(), d.Outside()
	}
	d.compare(past.Previous, decided, gate)
	d.unresolved, d.known = past.unresolved, gate.FirstKnown && past.isFirst(scan)
	if d.kept, err = selectKept(ctx, tx, past.jobs, d.compared.Kept); err != nil {
		return past, fmt.Errorf("reading findings in files that were not searched: %w", err)
	}
	d.alerts = append(d.compared.Alerts(), alertsOf(d.kept)...)
	d.bare = d.bared(past.suppressed)
	return past, nil
}

// reportBatch is a report while it becomes the findings of a job.
type reportBatch struct {
	core.Report
	examined   match.Prepared
	past       pastReports
	more       particulars.Batch
	later      match.Baseline // what later commits brought, as far as they were compared without this one
	job        core.Job
	compared   *match.Comparison
	known      bool              // new findings count as known
	unresolved map[int64]bool    // alerts that are unresolved after the baseline
	kept       []core.Finding    // of earlier scans, in files that were not searched; they come after those of the report
	hashed     []int             // findings whose alerts are of before secrets had hashes
	alerts     []int64           // of the findings, by their number in the report; 0 where not known yet
	bare       map[int]bool      // findings, by their number in the report, that the baseline's scanner suppressed
	decided    decisions.Decided // what holds in the project
	ids        map[int]int64     // of the findings that the job has already, by their number in the report
	tally      *core.ReportTally // of the findings that were inserted
	scratch    core.Finding
}

// newReportBatch does what can be done before a transaction begins, and other transactions wait.
func newReportBatch(report core.Report) *reportBatch {
	return &reportBatch{Report: report, examined: match.Prepare(report), more: particulars.NewBatch(report)}
}

// compare matches the findings with those before, and takes over what was decided on them.
func (d *reportBatch) compare(past match.Previous, decided decisions.Decided, gate core.Gate) {
	d.compared, d.decided, d.tally = d.examined.Compare(past), decided, &core.ReportTally{Gate: gate}
}

// bared finds the findings that their scanner suppressed in the baseline, and now does not: nobody vouches for them any more, so
// they are new.
func (d *reportBatch) bared(suppressed map[int64]bool) (bare map[int]bool) {
	if len(suppressed) == 0 {
		return nil
	}
	bare = make(map[int]bool)
	var scratch core.Finding
	for i, alert := range d.compared.Alerts() {
		if !suppressed[alert] {
			continue
		}
		f := *d.At(i, &scratch)
		if d.compared.Apply(i, &f); f.BaselineState == core.Unchanged && f.Suppressed == nil {
			bare[i] = true
		}
	}
	return bare
}

// unchanged is how many findings of the job are known.
func (d *reportBatch) unchanged() int {
	if d.known {
		return d.Len()
	}
	return d.compared.Unchanged - len(d.bare)
}

// Len is how many findings the job has in the end.
func (d *reportBatch) Len() int { return d.Report.Len() + len(d.kept) }

// finding is the i-th finding as it is to be stored, until the next one is asked for.
func (d *reportBatch) finding(i int) *core.Finding {
	f := &d.scratch
	if reported := d.Report.Len(); i < reported {
		f = d.At(i, f)
		f.Tool, f.VulnerabilityIDs = cmp.Or(f.Tool, core.ScannerOf(d.job.Scanner)), cmp.Or(f.AllIDs(), f.VulnerabilityIDs)
		d.compared.Apply(i, f)
		switch {
		case d.bare[i]:
			f.BaselineState = core.New
		case d.known:
			f.BaselineState = core.Unchanged
		}
	} else {
		*f = d.kept[i-reported]
	}
	f.ID, f.ScanID, f.JobID, f.AlertID = d.ids[i], d.job.ScanID, d.job.ID, d.alerts[i]
	f.Unresolved = f.BaselineState == core.Unchanged && d.unresolved[f.AlertID]
	d.decided.Propagate(f)
	return f
}

// moved are the alerts of findings that the job did not have and that were recognised in another place, or with another severity.
func (d *reportBatch) moved() (list []int64) {
	for i := range d.Report.Len() {
		if d.ids[i] == 0 && d.compared.Moved(i) {
			list = append(list, d.alerts[i])
		}
	}
	return list
}

// wholeTally returns the report's tally, or nil if stored findings or triage decisions also count.
func (d *reportBatch) wholeTally() *core.ReportTally {
	if len(d.decided.ByAlert) > 0 || len(d.ids) > 0 {
		return nil
	}
	return d.tally
}

// replaceFindings makes a job's findings those of its report, and gives each its alert. A finding that the job had before
// keeps its id, and with it its links. An equal report writes nothing.
func (s *Store) replaceFindings(ctx context.Context, tx *sqlx.Tx, scan core.Scan, d *reportBatch) error {
	changed, gone, err := keepFindings(ctx, tx, d)
	if err != nil {
		return err
	}
	found, err := s.giveAlerts(ctx, tx, scan, d)
	if err != nil {
		return err
	}
	if err := s.insertFindings(ctx, tx, d); err != nil {
		return err
	}
	if err := d.more.Put(ctx, s.db, tx, d.job, d.finding, d.kept); err != nil {
		return err
	}
	if err := hashAlerts(ctx, tx, scan, d.toHash()); err != nil {
		return fmt.Errorf("keeping hashes of alerts: %w", err)
	}
	if err := s.closeUnseenOf(ctx, tx, scan, gone); err != nil {
		return fmt.Errorf("closing alerts: %w", err)
	}
	return s.describeAlerts(ctx, tx, scan, slices.Concat(changed, found, d.moved()))
}

// insertFindings adds the findings of a report that the job does not have.
func (s *Store) insertFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) error {
	var fresh []int
	for i := 0; len(d.ids) > 0 && i < d.Len(); i++ {
		if d.ids[i] == 0 {
			fresh = append(fresh, i)
		}
	}
	return s.db.Load(ctx, tx, sqldb.Bulk{
		Table: "findings", Columns: append([]string{"scan_id", "job_id", "alert_id", "fingerprint"}, reportedNames()...),
		Rows: d.Len() - len(d.ids),
		Row: func(i int, values []any) []any {
			if fresh != nil {
				i = fresh[i]
			}
			f := d.finding(i)
			d.tally.Add(f)
			values = append(values, f.ScanID, f.JobID, f.AlertID, f.Fingerprint)
			for _, column := range reported {
				values = append(values, column.value(f))
			}
			return values
		},
	})
}

// keepFindings updates what the job has already, records the ids and deletes what is no longer reported. It returns the alerts of
// what changed and of what is gone.
func keepFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) (changed, gone []int64, err error) {
	went, differ, err := compareFindings(ctx, tx, d)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range differ {
		f := d.finding(i)
		if err := updateFinding(ctx, tx, *f); err != nil {
			return nil, nil, err
		}
		changed = append(changed, f.AlertID)
	}
	return changed, alertsOf(went), deleteFindings(ctx, tx, went)
}

// compareFindings records the ids of findings that the job has already, and returns those that are gone, with id and alert, and the
// numbers of those that changed. It reads row by row, because there may be many.
func compareFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) (gone []core.Finding, changed []int, err error) {
	rows, err := tx.QueryxContext(ctx, tx.Rebind(`SELECT `+findingColumns+` FROM findings WHERE job_id = ?`), d.job.ID)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var index map[string]int
	for rows.Next() {
		if index == nil {
			index, d.ids = d.index(), make(map[int]int64)
		}
		var before core.Finding
		if err := rows.StructScan(&before); err != nil {
			return nil, nil, err
		}
		i, ok := index[before.Fingerprint]
		if !ok {
			gone = append(gone, core.Finding{ID: before.ID, AlertID: before.AlertID})
			continue
		}
		delete(index, before.Fingerprint)
		d.ids[i] = before.ID
		d.alerts[i] = before.AlertID
		if !reportedAlike(before, *d.finding(i)) {
			changed = append(changed, i)
		}
	}
	return gone, changed, rows.Err()
}

// index finds the numbers of findings by their fingerprints.
func (d *reportBatch) index() map[string]int {
	index := make(map[string]int, d.Len())
	for i := range d.Len() {
		index[d.finding(i).Fingerprint] = i
	}
	return index
}

// reportedAlike tells whether a report states the same of a finding as before, whatever its triage is.
func reportedAlike(before, f core.Finding) bool {
	f.AIVerdict, f.AIConfidence, f.AIReasoning = before.AIVerdict, before.AIConfidence, before.AIReasoning
	f.RemediationPatch, f.RedTeamSuccess, f.PartialFingerprint = before.RemediationPatch, before.RedTeamSuccess, ""
	f.Surroundings, f.Code, f.CodeLine, f.About = before.Surroundings, before.Code, before.CodeLine, before.About
	if f.VulnerabilityIDs != "" && f.VulnerabilityIDs == before.VulnerabilityIDs {
		f.CVEID = before.CVEID // which is chosen among them
	}
	f.Former = before.Former
	f.Shape, f.Details = before.Shape, before.Details
	return reflect.DeepEqual(before, f)
}

func updateFinding(ctx context.Context, tx *sqlx.Tx, f core.Finding) error {
	set := `code = CASE WHEN findings.file = :file AND findings.line = :line THEN code ELSE '' END`
	for _, column := range reported {
		set += `, ` + column.name + ` = :` + column.name
	}
	_, err := tx.NamedExecContext(ctx, `UPDATE findings SET `+set+` WHERE id = :id`, f)
	return err
}

func deleteFindings(ctx context.Context, tx *sqlx.Tx, gone []core.Finding) error {
	for chunk := range slices.Chunk(gone, sqldb.RowsPerStatement) {
		ids := make([]int64, len(chunk))
		for i, f := range chunk {
			ids[i] = f.ID
		}
		if _, err := sqldb.ExecIn(ctx, tx, `DELETE FROM findings WHERE id IN (?)`, ids); err != nil {
			return err
		}
	}
	return nil
}

// giveAlerts gives an alert to the findings of a report that were not recognised: the one of the project that has the same
// key, else a new one. It returns the alerts that were found by their key.
func (s *Store) giveAlerts(ctx context.Context, tx *sqlx.Tx, scan core.Scan, d *reportBatch) (found []int64, err error) {
	lacking := d.lacking()
	if len(lacking) == 0 {
		return nil, nil
	}
	last, err := lockAlerts(ctx, tx, scan.ProjectID)
	if err != nil {
		return nil, fmt.Errorf("numbering alerts: %w", err)
	}
	if last > 0 {
		if found, err = findAlerts(ctx, tx, scan.ProjectID, last, d, lacking); err != nil {
			return nil, fmt.Errorf("finding alerts: %w", err)
		}
		if err := seeFirst(ctx, tx, scan, d.author(scan), found); err != nil {
			return nil, err
		}
		lacking = d.lacking()
	}
	if err := s.addAlerts(ctx, tx, scan, last, d, lacking); err != nil {
		return nil, fmt.Errorf("adding alerts: %w", err)
	}
	return found, nil
}

// toHash are alerts of before secrets had hashes.
func (d *reportBatch) toHash() (ids []int64) {
	for _, i := range slices.Concat(d.compared.Hashed, d.hashed) {
		ids = append(ids, d.alerts[i])
	}
	return ids
}

// lacking are the findings without an alert, in the order of the report.
func (d *reportBatch) lacking() (list []int) {
	for i, alert := range d.alerts {
		if alert == 0 {
			list = append(list, i)
		}
	}
	return list
}

// keysPerProject is up to how many alerts of a project, as a multiple of those that are looked for, reading all is faster
// than looking each up.
const keysPerProject = 4

// findAlerts gives findings the alerts that the project has under their keys.
func findAlerts(
	ctx context.Context, tx *sqlx.Tx, project int64, last int, d *reportBatch, lacking []int,
) (found []int64, err error) {
	wanted := newWantedAlerts(d, lacking)
	const ofProject = `SELECT id, key, secret_hash FROM alerts WHERE project_id = ?`
	if last <= keysPerProject*len(lacking) {
		var rows []keyedAlert
		if err := tx.SelectContext(ctx, &rows, tx.Rebind(ofProject), project); err != nil {
			return nil, err
		}
		return wanted.give(d, rows), nil
	}
	var all []keyedAlert
	for chunk := range slices.Chunk(wanted.keys, sqldb.RowsPerStatement) {
		var rows []keyedAlert
		if err := sqldb.SelectIn(ctx, tx, &rows, ofProject+` AND key IN (?)`, project, chunk); err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return wanted.give(d, all), nil
}

// keyedAlert is an alert as findings are given theirs.
type keyedAlert struct {
	ID         int64  `db:"id"`
	Key        string `db:"key"`
	SecretHash string `db:"secret_hash"`
}

// wantedAlerts are the keys under which findings may have alerts.
type wantedAlerts struct {
	keys        []string
	own, former map[string]int // findings by their key, and by the one that each had while masks had no key
}

func newWantedAlerts(d *reportBatch, lacking []int) wantedAlerts {
	w := wantedAlerts{make([]string, 0, len(lacking)), make(map[string]int, len(lacking)), make(map[string]int)}
	want := func(keys map[string]int, key string, i int) {
		keys[key] = i
		w.keys = append(w.keys, key)
	}
	for _, i := range lacking {
		f := d.finding(i)
		want(w.own, alerts.Key(f), i)
		if former := d.compared.Former(i); former != "" {
			want(w.former, alerts.KeyOf(former, f.Tool), i)
		}
	}
	return w
}

// give gives findings the alerts of their keys, or else those of the keys of before. Such an alert is that of one secret: of the first
// that comes.
func (w wantedAlerts) give(d *reportBatch, rows []keyedAlert) (found []int64) {
	take := func(keys map[string]int, row keyedAlert) (i int, taken bool) {
		i, taken = keys[row.Key]
		if taken = taken && d.alerts[i] == 0; taken {
			d.alerts[i] = row.ID
			found = append(found, row.ID)
		}
		return i, taken
	}
	for _, row := range rows {
		take(w.own, row)
	}
	for _, row := range rows {
		if i, former := w.former[row.Key]; !former || row.SecretHash != "" && row.SecretHash != d.finding(i).SecretHash {
			continue
		}
		if i, taken := take(w.former, row); taken {
			d.hashed = append(d.hashed, i)
		}
	}
	return found
}

// seeFirst lets a scan, of an author, be the first that saw alerts that only scans of later commits have seen until now.
func seeFirst(ctx context.Context, tx *sqlx.Tx, scan core.Scan, author string, ids []int64) error {
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		_, err := sqldb.ExecIn(ctx, tx, `
			UPDATE alerts SET first_seen_scan_id = ?, author = ? WHERE id IN (?) AND first_seen_scan_id > ?`, scan.ID, author, chunk, scan.ID)
		if err != nil {
			return fmt.Errorf("keeping which commit brought alerts: %w", err)
		}
	}
	return nil
}

// author is who brought what is new in a scan; empty where it may have been there before the commit.
func (d *reportBatch) author(scan core.Scan) string {
	if d.job.BaselineScanID == nil || d.known {
		return ""
	}
	return scan.CommitAuthor
}

// addAlerts makes new alerts of findings, numbered in the order of the report.
func (s *Store) addAlerts(ctx context.Context, tx *sqlx.Tx, scan core.Scan, last int, d *reportBatch, fresh []int) error {
	if len(fresh) == 0 {
		return nil
	}
	now, author := s.clock.Timestamp(), d.author(scan) // of all
	err := s.db.Load(ctx, tx, sqldb.Bulk{
		Table: "alerts", Columns: []string{
			"id", "project_id", "number", "key", "tool", "rule_id", "severity", "title", "file", "line", "state",
			"first_seen", "first_seen_scan_id", "cve_id", "words", "author", "package",
		},
		Rows: len(fresh),
		Row: func(n int, values []any) []any {
			f, number := d.finding(fresh[n]), last+1+n
			state := alerts.StateOf(f.Suppressed == nil, true, *f, nil)
			return append(values, alerts.IDOf(scan.ProjectID, number), scan.ProjectID, number, alerts.Key(f), f.Tool, f.RuleID,
				string(f.Severity), f.Title, f.File, f.Line, string(state), now, scan.ID, f.CVEID, alerts.Words(f), author, alerts.PackageOf(f))
		},
	})
	if err != nil {
		return err
	}
	for n, i := range fresh {
		d.alerts[i] = alerts.IDOf(scan.ProjectID, last+1+n)
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE alert_numbers SET last = ? WHERE project_id = ?`), last+len(fresh), scan.ProjectID)
	return err
}
