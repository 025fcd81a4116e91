package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// AcceptTogether is AcceptPush for pushes that come at the same time, and so in one transaction.
func (s *Store) AcceptTogether(deliveries []core.Delivery, pushes []core.Push) error {
	batch := make([]*intake, len(pushes))
	for i, push := range pushes {
		policy, _ := s.policies.For(deliveries[i].Platform, push.Project.Name)
		batch[i] = &intake{delivery: &deliveries[i], scan: s.scanOf(deliveries[i], push, policy), policy: policy}
	}
	return s.commitIntake(batch)
}

// Begin lets a test hold a transaction open as a process would that stalls.
func (s *Store) Begin(ctx context.Context) (*sqlx.Tx, error) { return s.db.BeginTxx(ctx, nil) }

// Setting is what PostgreSQL says of one of its settings outside of transactions.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.db.GetContext(ctx, &value, `SHOW `+name)
	return value, err
}

// LimitPages lets an embedded database not grow beyond so many pages, or its size, as if its disk were full.
func (s *Store) LimitPages(t *testing.T, n int) {
	t.Helper()
	s.db.SetMaxOpenConns(1) // the limit is a connection's own
	if _, err := s.db.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", n)); err != nil {
		t.Fatal(err)
	}
}

// PlanOfScans are the steps in which SQLite would answer ListScans.
func (s *Store) PlanOfScans(ctx context.Context, f ScanFilter) (steps []string, err error) {
	ways, err := s.waysTo(ctx, f)
	if err != nil || len(ways.parts) == 0 {
		return nil, err
	}
	var plan []struct {
		ID, Parent, NotUsed int
		Detail              string
	}
	picked, args := ways.picked()
	err = s.db.SelectContext(ctx, &plan, `EXPLAIN QUERY PLAN `+picked+`SELECT id FROM picked`, args...)
	for _, step := range plan {
		steps = append(steps, step.Detail)
	}
	return steps, err
}

// Fill makes so many hundred scans, each with a pending job and a status that is due.
func (s *Store) Fill(ctx context.Context, hundreds int) error {
	now := s.clock()
	for range hundreds {
		var args []any
		for range 100 {
			args = append(args, uuid.NewString(), "github", "acme/shop", uuid.NewString(), now, now)
		}
		_, err := s.db.ExecContext(ctx, s.db.Rebind(`
			INSERT INTO scans (reference_id, source_platform, project_name, commit_sha, timestamp, deadline_at)
			VALUES `+tuples(100, 6)), args...)
		if err != nil {
			return err
		}
	}
	for _, fill := range []string{
		`INSERT INTO scan_jobs (scan_id, scanner) SELECT id, 'gitleaks' FROM scans`,
		`INSERT INTO commit_statuses (scan_id, source_platform, project_name, commit_sha, context, state, description,
			next_attempt_at, wanted_at, due_since)
			SELECT id, 'github', project_name, commit_sha, 'scanhook', 'pending', '', timestamp, timestamp, timestamp FROM scans`,
	} {
		if _, err := s.db.ExecContext(ctx, fill); err != nil {
			return err
		}
	}
	return nil
}

// TurnClock makes the clock of the store's host wrong.
func (s *Store) TurnClock(d time.Duration) {
	s.steady.Wall = func() time.Time { return time.Now().Add(d) }
}

// TellServerTime lets the database server's clock show a time, for this store.
func (s *Store) TellServerTime(at time.Time) {
	if s.Shared() {
		s.dialect.serverTime = `SELECT TIMESTAMPTZ '` + at.UTC().Format(time.RFC3339Nano) + `'`
	}
}

// LockMigrations keeps others from migrating the database at url until unlock.
func LockMigrations(ctx context.Context, url string) (unlock func(), err error) {
	db, d, err := connect(url)
	if err != nil {
		return nil, err
	}
	_, release, err := migration{db: db, dialect: d}.lock(ctx)
	return func() {
		release()
		_ = db.Close()
	}, err
}
