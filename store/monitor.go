package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/timeline"
	"github.com/scanhook/scanhook/store/sqldb"
)

// recentScans is how many scans are read to see how scans end: a bounded number, by primary key, however many there
// are.
const recentScans = `1000`

// Flow is how much is in progress, and since when.
type Flow struct {
	Ping     time.Duration // of the database
	Schema   int           // migrations applied
	Kept     []Backlog     // calls that are not derived yet
	SetAside []Backlog     // calls that could not be derived
	Jobs     []JobsUnderWay
	Statuses []Backlog         // commit statuses that are not shown as they are wanted, without those given up
	GivenUp  []Backlog         // those of the last day that will not be shown
	Holds    []Backlog         // projects whose statuses wait because the token may not post them
	ToRepair []HooksToRepair   // webhooks that a person has to look at
	Open     []ScansInState    // scans that have not ended
	Recent   []ScansInState    // the last thousand scans
	Lists    []core.FeedImport // the current editions of EPSS and KEV, where there are any
}

// JobsUnderWay are the jobs of one scanner in one state.
type JobsUnderWay struct {
	Scanner string        `db:"scanner"`
	State   core.JobState `db:"state"` // pending or running
	Count   int           `db:"n"`
	Since   time.Time     `db:"since"` // when the scan of the first of them was asked for
}

// Backlog is what one platform does not show yet.
type Backlog struct {
	Platform string    `db:"source_platform"`
	Count    int       `db:"n"`
	Since    time.Time `db:"since"` // of the first of them
}

// HooksToRepair are the hook targets on one platform whose webhooks are not as they should be.
type HooksToRepair struct {
	Platform string `db:"source_platform"`
	Count    int    `db:"n"`
}

// ScansInState are scans with the same state and verdict.
type ScansInState struct {
	Status  core.ScanStatus `db:"status"`
	Verdict core.Verdict    `db:"verdict"` // empty where there is none
	Count   int             `db:"n"`
}

// IntakeQueue is how many deliveries wait in this process to be written.
func (s *Store) IntakeQueue() int { return s.keeping.Len() + s.intake.Len() }

// Connections are those to the database.
type Connections struct {
	Max, InUse, Idle int
	Waits            int64 // times that somebody waited for one
	Waited           time.Duration
}

// Connections tells of all connections of this process together.
func (s *Store) Connections() (all Connections) {
	for _, pool := range s.db.Pools() {
		stats := pool.Stats()
		all.Max += stats.MaxOpenConnections
		all.InUse += stats.InUse
		all.Idle += stats.Idle
		all.Waits += stats.WaitCount
		all.Waited += stats.WaitDuration
	}
	return all
}

