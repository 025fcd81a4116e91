package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/decisions"
	"github.com/scanhook/scanhook/store/sqldb"
)

// alertHead is a branch or request with the scan whose findings are kept as its open alerts.
type alertHead struct {
	ID        int64     `db:"id"`
	ProjectID int64     `db:"project_id"`
	Ref       string    `db:"ref"`
	ScanID    int64     `db:"scan_id"` // it may have been removed
	SeenAt    time.Time `db:"seen_at"`
}

const headColumns = `id, project_id, ref, scan_id, seen_at`

// showOpen makes the open alerts of the heads that stand at the commit of a completed scan those that the scan has, and counts
// those of the default branch for today. groups are the scan's findings. Alerts that only it has seen are closed where no head stands
// at its commit.
func (s *Store) showOpen(ctx context.Context, tx *sqlx.Tx, scan core.Scan, groups []core.FindingGroup) error {
	refs, err := s.headsAt(ctx, tx, scan)
	if err == nil && len(refs) == 0 {
		err = s.closeUnseen(ctx, tx, scan)
	}
	if err != nil {
		return fmt.Errorf("finding heads: %w", err)
	}
	if scan.Status != core.ScanCompleted {
		return nil
	}
	for _, ref := range refs {
		if err := s.showOpenAt(ctx, tx, scan, ref); err != nil {
			return fmt.Errorf("showing open alerts of %s: %w", ref, err)
		}
		if ref == core.BranchRef(scan.DefaultBranch) {
			if err := s.countDay(ctx, tx, scan, groups); err != nil {
				return fmt.Errorf("counting open alerts: %w", err)
			}
		}
	}
	return nil
}

// headsAt are the branches and requests that stand at a scan's commit, which was not scanned once more. Only where several are
// known to, all refs of the project are looked at.
func (s *Store) headsAt(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (refs []string, err error) {
	var latest bool
	err = tx.GetContext(ctx, &latest, tx.Rebind(`SELECT `+latestAttempt+` FROM scans s WHERE s.id = ?`), scan.ID)
	if err != nil || !latest {
		return nil, err
	}
	if scan.SharedRefs {
		err = tx.SelectContext(ctx, &refs, tx.Rebind(`SELECT name FROM refs WHERE project_id = ? AND sha = ?`), scan.ProjectID, scan.CommitSHA)
	} else {
		err = tx.SelectContext(ctx, &refs, tx.Rebind(`
			WITH wanted (name) AS (VALUES (CAST(? AS TEXT)), (?))
			SELECT name FROM wanted WHERE (SELECT r.sha FROM refs r WHERE r.project_id = ? AND r.name = wanted.name) = ?`),
			scan.Ref, core.BranchRef(scan.DefaultBranch), scan.ProjectID, scan.CommitSHA)
	}
	slices.Sort(refs)
	return slices.DeleteFunc(slices.Compact(refs), func(ref string) bool { return core.TagOf(ref) != "" }), err
}

// lockAlerts returns the last number of the project's alerts. Until the transaction ends, no other one adds alerts, so that it
// neither takes the same numbers nor misses one of these; nor does one open or close them, which would count on what is open at
// other heads.
func lockAlerts(ctx context.Context, tx *sqlx.Tx, project int64) (last int, err error) {
	err = tx.GetContext(ctx, &last, tx.Rebind(`
		INSERT INTO alert_numbers (project_id, last) VALUES (?, 0)
		ON CONFLICT (project_id) DO UPDATE SET last = alert_numbers.last
		RETURNING last`), project)
	return last, err
}

// showOpenAt makes the open alerts of a head those of the scan.
func (s *Store) showOpenAt(ctx context.Context, tx *sqlx.Tx, scan core.Scan, ref string) error {
	if _, err := lockAlerts(ctx, tx, scan.ProjectID); err != nil {
		return err
	}
	now := s.clock.Timestamp()
	var before alertHead
	err := tx.GetContext(ctx, &before, tx.Rebind(`
		INSERT INTO alert_heads (project_id, ref, scan_id, seen_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (project_id, ref) DO UPDATE SET ref = excluded.ref
		RETURNING `+headColumns), scan.ProjectID, ref, scan.ID, now)
	if err != nil {
		return err
	}
	var shows bool
	err = tx.GetContext(ctx, &shows, tx.Rebind(`SELECT EXISTS (SELECT 1 FROM open_alerts WHERE head_id = ?)`), before.ID)
	switch {
	case err != nil:
		return err
	case shows:
		err = s.moveOpen(ctx, tx, before, scan.ID)
	default:
		err = showAll(ctx, tx, before, scan.ID)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE alert_heads SET scan_id = ?, seen_at = ? WHERE id = ?`), scan.ID, now, before.ID)
	return err
}

// showAll is moveOpen for a head where nothing is open, as of a new branch, without reading all that a scan has into this process.
func showAll(ctx context.Context, tx *sqlx.Tx, head alertHead, scan int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO open_alerts (head_id, alert_id)
		SELECT CAST(? AS BIGINT), alert_id FROM (`+sighted+`) seen GROUP BY alert_id HAVING SUM(counts) > 0 ORDER BY alert_id`),
		head.ID, scan, scan, scan)
	if err != nil {
		return err
	}
	var reopened []int64
	err = tx.SelectContext(ctx, &reopened, tx.Rebind(`
		SELECT alert_id FROM open_alerts o WHERE head_id = ? AND (SELECT state FROM alerts WHERE alerts.id = o.alert_id) <> 'open'
		ORDER BY alert_id`), head.ID)
	if err != nil {
		return err
	}
	return reopen(ctx, tx, reopened)
}

