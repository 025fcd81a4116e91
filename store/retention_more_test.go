package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Who comes by an old link hears what the scan said, and what people said holds in the next scan.
func TestPrunedScanLeavesNoteAndWords(t *testing.T) {
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
	if _, err := p.RecordPipeline(t.Context(), delivery, pipeline); err != nil {
		t.Fatal(err)
	}
	p.postAll(t)
}

// A run that is interrupted goes on where it ended, and what is half gone is no baseline.
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
			if _, err := p.AcceptIgnored(t.Context(), d, "for the test"); err != nil {
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

// Replicas take turns: who finds another one pruning leaves it alone.
func TestPruneWhileAnotherReplicaDoes(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	p := &past{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s, err := store.Open(t.Context(), store.Config{
		URL: url, Now: func() time.Time { return p.now }, Policies: core.Policies{{Match: "**", Policy: storetest.Policy}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p.Store = s
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
