package store

import (
	"context"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
)

// recentScans are looked at to tell how scans end: a bounded number, by primary key, however many there are.
const recentScans = `1000`

// Flow is how much is under way, and since when.
type Flow struct {
	Ping     time.Duration // of the database
	Schema   int           // migrations applied
	Jobs     []JobsUnderWay
	Statuses []Waiting         // commit statuses that are not shown as they are wanted, without those given up
	GivenUp  []Waiting         // those of the last day that will not be shown
	Troubles []Waiting         // projects whose statuses wait because the token may not post them
	ToMend   []PlacesToMend    // webhooks that a person has to look at
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

// Waiting is what one platform does not have yet.
type Waiting struct {
	Platform string    `db:"source_platform"`
	Count    int       `db:"n"`
	Since    time.Time `db:"since"` // of the first of them
}

// PlacesToMend are the places on one platform whose webhooks are not as they should be.
type PlacesToMend struct {
	Platform string `db:"source_platform"`
	Count    int    `db:"n"`
}

// ScansInState are scans that stand alike.
type ScansInState struct {
	Status  core.ScanStatus `db:"status"`
	Verdict core.Verdict    `db:"verdict"` // empty where there is none
	Count   int             `db:"n"`
}

// IntakeQueue is how many deliveries wait in this process to be written.
func (s *Store) IntakeQueue() int { return s.intake.length() }

// ReadFlow asks a handful of questions that indexes answer.
func (s *Store) ReadFlow(ctx context.Context) (flow Flow, err error) {
	start := time.Now()
	if err := s.Ping(ctx); err != nil {
		return flow, fmt.Errorf("reading flow: %w", err)
	}
	flow.Ping = time.Since(start)
	if err := s.db.GetContext(ctx, &flow.Schema, `SELECT COUNT(*) FROM `+schemaTable); err != nil {
		return flow, fmt.Errorf("reading flow: %w", classify(err))
	}
	for _, question := range []struct {
		dest any
		sql  string
		args []any
	}{
		{&flow.Jobs, `
			SELECT open.scanner, open.state, open.n, s.timestamp AS since
			FROM (SELECT scanner, state, COUNT(*) AS n, MIN(scan_id) AS first FROM scan_jobs
				WHERE state IN ('pending', 'running') GROUP BY scanner, state) open
			JOIN scans s ON s.id = open.first ORDER BY 1, 2`, nil},
		{&flow.Statuses, `
			SELECT source_platform, COUNT(*) AS n, MIN(wanted_at) AS since FROM commit_statuses
			WHERE posted_revision < revision AND NOT given_up GROUP BY source_platform ORDER BY 1`, nil},
		{&flow.GivenUp, `
			SELECT source_platform, COUNT(*) AS n, MIN(wanted_at) AS since FROM commit_statuses
			WHERE given_up AND wanted_at > ? GROUP BY source_platform ORDER BY 1`, []any{s.clock().Add(-24 * time.Hour)}},
		{&flow.Troubles, `
			SELECT source_platform, COUNT(DISTINCT project_name) AS n, MIN(since) AS since FROM project_troubles
			GROUP BY source_platform ORDER BY 1`, nil},
		{&flow.ToMend, `
			SELECT source_platform, COUNT(*) AS n FROM hook_places WHERE ` + toMend + `
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
			return flow, fmt.Errorf("reading flow: %w", classify(err))
		}
	}
	return flow, nil
}