func reopen(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		if _, err := sqldb.ExecIn(ctx, tx, `UPDATE alerts SET state = 'open' WHERE id IN (?)`, chunk); err != nil {
			return err
		}
	}
	return nil
}

// moveOpen makes the open alerts of a head those of a scan.
func (s *Store) moveOpen(ctx context.Context, tx *sqlx.Tx, head alertHead, scan int64) error {
	move, err := loadMove(ctx, tx, head.ID, scan)
	if err != nil {
		return err
	}
	return s.saveMove(ctx, tx, head, move)
}

// sighted are the alerts of a scan, which is a parameter three times. Only those count of which the sum is above 0. It reads indexes
// only, but for what is dismissed.
var sighted = `
	SELECT alert_id, 1 AS present, 1 AS counts, 0 AS open FROM findings WHERE scan_id = ?
	UNION ALL SELECT alert_id, 1, -1, 0 FROM findings WHERE scan_id = ? AND suppressed IS NOT NULL
	UNION ALL SELECT alert_id, 1, -1, 0 FROM findings WHERE scan_id = ? AND ` + decidedOnes + ` AND ` + dismissed + `
		AND suppressed IS NULL`

// loadMove compares a scan with what is open at a head. It groups both, which takes the same time whatever an engine knows of
// the tables.
func loadMove(ctx context.Context, tx *sqlx.Tx, head, scan int64) (alerts.Move, error) {
	var sights []alerts.Sight
	err := tx.SelectContext(ctx, &sights, tx.Rebind(`
		SELECT alert_id, present, counts, open, (SELECT state FROM alerts WHERE alerts.id = told.alert_id) AS state FROM (
			SELECT alert_id, MAX(present) AS present, CASE WHEN SUM(counts) > 0 THEN 1 ELSE 0 END AS counts, MAX(open) AS open FROM (`+sighted+`
				UNION ALL SELECT alert_id, 0, 0, 1 FROM open_alerts WHERE head_id = ?) either
			GROUP BY alert_id HAVING CASE WHEN SUM(counts) > 0 THEN 1 ELSE 0 END <> MAX(open)) told
		ORDER BY alert_id`), scan, scan, scan, head)
	return alerts.Compare(sights), err
}

// saveMove writes what changes about the open alerts of a head, which is given as it was before.
func (s *Store) saveMove(ctx context.Context, tx *sqlx.Tx, before alertHead, move alerts.Move) error {
	err := s.db.Load(ctx, tx, sqldb.Bulk{
		Table: "open_alerts", Columns: []string{"head_id", "alert_id"}, Rows: len(move.Came),
		Row: func(i int, values []any) []any { return append(values, before.ID, move.Came[i]) },
	})
	if err == nil {
		err = reopen(ctx, tx, move.Reopened)
	}
	if err != nil {
		return err
	}
	return closeAlerts(ctx, tx, before, move.Went)
}

