package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/core/refs"
	"github.com/scanhook/scanhook/store/sqldb"
)

var refColumns = sqldb.ColumnsOf[core.Ref]()

// KnownRef is a ref, and the scan of the commit where it stands.
type KnownRef struct {
	core.Ref
	Scan *string `db:"scan"` // reference_id of the latest attempt; nil where the commit has none
}

// ListRefs returns the refs of a project in the order of their names, those after one name.
func (s *Store) ListRefs(ctx context.Context, platform, project, after string, limit int) (list []KnownRef, err error) {
	found, err := s.FindProject(ctx, platform, project)
	if err == nil {
		err = sqldb.Classify(s.db.SelectContext(ctx, &list, s.db.Rebind(`
			SELECT `+sqldb.Qualify("r", refColumns)+`, (SELECT s.reference_id FROM scans s
				WHERE s.commit_sha = r.sha AND s.project_id + 0 = r.project_id ORDER BY s.attempt DESC LIMIT 1) AS scan
			FROM refs r WHERE r.project_id = ? AND r.name > ? ORDER BY r.name LIMIT ?`), found.ID, after, limit))
	}
	if err != nil {
		return nil, fmt.Errorf("listing refs of %s: %w", project, err)
	}
	return list, nil
}

// Picture is what is known of the refs of a project when the platform is asked.
type Picture struct {
	At         time.Time
	Refs       map[string]core.Ref // by name
	Doubtful   map[string]bool     // of which events did not fit; one may have no ref
	Superseded map[string]bool     // which stand where the scan ended because another ref moved on
}

// getRef reads where a ref stands; the zero core.Ref where it does not exist.
func getRef(ctx context.Context, q sqlx.ExtContext, project int64, name string) (ref core.Ref, err error) {
	err = sqlx.GetContext(ctx, q, &ref, q.Rebind(`SELECT `+refColumns+` FROM refs WHERE project_id = ? AND name = ?`), project, name)
	if errors.Is(err, sql.ErrNoRows) {
		return core.Ref{}, nil
	}
	return ref, err
}

// GetPicture returns what is known of the refs of a project.
func (s *Store) GetPicture(ctx context.Context, project int64) (Picture, error) {
	picture := Picture{At: s.clock.Timestamp(), Refs: map[string]core.Ref{}}
	var list []core.Ref
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`SELECT `+refColumns+` FROM refs WHERE project_id = ?`), project)
	if err == nil {
		picture.Doubtful, err = s.refNames(ctx, `SELECT name FROM ref_doubts WHERE project_id = ?`, project)
	}
	if err == nil {
		picture.Superseded, err = s.refNames(ctx, `
			SELECT r.name FROM refs r WHERE r.project_id = ? AND (SELECT s.superseded_by FROM scans s
				WHERE s.commit_sha = r.sha AND s.project_id + 0 = r.project_id ORDER BY s.attempt DESC LIMIT 1) <> ''`, project)
	}
	if err != nil {
		return picture, fmt.Errorf("reading refs: %w", sqldb.Classify(err))
	}
	for _, ref := range list {
		picture.Refs[ref.Name] = ref
	}
	return picture, nil
}

func (s *Store) refNames(ctx context.Context, query string, project int64) (map[string]bool, error) {
	var list []string
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(query), project)
	names := map[string]bool{}
	for _, name := range list {
		names[name] = true
	}
	return names, err
}

// refChunk is how many refs one transaction of an answer takes, so that none delays a webhook.
const refChunk = 500

// SeeRefs takes the platform's answer for refs of a project: where they stand, or with an empty SHA that they are gone. The
// picture is what was known when the platform was asked.
func (s *Store) SeeRefs(ctx context.Context, w TrackedProject, picture Picture, seen []core.Ref) error {
	policy, _ := s.policies.For(w.SourcePlatform, w.ProjectName)
	for chunk := range slices.Chunk(seen, refChunk) {
		var words []*intake.Item
		for _, ref := range chunk {
			step := refs.Step{Before: picture.Refs[ref.Name].SHA, After: ref.SHA, At: picture.At}
			words = append(words, &intake.Item{Request: &intake.Request{Policy: policy, Word: &intake.Word{
				RefKey: intake.RefKey{Project: w.ProjectID, Name: ref.Name}, Event: refs.Event{Source: refs.Seen, Step: step},
			}}})
		}
		err := s.write(ctx, func(tx *sqlx.Tx) error {
			if err := s.lockRefs(ctx, tx, words); err != nil {
				return err
			}
			return s.moveRefs(ctx, tx, words, nil)
		})
		if err != nil {
			return fmt.Errorf("seeing refs: %w", err)
		}
	}
	return nil
}

