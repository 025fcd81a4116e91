package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var feedColumns = sqldb.ColumnsOf[core.FeedImport]()

var scoreColumns = sqldb.ColumnsOf[core.Score]()

// FeedOptions adjusts PutFeed.
type FeedOptions struct {
	Force    bool           // also take an edition that is older than the one stored
	Progress func(rows int) // is told now and then how many rows are written; may be nil
}

// PutFeed replaces the edition of a list that findings are joined with; what it no longer holds is removed. It is
// stored as a whole or not at all, and the same edition once more changes nothing. ReevaluateHeads then judges the
// scans again. core.ErrConflict when it is older than the edition stored.
func (s *Store) PutFeed(ctx context.Context, feed core.Feed, options FeedOptions) (core.FeedChange, error) {
	var change core.FeedChange
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) (err error) {
		change, err = s.putFeed(ctx, tx, feed, options)
		return err
	})
	if err != nil {
		return core.FeedChange{}, fmt.Errorf("importing %s: %w", feed.Source, err)
	}
	return change, nil
}

func (s *Store) putFeed(
	ctx context.Context, tx *sqlx.Tx, feed core.Feed, o FeedOptions,
) (change core.FeedChange, err error) {
	if err := s.db.LockTable(ctx, tx, "epss_data"); err != nil {
		return change, err
	}
	if err := s.db.AllowTableScans(ctx, tx); err != nil { // a list is compared with all that is known
		return change, err
	}
	stored, err := latestFeed(ctx, tx, feed.Kind)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return change, err
	}
	if feed.Digest != "" && feed.Digest == stored.Digest {
		return change, s.keepFeed(ctx, tx, stored.ID)
	}
	if err := refuseOlder(feed, stored); err != nil && !o.Force {
		return change, err
	}
	id, err := s.recordFeed(ctx, tx, feed)
	if err != nil {
		return change, err
	}
	if err := s.keepRisksBefore(ctx, tx, id, s.clock.Timestamp().Add(-openFor)); err != nil {
		return change, err
	}
	if change, err = s.replaceFeed(ctx, tx, feed, o.Progress); err != nil {
		return change, err
	}
	return change, dropUnchanged(ctx, tx)
}

