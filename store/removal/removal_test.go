package removal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

// TestAProjectGoesWithEverything deletes one of two projects, and compares what is left of both.
func TestAProjectGoesWithEverything(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now, url := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), e.URL(t)
		policy := storetest.Policy
		policy.Approval = core.Approval{Low: 2} // one of the dismissals waits
		s := storetest.OpenAt(t, url, store.Config{Now: func() time.Time { return now }, Policies: core.Policies{{Match: "**", Policy: policy}}})
		push := func(n int, project string) core.Receipt {
			d, p := storetest.PushOf(n, func(d *core.Delivery, p *core.Push) {
				d.Project, p.Project.Name, p.Project.Ref = project, project, project
			})
			receipt, err := s.Accept(t.Context(), storetest.With(d, p))
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		fill := func(n int, project string) core.Receipt {
			receipt := push(n, project)
			findings := []core.Finding{
				{Tool: "gitleaks", RuleID: "key", File: "a.go", Line: 1, Severity: core.High, Title: "A key", Snippet: "a", Details: "details"},
				{Tool: "gitleaks", RuleID: "key", File: fmt.Sprint(n, ".go"), Line: 2, Severity: core.Low, Title: "Another", Snippet: "b"},
			}
			if _, err := s.PutReport(t.Context(), receipt.Reference, "gitleaks", core.Report{Findings: findings, By: "robot"}); err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		fill(1, "acme/stays")
		gone := fill(2, "acme/goes")
		fill(3, "acme/goes")
		push(6, "acme/goes") // a scan that has not ended
		page, err := s.Catalog().List(t.Context(), catalog.Filter{}, "newest", "", 50)
		if err != nil {
			t.Fatal(err)
		}
		var all []int64
		for _, item := range page.Items {
			all = append(all, item.ID)
		}
		if _, err := s.DecideAlerts(t.Context(), store.Batch{Key: "batch", Alerts: all, Verdict: core.FalsePositive, Author: "ada"}); err != nil {
			t.Fatal(err)
		}
		project, err := s.FindProject(t.Context(), "github", "acme/goes")
		if err != nil {
			t.Fatal(err)
		}
		db := storetest.Connect(t, url)
		rows := func(project int64) (counts string) {
			for _, table := range []string{
				"scans", "outcomes", "alerts", "alert_heads", "alert_numbers", "alert_tallies", "alert_decisions", "proposals", "project_days", "deliveries",
				"commit_statuses", "refs", "projects",
			} {
				column, n := "project_id", 0
				if table == "projects" {
					column = "id"
				}
				if err := db.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT COUNT(*) FROM %s WHERE %s = %d`, table, column, project)).Scan(&n); err != nil {
					t.Fatal(err)
				}
				counts += fmt.Sprint(table, " ", n, "\n")
			}
			return counts
		}
		stays, err := s.FindProject(t.Context(), "github", "acme/stays")
		if err != nil {
			t.Fatal(err)
		}
		before := rows(stays.ID)

		if err := s.RemoveProject(t.Context(), "github", "acme/goes", "root"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindProject(t.Context(), "github", "acme/goes"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a deleted project is found: %v", err)
		}
		push(4, "acme/goes") // while rows are deleted, a push makes it anew
		push(5, "acme/goes")
		for _, late := range []string{ // another process has not heard of that, and takes the last call for one of the deleted project
			fmt.Sprintf(`UPDATE deliveries SET project_id = %d WHERE id = (SELECT MAX(id) FROM deliveries)`, project.ID),
			`INSERT INTO delivery_bodies (delivery_id, packed) SELECT MAX(id), '{}' FROM deliveries`,
		} {
			if _, err := db.ExecContext(t.Context(), late); err != nil {
				t.Fatal(err)
			}
		}
		steps := 0
		for ; steps < 100; steps++ {
			worked, _, err := s.Removal().Step(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !worked && now.Hour() > 12 {
				break
			}
			if !worked {
				now = now.Add(time.Hour) // no process knows its name any more
			}
		}
		left := strings.NewReplacer(" 0\n", "").Replace(rows(project.ID))
		if strings.ContainsAny(left, "123456789") {
			t.Errorf("after %d steps there is left of the project:\n%s", steps, rows(project.ID))
		}
		if after := rows(stays.ID); after != before {
			t.Errorf("the other project has lost rows:\n%s\nwas\n%s", after, before)
		}
		anew, err := s.FindProject(t.Context(), "github", "acme/goes")
		if err != nil || anew.ID == project.ID {
			t.Errorf("the project is not made anew: %+v, %v", anew, err)
		}
		if _, err := s.GetScan(t.Context(), gone.Reference); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a scan is left: %v", err)
		}
		for _, orphan := range []string{
			`findings WHERE scan_id NOT IN (SELECT id FROM scans)`, `open_alerts WHERE alert_id NOT IN (SELECT id FROM alerts)`,
			`triage_events WHERE alert_id NOT IN (SELECT id FROM alerts)`,
		} {
			n := 0
			if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+orphan).Scan(&n); err != nil || n > 0 {
				t.Errorf("%d %s, %v", n, orphan, err)
			}
		}
		kept := 0
		err = db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM deliveries d JOIN delivery_bodies b ON b.delivery_id = d.id
			WHERE d.state = 'kept' AND NOT d.told AND d.project_id IS NULL AND d.scan_id IS NULL`).Scan(&kept)
		if err != nil || kept != 1 {
			t.Errorf("%d late calls are to be read again, want 1, %v", kept, err)
		}
		removals, err := s.Removal().Since(t.Context(), time.Time{})
		if err != nil || len(removals) != 1 || removals[0].Name != "acme/goes" || removals[0].PlatformRef != "acme/goes" || removals[0].EndedAt == nil {
			t.Errorf("what was deleted: %+v, %v", removals, err)
		}
		now = now.AddDate(0, 0, 31)
		if _, _, err := s.Removal().Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if removals, err := s.Removal().Since(t.Context(), time.Time{}); err != nil || len(removals) != 0 {
			t.Errorf("notes of what was deleted stay: %+v, %v", removals, err)
		}
	})
}