// moveRefs takes words on where refs stand, and does what follows: jobs of commits that refs have left end, those of commits
// where refs stand again are restarted, and platforms are asked soon where the words leave it open. The refs are locked. What the
// words alone decide on is written here.
func (s *Store) moveRefs(ctx context.Context, tx *sqlx.Tx, words []*intake.Item, openings intake.Openings) error {
	if len(words) == 0 {
		return nil
	}
	known, err := s.loadRefs(ctx, tx, words)
	if err != nil {
		return err
	}
	moved := intake.Move(words, known, s.clock.Timestamp())
	pushes, err := latePushes(ctx, tx, intake.Late(moved, intake.Lefts(moved, nil)))
	if err != nil {
		return err
	}
	lefts := intake.Lefts(moved, pushes)
	latest, err := s.scansOfMoved(ctx, tx, moved, lefts, words, openings)
	if err != nil {
		return err
	}
	superseded := intake.Supersede(lefts, latest.thatLeft)
	for _, save := range []func() error{
		func() error { return s.saveRefs(ctx, tx, moved) },
		func() error { return saveDoubts(ctx, tx, moved) },
		func() error { return s.askSoon(ctx, tx, moved) },
		func() error { return s.restartStanding(ctx, tx, moved, latest) },
		func() error {
			return s.saveOpenings(ctx, tx, openings, openings.Supersede(superseded, s.clock.Timestamp()))
		},
		func() error { return s.supersedeScans(ctx, tx, openings.Others(superseded)) },
		func() error { return s.followRefs(ctx, tx, moved, latest) },
	} {
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

// loadRefs reads the refs that words are about.
func (s *Store) loadRefs(ctx context.Context, tx *sqlx.Tx, words []*intake.Item) (map[intake.RefKey]*refs.State, error) {
	known := map[intake.RefKey]*refs.State{}
	var keys []intake.RefKey
	for _, item := range words {
		if known[item.Word.RefKey] == nil {
			known[item.Word.RefKey] = &refs.State{}
			keys = append(keys, item.Word.RefKey)
		}
	}
	wanted := sqldb.Given{Name: "wanted", Columns: "project_id BIGINT, name TEXT"}
	for _, key := range keys {
		wanted.Rows = append(wanted.Rows, []any{key.Project, key.Name})
	}
	var list []refState
	err := s.db.SelectGiven(ctx, tx, wanted, &list, `
		SELECT project_id, name, `+ofRef("refs", "sha", "before_sha", "moved_at")+`, `+ofRef("ref_doubts", "since", "waiting", "lasting", "named")+`
		FROM wanted`)
	for _, row := range list {
		*known[intake.RefKey{Project: row.ProjectID, Name: row.Name}] = row.state()
	}
	return known, err
}

// lockRefs keeps other transactions from moving refs of the projects that words are about. It comes before all locks of scans,
// and takes the projects in one order, so that no two transactions wait for each other.
func (s *Store) lockRefs(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	var projects []int64
	for _, item := range items {
		if item.Word != nil && item.Open() {
			projects = append(projects, item.Word.Project)
		}
	}
	if len(projects) == 0 {
		return nil
	}
	slices.Sort(projects)
	projects = slices.Compact(projects)
	args := make([]any, len(projects))
	for i, project := range projects {
		args[i] = project
	}
	return s.db.LockKey(ctx, tx, `'refs ' || project_id`,
		`FROM (VALUES `+numberedTuples(len(args), 1)+`) AS wanted (project_id)`, args...)
}

// ofRef are columns of the row that belongs to a wanted ref, or null. A join would read the whole table where PostgreSQL expects
// it to be small.
func ofRef(table string, columns ...string) string {
	list := make([]string, len(columns))
	for i, column := range columns {
		list[i] = `(SELECT r.` + column + ` FROM ` + table + ` r WHERE r.project_id = wanted.project_id AND r.name = wanted.name) AS ` + column
	}
	return strings.Join(list, ", ")
}

// refState is where a ref stands, null where it does not exist, and the doubt, null where all events of it fitted.
type refState struct {
	ProjectID int64          `db:"project_id"`
	Name      string         `db:"name"`
	SHA       sql.NullString `db:"sha"`
	BeforeSHA sql.NullString `db:"before_sha"`
	MovedAt   sql.NullTime   `db:"moved_at"`
	Since     sql.NullTime   `db:"since"`
	Waiting   sql.NullString `db:"waiting"`
	Lasting   sql.NullBool   `db:"lasting"`
	Named     sql.NullBool   `db:"named"`
}

func (r refState) state() refs.State {
	state := refs.State{Before: r.BeforeSHA.String, SHA: r.SHA.String, MovedAt: r.MovedAt.Time}
	if r.Since.Valid {
		state.Doubt = &refs.Doubt{Since: r.Since.Time, Lasting: r.Lasting.Bool, Named: r.Named.Bool}
		_ = json.Unmarshal([]byte(r.Waiting.String), &state.Doubt.Waiting) // written by saveDoubts
	}
	return state
}

// refDoubt is a row of ref_doubts.
type refDoubt struct {
	ProjectID int64     `db:"project_id"`
	Name      string    `db:"name"`
	Since     time.Time `db:"since"`
	Waiting   string    `db:"waiting"` // JSON of steps
	Lasting   bool      `db:"lasting"`
	Named     bool      `db:"named"`
}

// saveRefs writes what has changed. A ref that is gone leaves no row.
func (s *Store) saveRefs(ctx context.Context, tx *sqlx.Tx, moved []intake.Moved) error {
	var put []core.Ref
	var gone []intake.RefKey
	for _, m := range moved {
		switch {
		case m.Is.SHA == "" && m.Was.SHA != "":
			gone = append(gone, m.RefKey)
		case m.Is.SHA != "" && m.Is.Moved(m.Was):
			put = append(put, m.Ref())
		}
	}
	if len(put) > 0 {
		given := sqldb.GivenOf("moved", "project_id BIGINT, name TEXT, sha TEXT, before_sha TEXT, moved_at TIMESTAMPTZ", put)
		_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`refs`)+`
			ON CONFLICT (project_id, name) DO UPDATE SET
				sha = excluded.sha, before_sha = excluded.before_sha, moved_at = excluded.moved_at`)
		if err != nil {
			return err
		}
	}
	return dropRefs(ctx, tx, `refs`, gone)
}