// refuseOlder compares days: one day's edition is published with and without its time.
func refuseOlder(feed core.Feed, stored core.FeedImport) error {
	if feed.Date.IsZero() || stored.Date == nil || !day(feed.Date).Before(day(*stored.Date)) {
		return nil
	}
	return fmt.Errorf("%w: it is of %s, and the edition of %s is stored already; force the import to go back",
		core.ErrConflict, feed.Date.Format(time.DateOnly), stored.Date.Format(time.DateOnly))
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func (s *Store) recordFeed(ctx context.Context, tx *sqlx.Tx, feed core.Feed) (id int64, err error) {
	var date *time.Time
	if !feed.Date.IsZero() {
		utc := feed.Date.UTC().Truncate(time.Microsecond)
		date = &utc
	}
	now := s.clock.Timestamp()
	err = tx.GetContext(ctx, &id, tx.Rebind(`
		INSERT INTO epss_imports (kind, source, score_date, model_version, etag, digest, num_rows, imported_at,
			checked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		RETURNING id`),
		feed.Kind, feed.Source, date, feed.Version, feed.ETag, feed.Digest, len(feed.Scores), now, now)
	return id, err
}

func (s *Store) keepFeed(ctx context.Context, tx *sqlx.Tx, id int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE epss_imports SET checked_at = ? WHERE id = ?`), s.clock.Timestamp(), id)
	return err
}

// KeepFeed records that an imported edition is still the current one.
func (s *Store) KeepFeed(ctx context.Context, id int64) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.keepFeed(ctx, tx, id) })
	if err != nil {
		return fmt.Errorf("keeping import %d: %w", id, err)
	}
	return nil
}

// LatestFeed is the edition of a list that is stored; core.ErrNotFound when none was imported yet.
func (s *Store) LatestFeed(ctx context.Context, kind core.FeedKind) (core.FeedImport, error) {
	feed, err := latestFeed(ctx, s.db, kind)
	if err != nil {
		return core.FeedImport{}, fmt.Errorf("getting the latest import of %s: %w", kind, sqldb.Classify(err))
	}
	return feed, nil
}

func latestFeed(ctx context.Context, q sqlx.ExtContext, kind core.FeedKind) (feed core.FeedImport, err error) {
	err = sqlx.GetContext(ctx, q, &feed, q.Rebind(`
		SELECT `+feedColumns+` FROM epss_imports WHERE kind = ? ORDER BY id DESC LIMIT 1`), kind)
	return feed, err
}

// GetScore finds what is published about a CVE, whose id is written the usual way; core.ErrNotFound when nothing is.
func (s *Store) GetScore(ctx context.Context, cve string) (core.Score, error) {
	var score core.Score
	err := s.db.GetContext(ctx, &score, s.db.Rebind(`SELECT `+scoreColumns+` FROM epss_data WHERE cve_id = ?`), cve)
	if err != nil {
		return core.Score{}, fmt.Errorf("getting the score of %s: %w", cve, sqldb.Classify(err))
	}
	return score, nil
}

// replaceFeed stages the edition in a table of its own and then changes what differs, so that an update costs what it
// changes.
func (s *Store) replaceFeed(
	ctx context.Context, tx *sqlx.Tx, feed core.Feed, progress func(int),
) (core.FeedChange, error) {
	if progress == nil {
		progress = func(int) {}
	}
	var empty bool
	if err := tx.GetContext(ctx, &empty, `SELECT NOT EXISTS (SELECT 1 FROM epss_data)`); err != nil {
		return core.FeedChange{}, err
	}
	if empty && feed.Kind == core.FeedEPSS {
		return core.FeedChange{Added: len(feed.Scores)}, s.loadScores(ctx, tx, "epss_data", feed.Scores, progress)
	}
	if _, err := tx.ExecContext(ctx, s.stageScores()); err != nil {
		return core.FeedChange{}, err
	}
	if err := s.loadScores(ctx, tx, "epss_staged", feed.Scores, progress); err != nil {
		return core.FeedChange{}, err
	}
	var change core.FeedChange
	var err error
	if feed.Kind == core.FeedKEV {
		change, err = mergeCatalog(ctx, tx)
	} else {
		change, err = mergeScores(ctx, tx, len(feed.Scores))
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `DROP TABLE epss_staged`)
	}
	return change, err
}

// stageScores makes the temporary table epss_staged. Only SQLite needs a key to find its rows.
func (s *Store) stageScores() string {
	if s.db.Embedded() {
		return `CREATE TEMP TABLE epss_staged (cve_id TEXT PRIMARY KEY, probability REAL NOT NULL,
			percentile REAL NOT NULL) WITHOUT ROWID`
	}
	return `CREATE TEMP TABLE epss_staged (cve_id TEXT NOT NULL, probability DOUBLE PRECISION NOT NULL,
		percentile DOUBLE PRECISION NOT NULL)`
}

// loadScores fills a table of the columns of epss_data.
func (s *Store) loadScores(ctx context.Context, tx *sqlx.Tx, table string, scores []core.Score, progress func(int)) error {
	return s.db.Load(ctx, tx, sqldb.Bulk{
		Table: table, Columns: []string{"cve_id", "probability", "percentile"}, Rows: len(scores), Loaded: progress,
		Row: func(i int, values []any) []any {
			return append(values, scores[i].CVEID, scores[i].Probability, scores[i].Percentile)
		},
	})
}

// notStaged is true for a row of epss_data that the staged edition does not hold.
const notStaged = `NOT EXISTS (SELECT 1 FROM epss_staged s WHERE s.cve_id = epss_data.cve_id)`

// mergeScores makes epss_data hold the staged scores, so many. CVEs without a score remain only as entries of the
// catalog. Where all have changed, as they do from day to day, none is new, and searching for new ones would take a
// third of the time of the rest.
func mergeScores(ctx context.Context, tx *sqlx.Tx, staged int) (change core.FeedChange, err error) {
	change.Changed, err = affected(ctx, tx, `
		UPDATE epss_data SET probability = s.probability, percentile = s.percentile
		FROM epss_staged s
		WHERE s.cve_id = epss_data.cve_id
			AND (epss_data.probability <> s.probability OR epss_data.percentile <> s.percentile)`)
	if err != nil {
		return change, err
	}
	if change.Changed < staged {
		change.Added, err = affected(ctx, tx, `
			INSERT INTO epss_data (cve_id, probability, percentile)
			SELECT cve_id, probability, percentile FROM epss_staged s
			WHERE NOT EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = s.cve_id)`)
	}
	if err != nil {
		return change, err
	}
	if stale, err := holdsMore(ctx, tx); err != nil || !stale {
		return change, err
	}
	change.Removed, err = affected(ctx, tx,
		`DELETE FROM epss_data WHERE NOT kev AND `+notStaged,
		`UPDATE epss_data SET probability = 0, percentile = 0 WHERE kev AND (probability > 0 OR percentile > 0) AND `+notStaged)
	return change, err
}

// holdsMore tells, once all staged scores are in epss_data, whether it may hold others. Counting is cheaper than
// searching; it proves nothing where scores are zero, as they are for entries of the catalog without a score.
func holdsMore(ctx context.Context, tx *sqlx.Tx) (more bool, err error) {
	err = tx.GetContext(ctx, &more, `
		SELECT EXISTS (SELECT 1 FROM epss_staged WHERE probability = 0 AND percentile = 0)
			OR (SELECT COUNT(*) FROM epss_data WHERE NOT kev OR probability > 0 OR percentile > 0)
				<> (SELECT COUNT(*) FROM epss_staged)`)
	return more, err
}

// mergeCatalog marks the staged CVEs, and only those, as known to be exploited. Its changes are those that entered or
// left the catalog.
func mergeCatalog(ctx context.Context, tx *sqlx.Tx) (change core.FeedChange, err error) {
	change.Added, err = affected(ctx, tx, `
		UPDATE epss_data SET kev = TRUE
		WHERE NOT kev AND EXISTS (SELECT 1 FROM epss_staged s WHERE s.cve_id = epss_data.cve_id)`, `
		INSERT INTO epss_data (cve_id, probability, percentile, kev)
		SELECT cve_id, 0, 0, TRUE FROM epss_staged s
		WHERE NOT EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = s.cve_id)`)
	if err != nil {
		return change, err
	}
	change.Removed, err = affected(ctx, tx,
		`DELETE FROM epss_data WHERE kev AND probability = 0 AND percentile = 0 AND `+notStaged,
		`UPDATE epss_data SET kev = FALSE WHERE kev AND `+notStaged)
	return change, err
}

// affected runs statements and counts the rows that they changed.
func affected(ctx context.Context, tx *sqlx.Tx, statements ...string) (int, error) {
	sum := 0
	for _, statement := range statements {
		result, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		sum += int(n)
	}
	return sum, nil
}

// keepRisksBefore keeps what was known, before an import, of the CVEs that heads name. epss_changes is the work that
// the import leaves behind: a CVE stays in it with what was known when it was last judged.
func (s *Store) keepRisksBefore(ctx context.Context, tx *sqlx.Tx, importID int64, since time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO epss_changes (cve_id, import_id, was_probability, was_kev)
		SELECT named.cve_id, ?, COALESCE(e.probability, 0), COALESCE(e.kev, FALSE)
		FROM (SELECT DISTINCT f.cve_id FROM (`+heads+`) head JOIN findings f ON f.scan_id = head.id
			WHERE f.cve_id <> '') named
		LEFT JOIN epss_data e ON e.cve_id = named.cve_id
		WHERE TRUE
		ON CONFLICT (cve_id) DO UPDATE SET import_id = excluded.import_id`), importID, since)
	if err != nil {
		return err
	}
	return s.keepAliasesBefore(ctx, tx, importID, since)
}