// ReadFlow runs a handful of queries that indexes answer.
func (s *Store) ReadFlow(ctx context.Context) (flow Flow, err error) {
	start := time.Now()
	if err := s.Ping(ctx); err != nil {
		return flow, fmt.Errorf("reading flow: %w", err)
	}
	flow.Ping = time.Since(start)
	if err := s.db.GetContext(ctx, &flow.Schema, `SELECT COUNT(*) FROM `+sqldb.MigrationsTable); err != nil {
		return flow, fmt.Errorf("reading flow: %w", sqldb.Classify(err))
	}
	for _, question := range []struct {
		dest any
		sql  string
		args []any
	}{
		{&flow.Kept, `
			SELECT platform AS source_platform, COUNT(*) AS n, MIN(received_at) AS since FROM deliveries
			WHERE state = 'kept' GROUP BY platform ORDER BY 1`, nil},
		{&flow.SetAside, `
			SELECT platform AS source_platform, COUNT(*) AS n, MIN(received_at) AS since FROM deliveries
			WHERE state = 'failed' GROUP BY platform ORDER BY 1`, nil},
		{&flow.Jobs, `
			SELECT open.scanner, open.state, open.n, s.timestamp AS since
			FROM (SELECT scanner, state, COUNT(*) AS n, MIN(scan_id) AS first FROM scan_jobs
				WHERE state IN ('pending', 'running') GROUP BY scanner, state) open
			JOIN scans s ON s.id = open.first ORDER BY 1, 2`, nil},
		{&flow.Statuses, `
			SELECT source_platform, SUM(n) AS n, MIN(since) AS since FROM (
				SELECT source_platform, COUNT(*) AS n, MIN(desired_at) AS since FROM commit_statuses
				WHERE ` + dueToAll + ` GROUP BY source_platform
				UNION ALL
				SELECT source_platform, COUNT(*) AS n, MIN(desired_at) AS since FROM commit_statuses
				WHERE held GROUP BY source_platform) AS waiting
			GROUP BY source_platform ORDER BY 1`, nil},
		{&flow.GivenUp, `
			SELECT source_platform, COUNT(*) AS n, MIN(desired_at) AS since FROM commit_statuses
			WHERE given_up AND desired_at > ? GROUP BY source_platform ORDER BY 1`, []any{s.clock.Timestamp().Add(-24 * time.Hour)}},
		{&flow.Holds, `
			SELECT source_platform, COUNT(DISTINCT project_id) AS n, MIN(since) AS since FROM status_holds
			GROUP BY source_platform ORDER BY 1`, nil},
		{&flow.ToRepair, `
			SELECT source_platform, COUNT(*) AS n FROM hook_targets WHERE ` + needsRepair + `
			GROUP BY source_platform ORDER BY 1`, nil},
		{&flow.Open, `
			SELECT status, '' AS verdict, COUNT(*) AS n FROM scans WHERE status IN ('pending', 'processing')
			GROUP BY status ORDER BY 1`, nil},
		{&flow.Recent, `
			SELECT status, COALESCE(verdict, '') AS verdict, COUNT(*) AS n
			FROM (SELECT status, verdict FROM scans ORDER BY id DESC LIMIT ` + recentScans + `) latest
			GROUP BY status, verdict ORDER BY 1, 2`, nil},
		{&flow.Lists, `
			SELECT ` + feedColumns + ` FROM epss_imports
			WHERE id IN (SELECT MAX(id) FROM epss_imports GROUP BY kind) ORDER BY kind`, nil},
	} {
		if err := s.db.SelectContext(ctx, question.dest, s.db.Rebind(question.sql), question.args...); err != nil {
			return flow, fmt.Errorf("reading flow: %w", sqldb.Classify(err))
		}
	}
	return flow, nil
}

const (
	// MaxCounted is how far an Overview counts.
	MaxCounted = 1000
	// maxNamedHolds is how many holds an Overview names.
	maxNamedHolds = 5
)

// Overview shows an administrator whether everything works: what came last, and what is in progress, counted up to
// MaxCounted.
type Overview struct {
	LastCall *time.Time  // a webhook's, nil before the first one
	Open     int         // scans that have not ended
	Waiting  int         // commit statuses that the platforms do not show yet
	Holds    []core.Hold // the oldest of those that keep statuses from being posted
	NumHolds int         // how many there are of them
}