func saveDoubts(ctx context.Context, tx *sqlx.Tx, moved []intake.Moved) error {
	var put []refDoubt
	var settled []intake.RefKey
	for _, m := range moved {
		switch doubt := m.Is.Doubt; {
		case doubt.Same(m.Was.Doubt):
		case doubt == nil:
			settled = append(settled, m.RefKey)
		default:
			waiting, _ := json.Marshal(doubt.Waiting) // commits and times always have a JSON form
			put = append(put, refDoubt{m.Project, m.Name, doubt.Since, string(waiting), doubt.Lasting, doubt.Named})
		}
	}
	if len(put) > 0 {
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO ref_doubts (project_id, name, since, waiting, lasting, named)
			VALUES (:project_id, :name, :since, :waiting, :lasting, :named)
			ON CONFLICT (project_id, name) DO UPDATE SET since = excluded.since, waiting = excluded.waiting,
				lasting = excluded.lasting, named = excluded.named`, put)
		if err != nil {
			return err
		}
	}
	return dropRefs(ctx, tx, `ref_doubts`, settled)
}

// dropRefs removes the rows of refs from a table.
func dropRefs(ctx context.Context, tx *sqlx.Tx, table string, keys []intake.RefKey) error {
	for _, key := range keys {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM `+table+` WHERE project_id = ? AND name = ?`), key.Project, key.Name)
		if err != nil {
			return err
		}
	}
	return nil
}

// askAfter is how long events that did not fit may take to find their place before the platform is asked.
const askAfter = 10 * time.Second

// askSoon makes the sync of projects due in which words leave open where a ref stands.
func (s *Store) askSoon(ctx context.Context, tx *sqlx.Tx, moved []intake.Moved) error {
	var projects []int64
	for _, m := range moved {
		if m.Ask {
			projects = append(projects, m.Project)
		}
	}
	if len(projects) == 0 {
		return nil
	}
	slices.Sort(projects)
	at := s.clock.Timestamp().Add(askAfter)
	_, err := sqldb.ExecIn(ctx, tx, `
		UPDATE tracked_projects SET next_sync_at = ? WHERE project_id IN (?) AND failures = 0
			AND (next_sync_at > ? OR lease_until IS NOT NULL)`, at, slices.Compact(projects), at)
	return err
}

