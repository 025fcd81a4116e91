package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestAuditTellsWhoChangedWhat(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		scan := scanOn(t, s, 1, "main", finding("a", core.High))
		found := findingsOf(t, s, scan)["a"]
		say(t, s, found, core.FalsePositive)
		second, err := s.Rescan(t.Context(), scan.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "root"); err != nil {
			t.Fatal(err)
		}
		got, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		commit := "commit " + core.ShortSHA(scan.CommitSHA)
		about := core.AuditEvent{
			Timestamp: now, ProjectID: &scan.ProjectID, SourcePlatform: "github", ProjectName: "acme/shop", ReferenceID: scan.ReferenceID, Subject: commit,
		}
		deleted, again, judged := about, about, about
		again.ReferenceID = second.Reference
		deleted.Actor, deleted.Action = "root", core.AuditScanDeleted
		again.Actor, again.Action = "ada", core.AuditRescan
		judged.Actor, judged.Action = "alice", core.AuditTriage
		judged.Subject = fmt.Sprintf("finding %d (a in %s:%d)", found.ID, found.File, found.Line)
		judged.Detail = "person said user_verdict FP: because"
		want := []core.AuditEvent{deleted, again, judged}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(core.AuditEvent{}, "ID")); diff != "" {
			t.Errorf("want what outlives the scan, (-want +got):\n%s", diff)
		}
		few, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditTriage, Project: "acme/shop", Limit: 10})
		if err != nil || len(few) != 1 || few[0].ID != got[2].ID {
			t.Errorf("want the one triage, got %v, %v", few, err)
		}
	})
}

func TestConfigurationIsNotedWhenItChanges(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, start := range []struct {
			settings map[string]string
			want     []string
			noted    int
		}{
			{map[string]string{"a": "1", "b": "2"}, []string{"a", "b"}, 0},
			{map[string]string{"a": "1", "b": "2"}, []string{}, 0},
			{map[string]string{"a": "3", "c": "4"}, []string{"a", "b", "c"}, 1},
			{map[string]string{"a": "3", "c": "4"}, []string{}, 1},
		} {
			got, err := s.PutConfiguration(t.Context(), "root@host", start.settings)
			if diff := cmp.Diff(start.want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%v, changed (-want +got):\n%s", err, diff)
			}
			list, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditConfiguration, Limit: 10})
			if err != nil || len(list) != start.noted {
				t.Fatalf("want %d noted changes, got %v, %v", start.noted, list, err)
			}
			if start.noted > 0 && (list[0].Actor != "root@host" || list[0].Detail != "a, b, c") {
				t.Errorf("noted %+v", list[0])
			}
		}
	})
}