// GetOverview counts the statuses of those platforms that can be posted to.
func (s *Store) GetOverview(ctx context.Context, posting []string) (overview Overview, err error) {
	var last time.Time
	err = s.db.GetContext(ctx, &last, `SELECT received_at FROM deliveries ORDER BY id DESC LIMIT 1`)
	switch {
	case err == nil:
		overview.LastCall = &last
	case !errors.Is(err, sql.ErrNoRows):
		return Overview{}, fmt.Errorf("reading the overview: %w", sqldb.Classify(err))
	}
	posting = append([]string{""}, posting...)
	query, args, err := sqlx.In(`
		SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM scans WHERE status IN ('pending', 'processing') LIMIT ?) AS open_scans),
			(SELECT COUNT(*) FROM (SELECT 1 FROM commit_statuses
				WHERE `+dueToAll+` AND source_platform IN (?) LIMIT ?) AS due)
			+ (SELECT COUNT(*) FROM (SELECT 1 FROM commit_statuses WHERE held AND source_platform IN (?) LIMIT ?) AS waiting),
			(SELECT COUNT(*) FROM (SELECT 1 FROM status_holds LIMIT ?) AS holds)`,
		MaxCounted, posting, MaxCounted, posting, MaxCounted, MaxCounted)
	if err == nil {
		row := s.db.QueryRowxContext(ctx, s.db.Rebind(query), args...)
		err = row.Scan(&overview.Open, &overview.Waiting, &overview.NumHolds)
		overview.Waiting = min(overview.Waiting, MaxCounted)
	}
	if err == nil && overview.NumHolds > 0 {
		err = s.db.SelectContext(ctx, &overview.Holds, s.db.Rebind(`
			SELECT `+holdColumns+` FROM status_holds ORDER BY since, id LIMIT ?`), maxNamedHolds)
	}
	if err != nil {
		return Overview{}, fmt.Errorf("reading the overview: %w", sqldb.Classify(err))
	}
	return overview, nil
}

// maxExplained bounds what is returned of one commit: scans, and of each its latest deliveries and triage events.
const maxExplained = 20

// ExplainCommit returns all that is kept of the scans of a commit, the newest first. The id may be cut to its first
// seven characters or more; core.ErrNotFound when no commit begins with it.
func (s *Store) ExplainCommit(ctx context.Context, sha string) ([]timeline.Record, error) {
	sha = strings.ToLower(sha)
	if len(sha) < 7 || len(sha) > 64 || strings.Trim(sha, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("explaining commit: %w: %.64q is not a commit id of at least seven characters", core.ErrInvalid, sha)
	}
	var scans []core.Scan
	shown, err := s.shownTo(ctx, seenBy(ctx, access.Read))
	var where sqldb.Conditions
	where.Add(true, `commit_sha >= ? AND commit_sha < ?`, sha, sha+"g")
	shown.limit(&where, `project_id + 0`)
	if err == nil {
		err = s.db.SelectContext(ctx, &scans, s.db.Rebind(`
			SELECT `+scanColumns+` FROM scans `+where.SQL()+` ORDER BY id + 0 DESC LIMIT ?`), append(where.Args, maxExplained)...)
	}
	if err == nil && len(scans) == 0 {
		err = fmt.Errorf("%w: no commit that begins with %s has been announced or scanned", core.ErrNotFound, sha)
	}
	facts := make([]timeline.Record, len(scans))
	for i, scan := range scans {
		if err == nil {
			facts[i], err = s.recordOf(ctx, scan)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("explaining commit: %w", sqldb.Classify(err))
	}
	return facts, nil
}

func (s *Store) recordOf(ctx context.Context, scan core.Scan) (facts timeline.Record, err error) {
	facts.Scan = scan
	if facts.Deliveries, err = s.ListDeliveries(ctx, DeliveryFilter{ScanID: scan.ID, Limit: maxExplained}); err != nil {
		return facts, err
	}
	if facts.Jobs, err = s.ListJobs(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Statuses, err = s.ListStatuses(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Posts, err = s.ListPosts(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Holds, err = s.ListHolds(ctx, scan.SourcePlatform, scan.ProjectName); err != nil {
		return facts, err
	}
	err = s.db.SelectContext(ctx, &facts.Triage, s.db.Rebind(`
		SELECT `+sqldb.Qualify("e", eventColumns)+` FROM triage_events e JOIN findings f ON f.alert_id = e.alert_id AND f.id = e.finding_id
		WHERE f.scan_id = ? ORDER BY e.id DESC LIMIT ?`), scan.ID, maxExplained)
	if err != nil {
		return facts, err
	}
	err = s.db.SelectContext(ctx, &facts.Audit, s.db.Rebind(`
		SELECT `+auditColumns+` FROM audit_events WHERE reference_id = ? AND action <> ? ORDER BY id DESC LIMIT ?`),
		scan.ReferenceID, core.AuditTriage, maxExplained)
	return facts, err
}