// movedScans are the latest scans of the commits where refs stand and of those that they have left.
type movedScans struct {
	latest map[commitKey]core.Scan
	fresh  map[commitKey]bool // the words have opened them, and nothing is known of them
}

// whereStands is the scan of the commit where a ref stands, with ID 0 where there is none or a fresh one.
func (s movedScans) whereStands(m intake.Moved) core.Scan {
	if key := (commitKey{m.Project, m.Is.SHA}); !s.fresh[key] {
		return s.latest[key]
	}
	return core.Scan{}
}

// thatLeft is the scan of the commit that a ref has left.
func (s movedScans) thatLeft(l intake.Left) core.Scan {
	return s.latest[commitKey{l.Project, l.Commit}]
}

func (s *Store) scansOfMoved(
	ctx context.Context, tx *sqlx.Tx, moved []intake.Moved, lefts []intake.Left, words []*intake.Item, openings intake.Openings,
) (scans movedScans, err error) {
	scans.fresh = map[commitKey]bool{}
	for _, item := range words {
		if item.Created {
			scans.fresh[keyOf(item.Scan)] = true
		}
	}
	var keys []commitKey
	for _, m := range moved {
		if key := (commitKey{m.Project, m.Is.SHA}); key.sha != "" && !scans.fresh[key] {
			keys = append(keys, key)
		}
	}
	opened := map[commitKey]core.Scan{}
	for _, opening := range openings {
		opened[keyOf(&opening.Scan)] = opening.Scan
	}
	for _, left := range lefts {
		if key := (commitKey{left.Project, left.Commit}); opened[key].ID == 0 {
			keys = append(keys, key)
		}
	}
	scans.latest, err = s.latestScans(ctx, tx, keys)
	maps.Copy(scans.latest, opened)
	return scans, err
}

// saveOpenings writes the jobs and statuses of scans that were opened just now. Some of them have ended already.
func (s *Store) saveOpenings(ctx context.Context, tx *sqlx.Tx, openings intake.Openings, ended map[int64]bool) error {
	var open, over []core.Scan
	jobs := map[int64][]core.Job{}
	for _, opening := range openings {
		if jobs[opening.Scan.ID] = opening.Jobs; ended[opening.Scan.ID] {
			over = append(over, opening.Scan)
			continue
		}
		open = append(open, opening.Scan)
	}
	if err := s.insertJobs(ctx, tx, openings.Jobs()); err != nil {
		return err
	}
	if err := s.putStatuses(ctx, tx, open); err != nil {
		return err
	}
	if len(over) == 0 {
		return nil
	}
	return s.settleJobs(ctx, tx, over, jobs, nil)
}

// openedJobColumns are those in which jobs are opened.
const openedJobColumns = "scan_id BIGINT, project_id BIGINT, fork BOOLEAN, scanner TEXT, state TEXT, error TEXT, finished_at TIMESTAMPTZ, " +
	"coverage TEXT"

func (s *Store) insertJobs(ctx context.Context, tx *sqlx.Tx, jobs []core.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	given := sqldb.GivenOf("jobs", openedJobColumns, jobs)
	_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`scan_jobs`)+`ON CONFLICT (scan_id, scanner) DO NOTHING`)
	return err
}

// restartStanding restarts superseded jobs of the commits where refs stand again. A scan that the words have opened has none.
func (s *Store) restartStanding(ctx context.Context, tx *sqlx.Tx, moved []intake.Moved, latest movedScans) error {
	var restarts []intake.Restart
	for _, m := range moved {
		stands := len(m.Steps) > 0 || m.Unclear // the platform may have said that it still does
		if scan := latest.whereStands(m); stands && scan.SupersededBy != "" {
			restarts = append(restarts, intake.Restart{ScanID: scan.ID, Superseded: true})
		}
	}
	return s.restartScans(ctx, tx, restarts)
}

// maxOutOfOrder is how many of a project's scans are examined for those onto whose commits something was pushed already. What
// is later than that is scanned for nothing.
const maxOutOfOrder = 50

// latePushes reads the newest scans of projects in which pushes may have come late, the oldest first.
func latePushes(ctx context.Context, tx *sqlx.Tx, projects []int64) (all []core.Scan, err error) {
	var ids []int64
	for _, project := range projects {
		newest, err := newestOfProject(ctx, tx, project, maxOutOfOrder)
		if err != nil {
			return nil, err
		}
		ids = append(ids, newest...)
	}
	if len(ids) > 0 {
		err = sqldb.SelectIn(ctx, tx, &all, `
			SELECT project_id, ref, default_branch, commit_sha, before_sha, status FROM scans WHERE id IN (?) ORDER BY id`, ids)
	}
	return all, err
}

