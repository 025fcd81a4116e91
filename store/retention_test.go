package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// past is a store whose clock a test moves.
type past struct {
	*store.Store
	now time.Time
	n   int
}

func newPast(t *testing.T, e storetest.Engine) *past {
	p := &past{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	p.Store = e.Open(t, store.Config{Now: func() time.Time { return p.now }})
	return p
}

// push announces the next commit, some days after the one before; change adjusts it.
func (p *past) push(t *testing.T, days int, change ...func(*core.Delivery, *core.Push)) core.Scan {
	t.Helper()
	p.n++
	p.now = p.now.Add(time.Duration(days) * day)
	d, push := storetest.PushOf(p.n, change...)
	return accept(t, p.Store, d, push)
}

// scanned is push, with what gitleaks found, and the status posted.
func (p *past) scanned(t *testing.T, days int, change ...func(*core.Delivery, *core.Push)) core.Scan {
	t.Helper()
	scan := p.push(t, days, change...)
	run(t, p.Store, finding(fmt.Sprint("rule-", p.n), core.High), finding("lasting", core.Low))
	p.postAll(t)
	return scan
}

func (p *past) postAll(t *testing.T) {
	t.Helper()
	postAll(t, p.Store)
}

// prune removes what is older than 90 days, and branches' last scans older than a year.
func (p *past) prune(t *testing.T) (removed int) {
	t.Helper()
	rule := store.ScanRetention{Before: p.now.Add(-90 * day), Heads: p.now.Add(-365 * day), Newest: 1, Metrics: 3}
	for after := int64(0); ; {
		n, next, err := p.PruneScans(t.Context(), rule, after)
		if err != nil {
			t.Fatal(err)
		}
		removed += n
		if after = next; next == 0 {
			return removed
		}
	}
}

func (p *past) left(t *testing.T, scans ...core.Scan) (left []int) {
	t.Helper()
	for i, scan := range scans {
		_, err := p.GetScan(t.Context(), scan.ReferenceID)
		if err != nil && !errors.Is(err, core.ErrGone) {
			t.Fatal(err)
		}
		if err == nil {
			left = append(left, i)
		}
	}
	return left
}

func TestPruneScansKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	onBranch := storetest.OnBranch("topic")
	elsewhere := func(_ *core.Delivery, p *core.Push) { p.Project.Name, p.Project.Ref = "acme/other", "43" }
	created := func(_ *core.Delivery, p *core.Push) { p.Before = strings.Repeat("0", 40) }
	tests := map[string]struct {
		make func(t *testing.T, p *past) []core.Scan
		want []int
	}{
		"the last of the default branch, its baseline, and the young": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
		}, []int{2, 3, 4}},
		"the only one": {func(t *testing.T, p *past) []core.Scan {
			scan := p.scanned(t, 0)
			p.now = p.now.Add(1000 * day)
			return []core.Scan{scan}
		}, []int{0}},
		"the last of a branch for a year": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0), p.scanned(t, 1, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 300)}
		}, []int{0, 2, 3}},
		"not the last of a branch for longer": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.scanned(t, 0, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 400, created), p.scanned(t, 1)}
		}, []int{2, 3}},
		"the last of a branch that is known to stand there": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0, onBranch), p.scanned(t, 1, onBranch), p.scanned(t, 400, created), p.scanned(t, 1)}
			p.stands(t, "refs/heads/topic", scans[1].CommitSHA)
			return scans
		}, []int{1, 2, 3}},
		"what waits for reports": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{p.push(t, 0), p.push(t, 100, onBranch)}
		}, []int{0, 1}},
		"what a status is wanted for": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
			say(t, p.Store, findingsOf(t, p.Store, scans[0])["rule-1"], core.FalsePositive)
			return scans
		}, []int{0, 2, 3, 4}},
		"the first attempt of a younger one": {func(t *testing.T, p *past) []core.Scan {
			scans := []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
			if _, err := p.Rescan(t.Context(), scans[0].ReferenceID, "ann"); err != nil {
				t.Fatal(err)
			}
			return scans
		}, []int{0, 2, 3, 4}},
		"nothing of one project for another": {func(t *testing.T, p *past) []core.Scan {
			return []core.Scan{
				p.scanned(t, 0), p.scanned(t, 1, elsewhere), p.scanned(t, 1), p.scanned(t, 200), p.scanned(t, 1),
			}
		}, []int{1, 2, 3, 4}},
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPast(t, e)
				scans := test.make(t, p)
				removed := p.prune(t)
				if diff := cmp.Diff(test.want, p.left(t, scans...)); diff != "" || removed != len(scans)-len(test.want) {
					t.Errorf("removed %d of %d, left (-want +got):\n%s", removed, len(scans), diff)
				}
				if again := p.prune(t); again != 0 {
					t.Errorf("a second time removed %d more", again)
				}
			})
		}
	})
}