// keepAliasesBefore does so with the CVEs that are ids of a vulnerability besides the one by which it is judged.
func (s *Store) keepAliasesBefore(ctx context.Context, tx *sqlx.Tx, importID int64, since time.Time) error {
	named, err := aliasesAtHeads(ctx, tx, since)
	if err != nil {
		return err
	}
	ids := cvesOf(named)
	rows := make([]core.Score, len(ids))
	for i, id := range ids {
		rows[i].CVEID = id
	}
	if len(rows) == 0 {
		return nil
	}
	_, err = s.db.ExecGiven(ctx, tx, sqldb.GivenOf("named", "cve_id TEXT", rows), `
		INSERT INTO epss_changes (cve_id, import_id, was_probability, was_kev)
		SELECT w.cve_id, ?, COALESCE(e.probability, 0), COALESCE(e.kev, FALSE)
		FROM named w LEFT JOIN epss_data e ON e.cve_id = w.cve_id
		WHERE TRUE
		ON CONFLICT (cve_id) DO UPDATE SET import_id = excluded.import_id`, importID)
	return err
}

// dropUnchanged keeps only the CVEs of which something else is known after the import.
func dropUnchanged(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM epss_changes
		WHERE was_probability = COALESCE((SELECT e.probability FROM epss_data e WHERE e.cve_id = epss_changes.cve_id), 0)
			AND was_kev = COALESCE((SELECT e.kev FROM epss_data e WHERE e.cve_id = epss_changes.cve_id), FALSE)`)
	return err
}

// changedHeads omits the scan of a commit that is being scanned once more: the commit status belongs to the latest
// attempt.
func (s *Store) changedHeads(ctx context.Context) (scans []int64, err error) {
	err = s.db.SelectContext(ctx, &scans, s.db.Rebind(`
		SELECT DISTINCT head.id
		FROM (`+heads+`) head
		JOIN scans s ON s.id = head.id
		JOIN findings f ON f.scan_id = head.id
		JOIN epss_changes m ON m.cve_id = f.cve_id
		WHERE `+latestAttempt+`
		ORDER BY head.id`), s.clock.Timestamp().Add(-openFor))
	if err != nil {
		return nil, err
	}
	others, err := s.headsByAlias(ctx)
	scans = append(scans, others...)
	slices.Sort(scans)
	return slices.Compact(scans), err
}

// headsByAlias are the heads with findings of which an import has changed another id than the one by which they are judged.
func (s *Store) headsByAlias(ctx context.Context) (scans []int64, err error) {
	named, err := aliasesAtHeads(ctx, s.db, s.clock.Timestamp().Add(-openFor))
	if err != nil || len(named) == 0 {
		return nil, err
	}
	var changed []string
	if err := s.db.SelectContext(ctx, &changed, `SELECT cve_id FROM epss_changes`); err != nil {
		return nil, err
	}
	slices.Sort(changed)
	for _, row := range named {
		if slices.ContainsFunc(core.CVEsOf(row.VulnerabilityIDs), func(id string) bool {
			_, found := slices.BinarySearch(changed, id)
			return found
		}) {
			scans = append(scans, row.ScanID)
		}
	}
	return scans, nil
}

// heads are the completed scans of the commits where the projects' default branches stand, of each other branch that moved since a
// time, and of open requests.
const heads = `
	SELECT s.id FROM refs r JOIN projects p ON p.id = r.project_id
	JOIN scans s ON s.commit_sha = r.sha AND s.project_id + 0 = r.project_id AND s.status = 'completed'
	WHERE r.name LIKE 'refs/heads/%' AND (r.name = 'refs/heads/' || p.default_branch OR r.moved_at >= ?)
	UNION SELECT s.id FROM requests q
	JOIN scans s ON s.commit_sha = q.head_sha AND s.project_id + 0 = q.project_id AND s.status = 'completed'
	WHERE q.is_open`

// openFor is how long a branch without pushes counts as open.
const openFor = 30 * 24 * time.Hour

// ReevaluateHeads judges the heads again that name CVEs which imports have changed, and puts new commit statuses for
// those whose verdict changed, which it counts. Each is a transaction of its own; when one fails, the next call starts
// over.
func (s *Store) ReevaluateHeads(ctx context.Context) (turned int, err error) {
	var newest sql.NullInt64
	if err := s.db.GetContext(ctx, &newest, `SELECT MAX(import_id) FROM epss_changes`); err != nil || !newest.Valid {
		return 0, sqldb.Classify(err)
	}
	scans, err := s.changedHeads(ctx)
	if err != nil {
		return 0, fmt.Errorf("finding scans to judge again: %w", sqldb.Classify(err))
	}
	if turned, err = s.judgeEach(ctx, scans); err != nil {
		return turned, err
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM epss_changes WHERE import_id <= ?`), newest.Int64)
		return err
	})
	return turned, err
}