// followRefs makes the open alerts of refs that have moved to commits with completed scans those of these scans, forgets those of
// refs that are gone, and closes what only failed scans have seen of commits that refs have left.
func (s *Store) followRefs(ctx context.Context, tx *sqlx.Tx, moved []intake.Moved, latest movedScans) error {
	gone := map[int64][]string{}
	var stand []intake.Moved
	var left []commitKey
	for _, m := range moved {
		if core.TagOf(m.Name) != "" || m.Is.SHA == m.Was.SHA || latest.fresh[commitKey{m.Project, m.Is.SHA}] {
			continue // with a fresh scan, they close as that ends
		}
		switch {
		case m.Is.SHA == "":
			gone[m.Project] = append(gone[m.Project], m.Name)
		case latest.whereStands(m).Status == core.ScanCompleted:
			stand = append(stand, m)
		}
		if m.Was.SHA != "" {
			left = append(left, commitKey{m.Project, m.Was.SHA})
		}
	}
	for _, project := range slices.Sorted(maps.Keys(gone)) {
		if err := forgetHeads(ctx, tx, project, gone[project]); err != nil {
			return fmt.Errorf("forgetting open alerts: %w", err)
		}
	}
	if err := s.closeFailed(ctx, tx, left); err != nil {
		return err
	}
	for _, m := range stand {
		if err := s.showMoved(ctx, tx, latest.whereStands(m), m.Name); err != nil {
			return fmt.Errorf("showing open alerts of %s: %w", m.Name, err)
		}
	}
	return nil
}

// closeFailed closes what only failed scans of the commits have seen. They are as they are now: some have just been superseded.
func (s *Store) closeFailed(ctx context.Context, tx *sqlx.Tx, left []commitKey) error {
	now, err := s.latestScans(ctx, tx, left)
	if err != nil {
		return err
	}
	for _, key := range left {
		if scan := now[key]; scan.Status == core.ScanFailed {
			if err := s.closeLeft(ctx, tx, scan); err != nil {
				return fmt.Errorf("closing alerts of %s: %w", key.sha, err)
			}
		}
	}
	return nil
}

// forgetHeads ends that anything is open at refs which are gone.
func forgetHeads(ctx context.Context, tx *sqlx.Tx, project int64, refs []string) error {
	var heads []alertHead
	if len(refs) == 0 {
		return nil
	}
	if _, err := lockAlerts(ctx, tx, project); err != nil {
		return err
	}
	err := sqldb.SelectIn(ctx, tx, &heads, `SELECT `+headColumns+` FROM alert_heads WHERE project_id = ? AND ref IN (?)`, project, refs)
	if err != nil {
		return err
	}
	for _, head := range heads {
		var went []alerts.Sight
		err := tx.SelectContext(ctx, &went, tx.Rebind(`SELECT alert_id FROM open_alerts WHERE head_id = ? ORDER BY alert_id`), head.ID)
		if err != nil {
			return err
		}
		if err := closeAlerts(ctx, tx, head, went); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM alert_heads WHERE id = ?`), head.ID); err != nil {
			return err
		}
	}
	return nil
}

// showMoved is showOpen for a ref that has moved to the scan's commit. Where that is the default branch, alerts say what the scan says
// of them.
func (s *Store) showMoved(ctx context.Context, tx *sqlx.Tx, scan core.Scan, ref string) error {
	if err := s.showOpenAt(ctx, tx, scan, ref); err != nil || ref != core.BranchRef(scan.DefaultBranch) {
		return err
	}
	var differ []int64
	err := tx.SelectContext(ctx, &differ, tx.Rebind(`
		SELECT f.alert_id FROM findings f WHERE f.scan_id = ? AND (f.tool, f.rule_id, f.severity, f.title, f.file, f.line) <> (
			SELECT a.tool, a.rule_id, a.severity, a.title, a.file, a.line FROM alerts a WHERE a.id = f.alert_id)`), scan.ID)
	if err == nil {
		err = describe(ctx, tx, scan, differ, true)
	}
	if err != nil {
		return err
	}
	groups, err := findingGroups(ctx, tx, `scan_id`, scan.ID, s.policyOf(scan).Gate, true)
	if err != nil {
		return err
	}
	return s.countDay(ctx, tx, scan, groups)
}
