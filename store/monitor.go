package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/core/timeline"
	"github.com/scanhook/scanhook/store/decisions"
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

// Opinion is what somebody says of a proposal that they have seen.
type Opinion struct {
	FindingID, ProposalID int64
	Author, Comments      string
}

// ApproveProposal makes a dismissal that waits a decision, as RecordFeedback does. core.ErrForbidden for who proposed it, core.ErrNotFound
// where none waits, core.ErrConflict where it is another one.
func (s *Store) ApproveProposal(ctx context.Context, o Opinion) (Triaged, error) {
	found, err := s.GetFinding(ctx, o.FindingID)
	if err != nil {
		return Triaged{}, err
	}
	feedback, err := found.Waiting.Approve(o.FindingID, o.ProposalID, o.Author, o.Comments)
	if err != nil {
		return Triaged{}, fmt.Errorf("approving a dismissal: %w", err)
	}
	return s.RecordFeedback(ctx, feedback)
}

// RefuseProposal ends that a dismissal waits: who proposed it took it back, or somebody refused it. Errors are those of ApproveProposal.
func (s *Store) RefuseProposal(ctx context.Context, o Opinion) (after Triaged, err error) {
	err = core.TriageUpdate{Source: core.ByPerson, Comment: o.Comments}.Check()
	if err == nil {
		err = s.writeIn(ctx, s.triaging, func(tx *sqlx.Tx) error {
			before, err := s.loadTriaged(ctx, tx, o.FindingID)
			if err == nil {
				err = s.dropProposal(ctx, tx, before, o)
			}
			if err == nil {
				after, err = judgedNow(ctx, tx, o.FindingID)
			}
			return err
		})
	}
	if err != nil {
		return Triaged{}, fmt.Errorf("refusing a dismissal: %w", err)
	}
	return after, nil
}

// dropProposal ends that a dismissal waits.
func (s *Store) dropProposal(ctx context.Context, tx *sqlx.Tx, before core.Triaged, o Opinion) error {
	waiting, err := decisions.WaitingOn(ctx, tx, before.Finding.AlertID)
	if err == nil {
		err = waiting.Admit(o.ProposalID)
	}
	if err == nil {
		err = decisions.Propose(ctx, tx, waiting.AlertID, nil)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE feedbacks SET withdrawn_at = ? WHERE finding_id = ? AND withdrawn_at IS NULL`),
			s.clock.Timestamp(), waiting.FindingID)
	}
	if err == nil {
		err = decisions.Record(ctx, tx, approval.Refusal(before, o.Author, o.Comments, s.clock.Timestamp()))
	}
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, waiting.AuditRefusal(before, o.Author, o.Comments))
}

// WithdrawBatch withdraws at most MaxBatch of the decisions of a batch that still hold, in one transaction. left are those that
// another call has to withdraw. Decisions on alerts that no head has any more stay.
func (s *Store) WithdrawBatch(ctx context.Context, key, author string) (withdrawn, left int, err error) {
	const ofBatch = `FROM alert_decisions WHERE batch = ? AND batch <> '' AND source = 'person' AND id > ?`
	withdraw := func(tx *sqlx.Tx, before core.Triaged) (change core.TriageChange, err error) {
		if !slices.ContainsFunc(before.Decisions, func(d core.TriageDecision) bool { return d.Batch == key }) {
			return change, nil // somebody has decided anew
		}
		withdrawal := core.Withdrawal{FindingID: before.Finding.ID, Author: author}
		if change, err = withdrawal.Update().Triage(before, s.clock.Timestamp()); err != nil {
			return change, err
		}
		withdrawn++
		return change, s.withdraw(ctx, tx, withdrawal, before.Decisions)
	}
	last := int64(0)
	withdrawn, err = s.dropBatch(ctx, key, author)
	for more := true; more && withdrawn == 0 && err == nil; {
		var decisions []core.TriageDecision
		err = s.db.SelectContext(ctx, &decisions, s.db.Rebind(`SELECT id, alert_id `+ofBatch+` ORDER BY id LIMIT ?`), key, last, MaxBatch)
		var ids []int64
		for _, decision := range decisions {
			ids, last = append(ids, decision.AlertID), decision.ID
		}
		if more = len(ids) > 0; err == nil && more {
			err = s.triageTogether(ctx, ids, s.loadNewest, withdraw, func(*sqlx.Tx) error {
				withdrawn = 0
				return nil
			})
		}
	}
	if err == nil {
		err = s.db.GetContext(ctx, &left, s.db.Rebind(`
			SELECT COUNT(*) + (SELECT COUNT(*) FROM proposals WHERE batch = ? AND batch <> '') `+ofBatch), key, key, last)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("withdrawing a batch: %w", sqldb.Classify(err))
	}
	return withdrawn, left, nil
}

// dropBatch takes back at most MaxBatch of the proposals of a batch.
func (s *Store) dropBatch(ctx context.Context, key, author string) (dropped int, err error) {
	ids, err := decisions.ProposedIn(ctx, s.db, key, MaxBatch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = s.triageTogether(ctx, ids, s.loadEnded, func(tx *sqlx.Tx, before core.Triaged) (change core.TriageChange, err error) {
		waiting, err := decisions.WaitingOn(ctx, tx, before.Finding.AlertID)
		if err != nil || waiting == nil || waiting.Batch != key {
			return change, err
		}
		dropped++
		return change, s.dropProposal(ctx, tx, before, Opinion{ProposalID: waiting.ID, Author: author})
	}, func(*sqlx.Tx) error {
		dropped = 0
		return nil
	})
	if err == nil { // those of which no finding is left have no history either
		_, err = s.db.ExecContext(ctx, s.db.Rebind(`DELETE FROM proposals WHERE batch = ? AND alert_id IN (`+sqldb.IDs(ids)+`)`), key)
	}
	return dropped, err
}

// ListProposals returns the dismissals that wait for a second person in the projects that whoever asks may see, the newest first. before is
// the id of the last one already read, or 0.
func (s *Store) ListProposals(ctx context.Context, before int64, limit int) ([]decisions.Waiting, error) {
	shown, err := s.shownTo(ctx, seenBy(ctx, access.Read))
	if err != nil {
		return nil, fmt.Errorf("listing proposals: %w", err)
	}
	var where sqldb.Conditions
	shown.limit(&where, `p.project_id`)
	return decisions.List(ctx, s.db, where, before, limit)
}

// ListWaiting returns the dismissals of findings that wait for a second person, by alert.
func (s *Store) ListWaiting(ctx context.Context, findings []core.Finding) (map[int64]approval.Proposal, error) {
	waiting, err := decisions.Proposed(ctx, s.db, alertsOf(findings))
	if err != nil {
		return nil, fmt.Errorf("listing proposals: %w", sqldb.Classify(err))
	}
	return waiting, nil
}
