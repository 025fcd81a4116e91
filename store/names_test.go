package store_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A project whose name changes its case is the same one: with an id or without, and whoever names it.
func TestNamesAreComparedWithoutCase(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]change{
		"with the id": called("Acme/Shop", "42"), "without an id": called("ACME/shop", ""),
		"of a new branch": func(d *core.Delivery, p *core.Push) {
			called("Acme/Shop", "42")(d, p)
			onto(0)(d, p)
			storetest.OnBranch("feature")(d, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := known(t, e)
				scan := pushed(t, s, 2, change)
				deliver(t, s, scan, "trivy", core.Report{Failure: "no"})
				scan = deliver(t, s, scan, "semgrep", found("a", "b", "d"))
				if want := "1 new (1 low), 1 known, 1 dismissed"; !strings.HasSuffix(scan.Summary, want) {
					t.Errorf("%q, want %q", scan.Summary, want)
				}
				if scan.ProjectName != "acme/shop" {
					t.Errorf("it is kept as %s, want the spelling that was heard first", scan.ProjectName)
				}
			})
		})
	}
}

// The same commit and delivery in another spelling is the same.
func TestSpellingsShareTheirRows(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		first := pushed(t, s, 1, called("Acme/Shop", "42"))
		d, p := storetest.PushOf(1, called("acme/SHOP", "42"))
		if again, err := s.AcceptPush(t.Context(), d, p); err != nil || again.Outcome != core.Duplicate {
			t.Errorf("the delivery again: %+v, %v", again, err)
		}
		d.Key = "another"
		if joined, err := s.AcceptPush(t.Context(), d, p); err != nil || joined.Reference != first.ReferenceID {
			t.Errorf("the commit again: %+v, %v", joined, err)
		}
		upload, err := s.AcceptCommit(t.Context(), core.Scan{
			SourcePlatform: "github", ProjectName: "acme/shop", CommitSHA: first.CommitSHA, Origin: "upload",
		}, "")
		if err != nil || upload.Reference != first.ReferenceID {
			t.Errorf("an upload: %+v, %v", upload, err)
		}
		// Another process has its own memory of spellings.
		if spelt, err := e.Open(t, store.Config{}).ProjectName(t.Context(), "github", "x/y"); err != nil || spelt != "x/y" {
			t.Errorf("an unknown name: %q, %v", spelt, err)
		}
	})
}

// Whatever people and programs ask for is found under any spelling.
func TestEverythingIsFoundUnderAnySpelling(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		scan := deliver(t, s, pushed(t, s, 1, called("Acme/Shop", "42")), "semgrep", found("a"))
		for _, platform := range []string{"github", ""} {
			scans, err := s.ListScans(t.Context(), store.ScanFilter{Platform: platform, Project: "acme/sHop", Limit: 5})
			if err != nil || len(scans) != 1 || scans[0].ProjectName != "Acme/Shop" {
				t.Errorf("scans on %q: %v, %v", platform, scans, err)
			}
			calls, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Platform: platform, Project: "acme/shop", Limit: 5})
			if err != nil || len(calls) != 1 {
				t.Errorf("deliveries on %q: %v, %v", platform, calls, err)
			}
		}
		say(t, s, findingsOf(t, s, scan)["a"], core.FalsePositive)
		if events, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditTriage, Project: "ACME/SHOP", Limit: 5}); err != nil || len(events) != 1 {
			t.Errorf("audit: %v, %v", events, err)
		}
		if last, err := s.GetLastScan(t.Context(), "github", "acme/shop"); err != nil || last.ID != scan.ID {
			t.Errorf("last scan: %v, %v", last, err)
		}
		watched := []store.KnownProject{{SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42"}}
		if err := s.WatchProjects(t.Context(), watched); err != nil {
			t.Fatal(err)
		}
		claimed, err := s.ClaimProject(t.Context(), store.KnownProject{SourcePlatform: "github", ProjectName: "acme/SHOP"}, time.Minute)
		if err != nil || claimed.ProjectName != "Acme/Shop" || claimed.ProjectRef != "42" {
			t.Errorf("watched: %+v, %v", claimed, err)
		}
		if err := s.RenameWatched(t.Context(), claimed, "ACME/Shop"); err != nil {
			t.Errorf("another spelling is no other name: %v", err)
		}
	})
}

// Replicas that hear of projects at the same time agree on their spellings.
func TestReplicasAgreeOnASpelling(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		var replicas []*store.Store
		for range 2 {
			s, err := store.Open(t.Context(), store.Config{URL: url, Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			replicas = append(replicas, s)
		}
		var scans []core.Scan
		for n, name := range []string{"Acme/Shop", "acme/shop", "ACME/SHOP"} {
			scans = append(scans, pushed(t, replicas[n%2], n+1, called(name, "42")))
		}
		var racing sync.WaitGroup
		for n, name := range []string{"Acme/New", "acme/new"} {
			racing.Go(func() {
				d, p := storetest.PushOf(10+n, called(name, "43"))
				if _, err := replicas[n].AcceptPush(t.Context(), d, p); err != nil {
					t.Error(err)
				}
			})
		}
		racing.Wait()
		list, err := replicas[0].ListScans(t.Context(), store.ScanFilter{Platform: "github", Project: "acme/NEW", Limit: 5})
		if err != nil || len(list) != 2 || list[0].ProjectName != list[1].ProjectName {
			t.Errorf("%v, %v: want two scans of one name", list, err)
		}
		for _, scan := range scans {
			if scan.ProjectName != "Acme/Shop" {
				t.Errorf("%s, want the spelling that was heard first", scan.ProjectName)
			}
		}
	})
}