// closeAlerts ends that alerts are open at a head, and keeps when they were seen there.
func closeAlerts(ctx context.Context, tx *sqlx.Tx, head alertHead, went []alerts.Sight) error {
	for chunk := range slices.Chunk(went, sqldb.RowsPerStatement) {
		if err := closeChunk(ctx, tx, head, chunk); err != nil {
			return err
		}
	}
	return nil
}

func closeChunk(ctx context.Context, tx *sqlx.Tx, head alertHead, went []alerts.Sight) error {
	ids, present := make([]int64, len(went)), map[int64]bool{}
	for i, sight := range went {
		ids[i], present[sight.AlertID] = sight.AlertID, sight.Present
	}
	if _, err := sqldb.ExecIn(ctx, tx, `DELETE FROM open_alerts WHERE head_id = ? AND alert_id IN (?)`, head.ID, ids); err != nil {
		return err
	}
	states, err := loadStates(ctx, tx, ids, present)
	if err != nil {
		return err
	}
	return putStates(ctx, tx, states, head.SeenAt, head.ScanID)
}

// closeFailedBefore closes what only scans have seen that failed for the commits of scans which have ended, or for those that were
// pushed onto.
func (s *Store) closeFailedBefore(ctx context.Context, tx *sqlx.Tx, ended []core.Scan) error {
	if len(ended) == 0 {
		return nil
	}
	var commits []string
	var projects []int64
	for _, scan := range ended {
		commits, projects = append(commits, scan.CommitSHA, scan.BeforeSHA), append(projects, scan.ProjectID)
	}
	var failed []core.Scan
	err := sqldb.SelectIn(ctx, tx, &failed, `
		SELECT `+scansAs("s")+` FROM scans s WHERE s.commit_sha IN (?) AND s.project_id + 0 IN (?) AND s.status = 'failed'
			AND (SELECT f.scan_id FROM findings f WHERE f.scan_id = s.id LIMIT 1) IS NOT NULL`, commits, projects)
	for _, before := range failed {
		after := func(scan core.Scan) bool {
			return scan.ID != before.ID && scan.ProjectID == before.ProjectID &&
				(scan.CommitSHA == before.CommitSHA || scan.BeforeSHA == before.CommitSHA)
		}
		if err == nil && slices.ContainsFunc(ended, after) {
			err = s.closeLeft(ctx, tx, before)
		}
	}
	return err
}

// closeLeft closes what only a scan has seen, unless a head stands at its commit.
func (s *Store) closeLeft(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	refs, err := s.headsAt(ctx, tx, scan)
	if err != nil || len(refs) > 0 {
		return err
	}
	return s.closeUnseen(ctx, tx, scan)
}

// closeUnseen ends that alerts count as open which a scan was the first to see and no head shows.
func (s *Store) closeUnseen(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	var ids []int64
	err := tx.SelectContext(ctx, &ids, tx.Rebind(`
		SELECT DISTINCT alert_id FROM findings WHERE scan_id = ? AND baseline_state = 'new' ORDER BY alert_id`), scan.ID)
	if err != nil {
		return err
	}
	return s.closeUnseenOf(ctx, tx, scan, ids)
}

// closeUnseenOf is closeUnseen for some alerts.
func (s *Store) closeUnseenOf(ctx context.Context, tx *sqlx.Tx, scan core.Scan, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := lockAlerts(ctx, tx, scan.ProjectID); err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		var open []int64
		err := sqldb.SelectIn(ctx, tx, &open, `
			SELECT id FROM alerts WHERE id IN (?) AND first_seen_scan_id = ? AND state = 'open'`, chunk, scan.ID)
		if err != nil {
			return err
		}
		states, err := loadStates(ctx, tx, open, nil)
		if err != nil {
			return err
		}
		delete(states, alerts.Open)
		if err := putStates(ctx, tx, states, s.clock.Timestamp(), scan.ID); err != nil {
			return err
		}
	}
	return nil
}

// putStates ends that alerts are open, and keeps when and by which scan they were seen.
func putStates(ctx context.Context, tx *sqlx.Tx, states map[alerts.State][]int64, seen time.Time, scan int64) error {
	for state, ids := range states {
		_, err := sqldb.ExecIn(ctx, tx, `
			UPDATE alerts SET state = ?, last_seen = ?, last_seen_scan_id = ? WHERE id IN (?)`, state, seen, scan, ids)
		if err != nil {
			return err
		}
	}
	return nil
}