// stands records where a ref was seen.
func (p *past) stands(t *testing.T, ref, sha string) {
	t.Helper()
	shop := sighting("acme/shop", "")
	w, err := p.ClaimProject(t.Context(), shop, time.Minute)
	if err == nil {
		seen(t, p.Store, w, core.Ref{Name: ref, SHA: sha})
		err = p.SettleProject(t.Context(), w, time.Hour, "")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An old link still shows the result of the scan, and triage holds in the next scan.
func TestPrunedScanLeavesNoteAndDecisions(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		many := make([]core.Finding, 2500)
		for i := range many {
			many[i] = finding(fmt.Sprint("many-", i), core.Low)
		}
		old := p.push(t, 0)
		run(t, p.Store, append(many, finding("rule", core.High))...)
		say(t, p.Store, findingsOfAll(t, p.Store, old, "rule"), core.FalsePositive)
		p.postAll(t)
		p.scanned(t, 1)
		p.scanned(t, 1)
		p.scanned(t, 100)
		if removed := p.prune(t); removed != 2 {
			t.Fatalf("removed %d scans, want the first two", removed)
		}
		_, err := p.GetScan(t.Context(), old.ReferenceID)
		for _, part := range []string{"acme/shop", core.ShortSHA(old.CommitSHA), "on 2026-01-01", "new (", "on 2026-04-13"} {
			if !errors.Is(err, core.ErrGone) || !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("got %v, want gone with %q", err, part)
			}
		}
		if _, err := p.GetScan(t.Context(), "00000000-0000-4000-8000-000000000000"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a scan that never was: %v", err)
		}
		next := p.push(t, 1)
		run(t, p.Store, finding("rule", core.High))
		if got := decisionOf(findingsOf(t, p.Store, next)["rule"]); got != core.FalsePositive {
			t.Errorf("the next scan has decision %q, want FP", got)
		}
	})
}

// findingsOfAll finds one of very many.
func findingsOfAll(t *testing.T, s *store.Store, scan core.Scan, rule string) core.Finding {
	t.Helper()
	list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.RuleID == rule {
			return f
		}
	}
	t.Fatalf("no finding of %s", rule)
	return core.Finding{}
}

// A commit that another branch brings after its scan was removed has the same reference id again, and can be removed again.
func TestPrunedScanIsScannedAndPrunedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		first := p.scanned(t, 0)
		p.scanned(t, 1)
		p.scanned(t, 100)
		if removed := p.prune(t); removed != 1 {
			t.Fatalf("%d removed, want the first one", removed)
		}
		p.n = 0
		again := p.scanned(t, 0, storetest.OnBranch("old"), func(d *core.Delivery, _ *core.Push) { d.Key = "again" })
		if again.ReferenceID != first.ReferenceID || again.ID == first.ID {
			t.Fatalf("%+v, want a new scan with the reference id of %+v", again, first)
		}
		p.n = 10
		p.scanned(t, 400, onto(3))
		p.scanned(t, 100)
		p.prune(t)
		if left := p.left(t, again); len(left) != 0 {
			t.Error("the new scan is left")
		}
	})
}

func TestPruneScansKeepsTheHistoryOfPipelines(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		scans := make([]core.Scan, 7)
		for i := range scans {
			scans[i] = p.scanned(t, 1)
			p.built(t, scans[i], i != 5)
		}
		p.scanned(t, 100)
		p.scanned(t, 1)
		p.prune(t)
		// The last three that succeeded, the baseline of each, and of the young.
		if got := fmt.Sprint(p.left(t, scans...)); got != "[2 3 4 5 6]" {
			t.Errorf("left %s, want [2 3 4 5 6]", got)
		}
	})
}

// built records the pipeline of a scan's commit.
func (p *past) built(t *testing.T, scan core.Scan, succeeded bool) {
	t.Helper()
	took := time.Minute
	outcome := map[bool]string{true: "success", false: "failure"}[succeeded]
	delivery := core.Delivery{Platform: "github", Key: "pipeline" + scan.CommitSHA, Name: "workflow_run"}
	pipeline := core.Pipeline{
		Project: core.Project{Name: "acme/shop", DefaultBranch: "main"}, ID: scan.ID, Attempt: 1, Name: "build",
		Branch: "main", CommitSHA: scan.CommitSHA, Status: "completed", Conclusion: outcome, Duration: &took,
		CreatedAt: p.now, FinishedAt: p.now, UpdatedAt: p.now,
	}
	if _, err := p.Accept(t.Context(), storetest.With(delivery, pipeline)); err != nil {
		t.Fatal(err)
	}
	p.postAll(t)
}