// JudgeHeads judges all heads again, because the gate may be another one, and counts those whose verdict changed. It puts new commit
// statuses for these.
func (s *Store) JudgeHeads(ctx context.Context) (turned int, err error) {
	var scans []int64
	err = s.db.SelectContext(ctx, &scans, s.db.Rebind(`
		SELECT DISTINCT head.id FROM (`+heads+`) head JOIN scans s ON s.id = head.id WHERE `+latestAttempt+` ORDER BY head.id`),
		s.clock.Timestamp().Add(-openFor))
	if err != nil {
		return 0, fmt.Errorf("finding heads to judge: %w", sqldb.Classify(err))
	}
	return s.judgeEach(ctx, scans)
}

// judgeEach counts those of the scans whose verdict changes.
func (s *Store) judgeEach(ctx context.Context, scans []int64) (turned int, err error) {
	for _, id := range scans {
		changed, err := s.judgeAgain(ctx, id)
		if err != nil {
			return turned, fmt.Errorf("judging scan %d again: %w", id, err)
		}
		if changed {
			turned++
		}
	}
	return turned, nil
}

// judgeMoved judges the scans again of commits to which further branches have moved.
func (s *Store) judgeMoved(ctx context.Context, tx *sqlx.Tx, joins []core.Scan) error {
	var ids []int64
	for _, scan := range joins {
		if scan.BeforeSHA != "" { // a push
			ids = append(ids, scan.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return s.judgeAll(ctx, tx, ids, 0)
}

// Current is a scan that somebody looks at, judged again by what is known today if it is of a branch that is no longer judged when
// that changes. Where that fails it is as it was.
func (s *Store) Current(ctx context.Context, scan core.Scan) (core.Scan, error) {
	var old bool
	err := s.db.GetContext(ctx, &old, s.db.Rebind(`
		SELECT COUNT(*) <> 0 FROM refs WHERE project_id = ? AND name = ? AND sha = ? AND moved_at < ?`),
		scan.ProjectID, scan.Ref, scan.CommitSHA, s.clock.Timestamp().Add(-openFor))
	if err != nil || !old || scan.Status != core.ScanCompleted || scan.OnDefaultBranch() {
		return scan, sqldb.Classify(err)
	}
	if changed, err := s.judgeAgain(ctx, scan.ID); err != nil || !changed && scan.OverrideJSON == "" {
		return scan, nil //nolint:nilerr // it is shown as it was
	}
	return s.GetScan(ctx, scan.ReferenceID)
}

// judgeAgain tells whether the verdict of a scan changed. Otherwise the scan keeps its summary.
func (s *Store) judgeAgain(ctx context.Context, id int64) (changed bool, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockScan(ctx, tx, id)
		if err != nil || scan.Status != core.ScanCompleted {
			return err
		}
		jobs, err := jobsOf(ctx, tx, scan)
		if err != nil {
			return err
		}
		verdict, summary := scan.Verdict, scan.Summary
		if err := s.chooseRiskiest(ctx, tx, id, jobs); err != nil {
			return err
		}
		groups, err := s.judge(ctx, tx, &scan, jobs, nil)
		if err != nil {
			return err
		}
		if err := s.showOpen(ctx, tx, scan, groups); err != nil {
			return err
		}
		if changed = verdict == nil || *verdict != *scan.Verdict; !changed {
			scan.Summary = summary
		}
		if err := s.putVerdicts(ctx, tx, []core.Scan{scan}); err != nil || !changed {
			return err
		}
		return s.putStatuses(ctx, tx, []core.Scan{scan})
	})
	if changed && err == nil {
		s.changed.Ring()
	}
	return changed, err
}

// aliasesAtHeads are the ids of vulnerabilities that have several, in the scans of heads.
func aliasesAtHeads(ctx context.Context, q sqlx.ExtContext, since time.Time) (list []aliased, err error) {
	err = sqlx.SelectContext(ctx, q, &list, q.Rebind(`
		SELECT DISTINCT f.scan_id, f.vulnerability_ids FROM (`+heads+`) head JOIN findings f ON f.scan_id = head.id
		WHERE f.vulnerability_ids <> ''`), since)
	return list, err
}