// loadStates are the states of alerts, by what is open and decided. present are those that a head has all the same.
func loadStates(ctx context.Context, tx *sqlx.Tx, ids []int64, present map[int64]bool) (map[alerts.State][]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var list []struct {
		ID       int64         `db:"id"`
		Open     bool          `db:"open"`
		Severity core.Severity `db:"severity"`
		KEV      bool          `db:"kev"`
	}
	err := sqldb.SelectIn(ctx, tx, &list, `
		SELECT a.id, (SELECT COUNT(*) FROM alert_heads h WHERE h.project_id = a.project_id AND EXISTS (
			SELECT 1 FROM open_alerts o WHERE o.head_id = h.id AND o.alert_id = a.id)) > 0 AS open,
			a.severity, EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = a.cve_id AND e.kev) AS kev
		FROM alerts a WHERE a.id IN (?)`, ids)
	if err != nil {
		return nil, err
	}
	decided, err := decisions.MadeOn(ctx, tx, ids)
	states := map[alerts.State][]int64{}
	for _, alert := range list {
		like := core.Finding{Severity: alert.Severity, KEV: alert.KEV}
		state := alerts.StateOf(alert.Open, present[alert.ID], like, decided[alert.ID])
		states[state] = append(states[state], alert.ID)
	}
	return states, err
}

// describeAlerts lets alerts say what the scan's findings say of them. While the default branch has an alert, only that branch does,
// and no scan of a commit before the one whose alerts it shows.
func (s *Store) describeAlerts(ctx context.Context, tx *sqlx.Tx, scan core.Scan, changed []int64) error {
	if len(changed) == 0 {
		return nil
	}
	prevails := scan.OnDefaultBranch()
	if prevails {
		var later int
		err := tx.GetContext(ctx, &later, tx.Rebind(`
			SELECT COUNT(*) FROM alert_heads h JOIN scans s ON s.id = h.scan_id
			WHERE h.project_id = ? AND h.ref = ? AND COALESCE(s.first_scan_id, s.id) > ?`), scan.ProjectID, scan.Ref, scan.First())
		if err != nil {
			return err
		}
		prevails = later == 0
	}
	return describe(ctx, tx, scan, changed, prevails)
}

// describe takes over what findings of a scan say of alerts: of all, or of those that the default branch does not have.
func describe(ctx context.Context, tx *sqlx.Tx, scan core.Scan, ids []int64, all bool) error {
	for chunk := range slices.Chunk(ids, sqldb.RowsPerStatement) {
		_, err := sqldb.ExecIn(ctx, tx, `
			UPDATE alerts SET tool = f.tool, rule_id = f.rule_id, severity = f.severity, title = f.title, file = f.file, line = f.line,
				cve_id = f.cve_id,
				words = SUBSTR(f.message, 1, 500) || ' ' || f.vulnerability_ids || ' ' || f.cve_id || ' ' || f.cwe || ' ' || alerts.package
			FROM findings f
			WHERE alerts.id IN (?) AND f.scan_id = ? AND f.alert_id = alerts.id AND (? OR NOT EXISTS (
				SELECT 1 FROM alert_heads h JOIN findings has ON has.scan_id = h.scan_id AND has.alert_id = alerts.id
				WHERE h.project_id = ? AND h.ref = ?))`,
			chunk, scan.ID, all, scan.ProjectID, core.BranchRef(scan.DefaultBranch))
		if err != nil {
			return err
		}
	}
	return nil
}

// countDay keeps how many alerts are open today on the default branch. groups are the findings of the scan that it shows.
func (s *Store) countDay(ctx context.Context, tx *sqlx.Tx, scan core.Scan, groups []core.FindingGroup) error {
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO project_days (project_id, day, critical, high, medium, low)
		VALUES (:project_id, :day, :critical, :high, :medium, :low)
		ON CONFLICT (project_id, day) DO UPDATE SET critical = excluded.critical, high = excluded.high,
			medium = excluded.medium, low = excluded.low`, alerts.DayOf(scan.ProjectID, s.clock.Timestamp(), groups))
	return err
}

// ListDays returns how many alerts were open on a project's default branch on the last days on which that was counted, the
// oldest first.
func (s *Store) ListDays(ctx context.Context, platform, name string, limit int) ([]alerts.Day, error) {
	project, err := s.FindProject(ctx, platform, name)
	var list []alerts.Day
	if err == nil {
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
			SELECT project_id, day, critical, high, medium, low FROM project_days WHERE project_id = ? ORDER BY day DESC LIMIT ?`),
			project.ID, limit)
	}
	if err = sqldb.Classify(err); err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, fmt.Errorf("listing days: %w", err)
	}
	slices.Reverse(list)
	return list, nil
}