// A run that was interrupted goes on where it ended, and half-removed scans are no baselines.
func TestPruneScansGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		scans := []core.Scan{p.scanned(t, 0), p.scanned(t, 1), p.scanned(t, 1), p.scanned(t, 100), p.scanned(t, 1)}
		tx, err := p.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(t.Context(), tx.Rebind(`
			UPDATE scan_jobs SET state = 'failed' WHERE scan_id IN (?, ?)`), scans[0].ID, scans[1].ID)
		if err != nil || tx.Commit() != nil {
			t.Fatal(err)
		}
		if removed := p.prune(t); removed != 2 {
			t.Errorf("removed %d scans, want 2", removed)
		}
	})
}

func TestPruneDeliveries(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		for range 600 {
			p.n++
			d, _ := storetest.PushOf(p.n)
			if _, err := p.Accept(t.Context(), storetest.With(d, core.Ignored{Reason: "for the test"})); err != nil {
				t.Fatal(err)
			}
		}
		p.push(t, 20)
		total := 0
		for removed := -1; removed != 0; total += removed {
			var err error
			if removed, err = p.PruneTable(t.Context(), store.AgingDeliveries, p.now.Add(-7*day)); err != nil {
				t.Fatal(err)
			}
		}
		left, err := p.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 10})
		if err != nil || total != 600 || len(left) != 1 {
			t.Errorf("removed %d, left %d, %v; want 600 and 1", total, len(left), err)
		}
	})
}

