package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// AcceptTogether is Accept for pushes that come at the same time, and so in one transaction.
func (s *Store) AcceptTogether(deliveries ...core.Delivery) error {
	batch := make([]*answered, len(deliveries))
	for i, d := range deliveries {
		request, err := s.requestOf(context.Background(), d)
		if err != nil {
			return err
		}
		batch[i] = &answered{Request: request}
	}
	return s.commitIntake(batch)
}

// resolve finds the project that a platform's call means, and keeps what that says of it: see naming.Sighting.
func (s *Store) resolve(ctx context.Context, platform string, project core.Project) (core.KeptProject, error) {
	return s.settleProject(ctx, s.sightingOf(core.Delivery{Platform: platform}, project))
}

// GiveWay is what a batch of calls does before it is derived, while others are kept.
var GiveWay = giveWay

// FactsOf are the facts of one finding that the gate judges.
func (s *Store) FactsOf(ctx context.Context, finding int64) (group core.FindingGroup, err error) {
	err = s.db.GetContext(ctx, &group, s.db.Rebind(`
		SELECT cve_id, 1 AS n, `+gateFacts+`, `+riskFacts(`findings.cve_id`)+` FROM findings WHERE id = ?`), finding)
	return group, err
}

// Begin lets a test hold a transaction open as a process would that stalls.
func (s *Store) Begin(ctx context.Context) (*sqlx.Tx, error) { return s.db.BeginTxx(ctx, nil) }