var alertColumns = sqldb.ColumnsOf[alerts.Alert]()

// Catalog lists alerts of all projects.
func (s *Store) Catalog() *catalog.Catalog { return catalog.New(s.db, s.clock.Now) }

// InProject are the projects that a filter of the catalog has for one project's name, if whoever asks may do the act there: none
// where it is unknown. Where no name is given, they are all in which they may; nil means all that there are.
func (s *Store) InProject(ctx context.Context, act access.Act, platform, name string) ([]int64, error) {
	sees := seenBy(ctx, act)
	if platform == "" && name == "" {
		shown, err := s.shownTo(ctx, sees)
		if err != nil {
			return nil, fmt.Errorf("finding projects: %w", err)
		}
		return shown.filter(), nil
	}
	project, err := s.FindProject(ctx, platform, name)
	switch {
	case errors.Is(err, core.ErrNotFound) || err == nil && !sees.has(project):
		return []int64{}, nil
	case err != nil:
		return nil, fmt.Errorf("finding project: %w", err)
	}
	return []int64{project.ID}, nil
}

// AlertStory is an alert with where it is open and what was said about it.
type AlertStory struct {
	alerts.Alert
	Project  core.KeptProject
	Heads    []AlertHead          // where it is open, at most maxHeads
	Decision *core.TriageDecision // that prevails; nil where nobody has decided
	Waiting  *approval.Proposal   // a dismissal that waits for a second person; nil for none
	Events   []core.TriageEvent   // the oldest first, at most maxEvents
	First    *core.Scan           // that saw it first; nil if it was removed
	LastScan string               // reference_id of one of the last that saw it; empty if that was removed
	Finding  int64                // as it is in the newest scan of a head that has it, or 0
}

// AlertHead is a branch or request where an alert is open.
type AlertHead struct {
	Ref    string    `db:"ref"`
	SeenAt time.Time `db:"seen_at"`
	Scan   *string   `db:"scan"` // reference_id; nil if it was removed
	Commit *string   `db:"commit_sha"`
	File   *string   `db:"file"` // where it is there; nil where that is not known any more
	Line   *int      `db:"line"`
}

const (
	maxHeads  = 100
	maxEvents = 500
)

// GetAlert finds an alert by its number in a project; core.ErrNotFound when there is none.
func (s *Store) GetAlert(ctx context.Context, platform, name string, number int) (story AlertStory, err error) {
	if story.Project, err = s.FindProject(ctx, platform, name); err != nil {
		return story, fmt.Errorf("getting alert: %w", err)
	}
	err = s.db.GetContext(ctx, &story.Alert, s.db.Rebind(`
		SELECT `+alertColumns+` FROM alerts WHERE id = ? AND project_id = ?`), alerts.IDOf(story.Project.ID, number), story.Project.ID)
	if err != nil {
		return story, fmt.Errorf("alert %s: %w", alerts.Name(name, number), sqldb.Classify(err))
	}
	for _, load := range []func(context.Context, *AlertStory) error{s.loadAlertHeads, s.loadAlertScans, s.loadAlertWords} {
		if err := load(ctx, &story); err != nil {
			return story, fmt.Errorf("getting alert %s: %w", alerts.Name(name, number), sqldb.Classify(err))
		}
	}
	return story, nil
}

func (s *Store) loadAlertHeads(ctx context.Context, story *AlertStory) error {
	err := s.db.SelectContext(ctx, &story.Heads, s.db.Rebind(`
		SELECT h.ref, h.seen_at, s.reference_id AS scan, s.commit_sha, f.file, f.line
		FROM alert_heads h
		LEFT JOIN scans s ON s.id = h.scan_id
		LEFT JOIN findings f ON f.id = (SELECT MAX(same.id) FROM findings same WHERE same.scan_id = h.scan_id AND same.alert_id = ?)
		WHERE h.project_id = ? AND EXISTS (SELECT 1 FROM open_alerts o WHERE o.head_id = h.id AND o.alert_id = ?)
		ORDER BY h.ref LIMIT ?`), story.ID, story.ProjectID, story.ID, maxHeads)
	if err != nil {
		return err
	}
	for i, head := range story.Heads {
		if story.LastSeen == nil || head.SeenAt.After(*story.LastSeen) {
			story.LastSeen = &story.Heads[i].SeenAt
		}
	}
	return s.db.GetContext(ctx, &story.Finding, s.db.Rebind(newestFinding), story.ID, story.ProjectID)
}

