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

// called gives the project of a push its name and the id that its platform knows it by.
func called(name, ref string) change {
	return func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name, p.Project.Ref = name, name, ref }
}

// onto makes a push one onto the n-th commit, or of a new branch for 0.
func onto(n int) change {
	return func(_ *core.Delivery, p *core.Push) {
		if p.Before = storetest.SHA(n); n == 0 {
			p.Before = strings.Repeat("0", 40)
		}
	}
}

// A renamed project keeps what is known of it, and no other project gets that.
func TestRenamedProjectKeepsItsPast(t *testing.T) {
	t.Parallel()
	const all, none = "1 new (1 low), 1 known, 1 dismissed", "3 new (3 low)"
	for name, test := range map[string]struct {
		change []change
		want   string
	}{
		"the old name":    {nil, all},
		"a new name":      {[]change{now}, all},
		"another project": {[]change{called("acme/store", "43")}, none},
		"no id":           {[]change{called("acme/store", "")}, none},
		"another history": {[]change{now, onto(77)}, none},
		"a new branch":    {[]change{now, onto(0)}, none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := known(t, e)
				scan := pushed(t, s, 2, test.change...)
				deliver(t, s, scan, "trivy", core.Report{Failure: "no"})
				scan = deliver(t, s, scan, "semgrep", found("a", "b", "d"))
				if !strings.HasSuffix(scan.Summary, test.want) {
					t.Errorf("%q, want %q", scan.Summary, test.want)
				}
			})
		})
	}
}

// A name that is still in use is no former name, even if its calls carry the project's id.
func TestNameThatIsStillInUseIsNoFormerOne(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		scan := pushed(t, s, 2, now)
		pushed(t, s, 3)
		if scan = deliver(t, s, scan, "semgrep", found("a")); scan.BaselineScanID != nil {
			t.Errorf("compared with %v", baselines(t, s, scan))
		}
	})
}

// The first commits under the new name need not be scanned for the past to be found.
func TestRenamedProjectWithoutFirstScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		pushed(t, s, 2, now)
		third := pushed(t, s, 3, now) // supersedes the second
		deliver(t, s, third, "trivy", core.Report{Failure: "passing"})
		deliver(t, s, third, "semgrep", found("a", "b"))
		fourth := pushed(t, s, 4, now)
		deliver(t, s, fourth, "semgrep", found("a", "b"))
		fourth = deliver(t, s, fourth, "trivy", found("c"))
		if want := "0 new, 2 known, 1 dismissed"; fourth.Summary != want {
			t.Errorf("%q, want %q", fourth.Summary, want)
		}
	})
}

// The commit where the branch left main counts, whichever name the project had then.
func TestMergeBaseUnderTheFormerName(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		deliver(t, s, pushed(t, s, 2, now), "semgrep", found("b")) // a is fixed
		topic := pushed(t, s, 60, now, onto(0), storetest.OnBranch("topic"))
		if err := s.RecordMergeBase(t.Context(), topic, storetest.SHA(1)); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, topic, "semgrep", found("a", "b"))
		if got := baselines(t, s, topic)["semgrep"]; got != storetest.SHA(1) {
			t.Errorf("compared with %q", got)
		}
	})
}

// Where the platform itself redirects from the old name to the new one, no other evidence is needed.
func TestNameThatThePlatformLeadsTo(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting("acme/shop", "42")}); err != nil {
			t.Fatal(err)
		}
		watched, err := s.GetTrackedProject(t.Context(), "github", "acme/shop")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RenameProject(t.Context(), watched, "acme/store"); err != nil {
			t.Fatal(err)
		}
		topic := pushed(t, s, 50, now, onto(0), storetest.OnBranch("topic"))
		deliver(t, s, topic, "trivy", core.Report{})
		topic = deliver(t, s, topic, "semgrep", found("a", "b"))
		if want := "0 new, 1 known, 1 fixed, 1 dismissed"; topic.Summary != want {
			t.Errorf("%q, want %q", topic.Summary, want)
		}
	})
}

// What is withdrawn under the new name stays withdrawn.
func TestDecisionsAreCopiedOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		lost := pushed(t, s, 50, now, onto(0), storetest.OnBranch("topic"))
		deliver(t, s, lost, "semgrep", found("a", "b"))
		for n := 2; n < 5; n++ {
			scan := pushed(t, s, n, now, onto(1))
			deliver(t, s, scan, "semgrep", found("a", "b"))
			deliver(t, s, scan, "trivy", core.Report{Failure: "always"})
			b := findingsOf(t, s, scan)["b"]
			if want := map[bool]core.Triage{true: core.FalsePositive}[n == 2]; decisionOf(b) != want {
				t.Errorf("commit %d: %q, want %q", n, decisionOf(b), want)
			}
			patch(t, s, b, core.TriageUpdate{Source: core.ByPerson, TriageDecision: core.Change[core.Triage]{Set: true}})
		}
	})
}

// A repeated report is compared with the same baseline.
func TestReportAgainAfterARename(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		late, scan := pushed(t, s, 2, now), pushed(t, s, 3, now, onto(1))
		first := deliver(t, s, scan, "semgrep", found("a", "b"))
		deliver(t, s, late, "semgrep", found("a"))
		if again := deliver(t, s, scan, "semgrep", found("a", "b")); again.Summary != first.Summary {
			t.Errorf("first %q, then %q", first.Summary, again.Summary)
		}
	})
}

// A project whose name changes its case stays the same, with an id or without.
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

// Everything is found under any spelling.
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
		if err := s.TrackProjects(t.Context(), watched); err != nil {
			t.Fatal(err)
		}
		claimed, err := s.ClaimProject(t.Context(), store.KnownProject{SourcePlatform: "github", ProjectName: "acme/SHOP"}, time.Minute)
		if err != nil || claimed.ProjectName != "Acme/Shop" || claimed.ProjectRef != "42" {
			t.Errorf("watched: %+v, %v", claimed, err)
		}
		if err := s.RenameProject(t.Context(), claimed, "ACME/Shop"); err != nil {
			t.Errorf("another spelling is no other name: %v", err)
		}
	})
}

// Replicas that first hear of a project at the same time agree on its spelling.
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