// HoldsOf counts the holds of a scan's project, which are not lifted before the transaction ends.
func (s *Store) HoldsOf(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (int, error) {
	list, err := s.holdsOf(ctx, tx, []int64{scan.ProjectID})
	return len(list), err
}

// LimitPages lets an embedded database not grow beyond so many pages, or its size, as if its disk were full.
func (s *Store) LimitPages(t *testing.T, n int) {
	t.Helper()
	err := s.db.Transact(t.Context(), func(tx *sqlx.Tx) error { // the limit is a connection's own: of the one that writes
		_, err := tx.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", n))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// PlanOfScans are the steps in which SQLite would answer ListScans.
func (s *Store) PlanOfScans(ctx context.Context, f ScanFilter) (steps []string, err error) {
	unions, err := s.scanUnions(ctx, f)
	if err != nil || len(unions) == 0 {
		return nil, err
	}
	union := unions[0]
	var plan []struct {
		ID, Parent, NotUsed int
		Detail              string
	}
	picked, args := union.With()
	err = s.db.SelectContext(ctx, &plan, `EXPLAIN QUERY PLAN `+picked+`SELECT id FROM picked`, args...)
	for _, step := range plan {
		steps = append(steps, step.Detail)
	}
	return steps, err
}

// Fill makes so many hundred scans, each with a pending job and a status that is due.
func (s *Store) Fill(ctx context.Context, hundreds int) error {
	now := s.clock.Timestamp()
	project, err := s.resolve(ctx, "github", core.Project{Name: "acme/shop", Ref: "42"})
	if err != nil {
		return err
	}
	for range hundreds {
		var args []any
		for range 100 {
			args = append(args, uuid.NewString(), project.ID, "github", "acme/shop", uuid.NewString(), now, now)
		}
		_, err := s.db.ExecContext(ctx, s.db.Rebind(`
			INSERT INTO scans (reference_id, project_id, source_platform, project_name, commit_sha, timestamp, deadline_at)
			VALUES `+sqldb.Tuples(100, 7)), args...)
		if err != nil {
			return err
		}
	}
	for _, fill := range []string{
		`INSERT INTO scan_jobs (scan_id, scanner) SELECT id, 'gitleaks' FROM scans`,
		`INSERT INTO commit_statuses (first_scan_id, scan_id, source_platform, project_id, commit_sha, context, state, description,
			next_attempt_at, desired_at, due_since)
			SELECT id, id, 'github', project_id, commit_sha, 'scanhook', 'pending', '', timestamp, timestamp, timestamp FROM scans`,
	} {
		if _, err := s.db.ExecContext(ctx, fill); err != nil {
			return err
		}
	}
	return nil
}

// SetServerTime lets the database server's clock show a time, for this store.
func (s *Store) SetServerTime(at time.Time) {
	if s.Shared() {
		s.clock.ServerTime = func(context.Context) (time.Time, error) { return at, nil }
	}
}

// MakeRows runs statements that make rows: in each, %s is a new UUID, and the parameters are an old time and young
// ones.
func (s *Store) MakeRows(t testing.TB, statements []string, old, young time.Time) {
	uuid := "substr(hex(randomblob(16)), 1, 8) || '-0000-4000-8000-' || substr(hex(randomblob(16)), 1, 12)"
	if s.Shared() {
		uuid = "gen_random_uuid()"
	}
	for _, statement := range statements {
		args := []any{old.UTC(), young.UTC(), young.UTC()}[:strings.Count(statement, "?")]
		if s.Shared() {
			statement = strings.ReplaceAll(statement, "?", "CAST(? AS TIMESTAMPTZ)")
		}
		statement = s.db.Rebind(strings.ReplaceAll(statement, "%s", uuid))
		if _, err := s.db.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
}

// Read is how a statement came to the rows of one table.
type Read struct {
	Table string
	Index string // empty for a walk through the whole table
	Cond  string // by which the index was entered; empty for a walk through all of it
	Rows  int    // that were looked at, fitting or not; PostgreSQL only
	Bits  bool   // by a bitmap, which takes dead entries of the index for rows; PostgreSQL only
}

// Explained is a statement with the reads that it took.
type Explained struct {
	SQL   string
	Reads []Read
}

// Explainer keeps the plans of all statements of a store.
type Explainer struct {
	postgres bool
	mu       sync.Mutex
	list     []Explained
}

// Explain has a store's statements explained from now on, on connections of their own.
func (s *Store) Explain(t *testing.T, url string) *Explainer {
	t.Helper()
	e := &Explainer{postgres: s.Shared()}
	db, err := sqldb.Open(t.Context(), sqldb.Config{
		URL: url, Wrap: func(c driver.Connector) driver.Connector { return explaining{c, e} },
	})
	if err != nil {
		t.Fatal(err)
	}
	before := s.db
	t.Cleanup(func() { _ = before.Close() })
	s.db = db
	e.Take()
	return e
}

// Take returns what was explained since the last call.
func (e *Explainer) Take() []Explained {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

type explaining struct {
	driver.Connector
	*Explainer
}

func (c explaining) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(explainable)
	if !ok {
		return nil, fmt.Errorf("statements of %T cannot be explained", conn)
	}
	return &explainedConn{whole, c.Explainer}, nil
}

type explainable interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type explainedConn struct {
	explainable
	*Explainer
}

func (c *explainedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.explainable.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *explainedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.explain(ctx, query, args); err != nil {
		return nil, err
	}
	return c.explainable.ExecContext(ctx, query, args)
}

func (c *explainedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.explain(ctx, query, args); err != nil {
		return nil, err
	}
	return c.explainable.QueryContext(ctx, query, args)
}

var hasPlan = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b`)

// explain lets PostgreSQL run the statement and rolls it back: estimates only show what the engine expects.
func (c *explainedConn) explain(ctx context.Context, query string, args []driver.NamedValue) (err error) {
	if !hasPlan.MatchString(query) {
		return nil
	}
	found := Explained{SQL: query}
	if c.postgres {
		found.Reads, err = c.analyze(ctx, query, args)
	} else {
		found.Reads, err = c.queryPlan(ctx, query, args)
	}
	if err != nil {
		return fmt.Errorf("explaining %s: %w", query, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, found)
	return nil
}

func (c *explainedConn) analyze(ctx context.Context, query string, args []driver.NamedValue) (reads []Read, err error) {
	if strings.HasPrefix(strings.TrimSpace(query), "SELECT pg_") {
		return nil, nil
	}
	end := `ROLLBACK TO SAVEPOINT explaining`
	if _, outside := c.explainable.ExecContext(ctx, `SAVEPOINT explaining`, nil); outside != nil { // of a transaction
		end = `ROLLBACK`
		if _, err := c.explainable.ExecContext(ctx, `BEGIN`, nil); err != nil {
			return nil, err
		}
	}
	rows, err := c.rows(ctx, `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) `+query, args)
	if _, back := c.explainable.ExecContext(ctx, end, nil); err != nil || back != nil {
		return nil, errors.Join(err, back)
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(fmt.Append(nil, rows[0][0]), &plans); err != nil {
		return nil, err
	}
	plans[0].Plan.collect(&reads)
	return reads, nil
}

type planNode struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Recheck  float64 `json:"Rows Removed by Index Recheck"`
	Plans    []planNode
}

func (p planNode) collect(reads *[]Read) {
	switch {
	case p.Type == "Bitmap Heap Scan": // the index is below
		index := p.Plans
		for len(index) > 0 && index[0].Index == "" {
			index = index[0].Plans
		}
		if len(index) > 0 {
			p.Index, p.Cond = index[0].Index, index[0].Cond
		}
		fallthrough
	case p.Relation != "" && p.Type != "ModifyTable" && p.Type != "LockRows":
		*reads = append(*reads, Read{
			p.Relation, p.Index, p.Cond, int((p.Rows + p.Filtered + p.Recheck) * p.Loops), p.Type == "Bitmap Heap Scan",
		})
	}
	if p.Type == "Bitmap Heap Scan" {
		return
	}
	for _, below := range p.Plans {
		below.collect(reads)
	}
}

var sqliteStep = regexp.MustCompile(`^(?:SCAN|SEARCH) (\S+)(?: EXISTS)?(?: USING (?:COVERING )?(?:INDEX (\S+)|((?:INTEGER )?PRIMARY KEY)))?(?: \((.*)\))?`)

// queryPlan names tables as the statement does, by their aliases. Of a new project SQLite lists how it would look for rows that
// have waited for it, and skips that.
func (c *explainedConn) queryPlan(ctx context.Context, query string, args []driver.NamedValue) (reads []Read, err error) {
	if strings.HasPrefix(strings.TrimSpace(query), "INSERT INTO projects") {
		return nil, nil
	}
	rows, err := c.rows(ctx, `EXPLAIN QUERY PLAN `+query, args)
	for _, row := range rows {
		step := sqliteStep.FindStringSubmatch(fmt.Sprint(row[len(row)-1]))
		if step == nil {
			continue
		}
		table := step[1]
		if alias := regexp.MustCompile(`(\w+) (?:AS )?` + regexp.QuoteMeta(table) + `\b`).FindStringSubmatch(query); alias != nil && isTable(alias[1]) {
			table = alias[1]
		}
		reads = append(reads, Read{Table: table, Index: step[2] + step[3], Cond: step[4]})
	}
	return reads, err
}

func isTable(word string) bool {
	return strings.Contains(" scans outcomes scan_jobs findings deliveries delivery_bodies commit_statuses status_posts refs ref_doubts"+
		" pipeline_metrics enrichment_tasks status_holds alerts open_alerts ", " "+word+" ")
}

func (c *explainedConn) rows(ctx context.Context, query string, args []driver.NamedValue) (list [][]driver.Value, err error) {
	rows, err := c.explainable.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for {
		row := make([]driver.Value, len(rows.Columns()))
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, err
		}
		for i, value := range row {
			if raw, ok := value.([]byte); ok {
				row[i] = string(raw) // which the driver writes over
			}
		}
		list = append(list, row)
	}
}