// newestFinding is the id of an alert's newest finding at the heads of a project, or 0.
const newestFinding = `
	SELECT COALESCE(MAX((SELECT MAX(f.id) FROM findings f WHERE f.scan_id = h.scan_id AND f.alert_id = ?)), 0)
	FROM alert_heads h WHERE h.project_id = ?`

func (s *Store) loadAlertScans(ctx context.Context, story *AlertStory) error {
	last := story.FirstSeenScanID
	if story.LastSeenScanID != nil {
		last = *story.LastSeenScanID
	}
	var scans []core.Scan
	err := sqldb.SelectIn(ctx, s.db, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, []int64{story.FirstSeenScanID, last})
	for i, scan := range scans {
		if scan.ID == story.FirstSeenScanID {
			story.First = &scans[i]
		}
		if scan.ID == last {
			story.LastScan = scan.ReferenceID
		}
	}
	for _, head := range story.Heads {
		if head.Scan != nil {
			story.LastScan = *head.Scan
		}
	}
	return err
}

func (s *Store) loadAlertWords(ctx context.Context, story *AlertStory) error {
	decided, err := decisions.MadeOn(ctx, s.db, []int64{story.ID})
	if err != nil {
		return err
	}
	story.Decision = core.PrevailingDecision(decided[story.ID])
	if story.Waiting, err = decisions.WaitingOn(ctx, s.db, story.ID); err != nil {
		return err
	}
	story.Events, err = s.listEvents(ctx, []int64{story.ID}, maxEvents)
	for i, event := range story.Events {
		story.Events[i] = event.For(event.FindingID)
	}
	return err
}

func alertsOf(findings []core.Finding) (ids []int64) {
	for _, f := range findings {
		ids = append(ids, f.AlertID)
	}
	return ids
}

var eventColumns = sqldb.ColumnsOf[core.TriageEvent]()

// listEvents returns the history of alerts, the oldest event first.
func (s *Store) listEvents(ctx context.Context, ids []int64, limit int) (list []core.TriageEvent, err error) {
	if len(ids) > 0 {
		err = sqldb.SelectIn(ctx, s.db, &list, `
			SELECT `+eventColumns+` FROM triage_events WHERE alert_id IN (?) ORDER BY id LIMIT ?`, ids, limit)
	}
	return list, sqldb.Classify(err)
}

// ListTriage returns the history of a finding, the oldest event first: what was said of it, and what was decided on the same
// finding in other scans. after is the id of the last event already read. A finding that does not exist has no history.
func (s *Store) ListTriage(ctx context.Context, finding, after int64, limit int) ([]core.TriageEvent, error) {
	list := []core.TriageEvent{}
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+eventColumns+` FROM triage_events
		WHERE alert_id = (SELECT alert_id FROM findings WHERE findings.id = ?) AND (finding_id = ? OR decides OR changes = '{}') AND id > ?
		ORDER BY id LIMIT ?`), finding, finding, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing triage: %w", sqldb.Classify(err))
	}
	for i, event := range list {
		list[i] = event.For(finding)
	}
	return list, nil
}

// ListHistories returns the histories of several findings, by their ids, the oldest event first; of all their alerts at most
// limit events.
func (s *Store) ListHistories(ctx context.Context, findings []core.Finding, limit int) (map[int64][]core.TriageEvent, error) {
	events, err := s.listEvents(ctx, alertsOf(findings), limit)
	if err != nil {
		return nil, fmt.Errorf("listing histories: %w", err)
	}
	histories := map[int64][]core.TriageEvent{}
	for _, event := range events {
		for _, f := range findings {
			if event.AlertID == f.AlertID && (event.Decides || event.Remarks() || event.FindingID == f.ID) {
				histories[f.ID] = append(histories[f.ID], event.For(f.ID))
			}
		}
	}
	return histories, nil
}