// Replicas take turns: one that finds another one pruning does nothing.
func TestPruneWhileAnotherReplicaDoes(t *testing.T) {
	t.Parallel()
	p := newPast(t, storetest.Postgres)
	p.push(t, 0)
	tx, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const prune = `SELECT pg_advisory_xact_lock('removed_scans'::regclass::oid::bigint)`
	if _, err := tx.ExecContext(t.Context(), prune); err != nil {
		t.Fatal(err)
	}
	before := p.now.Add(day)
	if removed, err := p.PruneTable(t.Context(), store.AgingDeliveries, before); removed != 0 || err != nil {
		t.Errorf("meanwhile removed %d, %v", removed, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if removed, err := p.PruneTable(t.Context(), store.AgingDeliveries, before); removed != 1 || err != nil {
		t.Errorf("afterwards removed %d, %v", removed, err)
	}
}

// yearOfWork is what a busy year leaves behind: a million deliveries, 100,000 scans of 100 projects, each with a
// status, a job with its baseline and three findings.
var yearOfWork = []string{`
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
	INSERT INTO deliveries (platform, delivery_key, event, outcome, received_at)
	SELECT 'github', 'key-' || i, 'push', 'ignored', CASE WHEN i < 900000 THEN ? ELSE ? END FROM n`, `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO projects (id, platform, name, name_key, seen_at) SELECT i, 'github', 'acme/p' || (i - 1), 'acme/p' || (i - 1), ?
	FROM n WHERE i <= 100`, `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO scans (reference_id, project_id, source_platform, project_name, branch, default_branch, commit_sha, timestamp,
		status, deadline_at)
	SELECT %s, 1 + i % 100, 'github', 'acme/p' || (i % 100), CASE WHEN i % 4 = 0 THEN 'main' ELSE 'topic-' || (i / 1000) END, 'main',
		'sha-' || i, CASE WHEN i < 90000 THEN ? ELSE ? END, 'completed', ? FROM n`, `
	INSERT INTO scan_jobs (scan_id, scanner, state, baseline_scan_id)
	SELECT id, 'gitleaks', 'completed', CASE WHEN id > 400 THEN id - 400 END FROM scans`, `
	INSERT INTO commit_statuses (first_scan_id, scan_id, source_platform, project_id, commit_sha, context, state, description, revision,
		posted_revision, next_attempt_at, desired_at, due_since)
	SELECT id, id, source_platform, project_id, commit_sha, 'scanhook', 'success', '', 1, 1, timestamp, timestamp, timestamp
	FROM scans`, `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
	INSERT INTO findings (scan_id, job_id, alert_id, tool, rule_id, file, line, severity, fingerprint)
	SELECT j.scan_id, j.id, n.i, 'gitleaks', 'rule', 'a.go', n.i, 'Low', 'print-' || n.i FROM scan_jobs j, n`,
}

// BenchmarkPrune removes batch after batch: .ci/with-postgres go test -run '^$' -bench Prune -benchtime 60x ./store
func BenchmarkPrune(b *testing.B) {
	for _, e := range storetest.Engines {
		b.Run(e.Name, func(b *testing.B) {
			now := time.Now()
			s := e.Open(b, store.Config{})
			s.MakeRows(b, yearOfWork, now.AddDate(0, -6, 0), now)
			b.Run("deliveries", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.PruneTable(b.Context(), store.AgingDeliveries, now.AddDate(0, -1, 0)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("scans", func(b *testing.B) {
				rule := store.ScanRetention{
					Before: now.AddDate(0, -3, 0), Heads: now.AddDate(-1, 0, 0), Newest: 50, Metrics: 100,
				}
				after, total := int64(0), 0
				for b.Loop() {
					removed, next, err := s.PruneScans(b.Context(), rule, after)
					if err != nil {
						b.Fatal(err)
					}
					after, total = next, total+removed
				}
				b.ReportMetric(float64(total)/float64(b.N), "removed/op")
			})
		})
	}
}

// A call that comes again while retention is about to remove it, or its body, is kept: its sender heard so.
func TestRetentionSparesACallThatComesAgain(t *testing.T) {
	t.Parallel()
	prunes := map[string]func(context.Context, *store.Store) error{
		"the call": func(ctx context.Context, s *store.Store) error {
			_, err := s.PruneTable(ctx, store.AgingDeliveries, time.Now().Add(-day))
			return err
		},
		"its body": func(ctx context.Context, s *store.Store) error {
			_, _, err := s.PruneBodies(ctx, time.Now().Add(-day), 0)
			return err
		},
	}
	for name, prune := range prunes {
		s := storetest.Postgres.Open(t, store.Config{})
		old := keep(t, s, 1, func(call *core.Call) { call.Event = core.Ignored{Reason: "of no use"} })
		again, err := s.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			`UPDATE deliveries SET received_at = now() - interval '2 days'`, `COMMIT; BEGIN`,
			`UPDATE deliveries SET state = 'kept', received_at = now()`, `UPDATE delivery_bodies SET packed = 'new'`,
		} {
			if _, err := again.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		pruned := make(chan error, 1)
		go func() { pruned <- prune(t.Context(), s) }()
		err = awaitBlocked(t, again)
		if err := errors.Join(err, again.Commit(), <-pruned); err != nil {
			t.Fatal(err)
		}
		if d, err := s.GetDelivery(t.Context(), old.Delivery); err != nil || d.State != core.DeliveryKept {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
		n, err := s.Derive(t.Context(), store.Deriver{Most: 9, Read: func(call core.KeptCall) (core.Delivery, error) {
			if string(call.Raw) != "new" {
				t.Errorf("%s: body %q", name, call.Raw)
			}
			return core.Delivery{Event: core.Ignored{}}, nil
		}})
		if n != 1 || err != nil {
			t.Errorf("%s: %d derived, %v", name, n, err)
		}
	}
}

// orphans is how many findings have no scan.
func orphans(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	tx, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.GetContext(t.Context(), &n, `SELECT COUNT(*) FROM findings WHERE scan_id NOT IN (SELECT id FROM scans)`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNoFindingOutlivesItsScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		p.scanned(t, 0)
		deleted := p.scanned(t, 1)
		p.scanned(t, 1)
		p.scanned(t, 100)
		if err := p.DeleteScan(t.Context(), deleted.ReferenceID, "ann"); err != nil {
			t.Fatal(err)
		}
		if removed := p.prune(t); removed == 0 || orphans(t, p.Store) != 0 {
			t.Errorf("%d removed, %d findings without a scan", removed, orphans(t, p.Store))
		}
	})
}

// What a report adds while retention removes its scan goes with that.
func TestReportWhileItsScanIsRemoved(t *testing.T) {
	t.Parallel()
	p := newPast(t, storetest.Postgres)
	old := p.scanned(t, 0)
	p.scanned(t, 1)
	p.scanned(t, 1)
	p.scanned(t, 100)
	tx, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`SELECT id FROM scans WHERE id = $1 FOR UPDATE`,
		`INSERT INTO findings (scan_id, job_id, alert_id, tool, rule_id, file, line, severity, fingerprint)
			VALUES ($1, 1, 1, 'gitleaks', 'late', 'a.go', 1, 'Low', 'late')`,
	} {
		if _, err := tx.ExecContext(t.Context(), statement, old.ID); err != nil {
			t.Fatal(err)
		}
	}
	removed := make(chan int, 1)
	go func() {
		defer close(removed)
		removed <- p.prune(t)
	}()
	if err := awaitBlocked(t, tx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := <-removed; n == 0 || orphans(t, p.Store) != 0 {
		t.Errorf("%d removed, %d findings without a scan", n, orphans(t, p.Store))
	}
}
