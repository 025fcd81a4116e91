package store_test

import (
	"errors"
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
		"the old name":       {nil, all},
		"a new name":         {[]change{now}, all},
		"another project":    {[]change{called("acme/store", "43")}, none},
		"another id":         {[]change{called("acme/shop", "43")}, none},
		"no id":              {[]change{called("acme/store", "")}, none},
		"no id, same name":   {[]change{called("acme/shop", "")}, all},
		"without its branch": {[]change{now, onto(77)}, all},
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

// What is shown of a scan is the present name of its project, and the calls under its old name are its calls.
func TestRenamedProjectIsShownUnderItsName(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		old := pushed(t, s, 1)
		fresh := pushed(t, s, 2, now)
		if fresh.ProjectID != old.ProjectID || get(t, s, old.ReferenceID).ProjectName != "acme/store" {
			t.Errorf("%+v, %+v: want one project, acme/store", old, fresh)
		}
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Platform: "github", Project: "acme/store", Limit: 5})
		if err != nil || len(scans) != 2 || scans[1].ProjectName != "acme/store" {
			t.Errorf("scans: %+v, %v", scans, err)
		}
		calls, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Project: "acme/store", Limit: 5})
		if err != nil || len(calls) != 2 || calls[1].ProjectName != "acme/shop" {
			t.Errorf("calls: %+v, %v", calls, err)
		}
		listen(t, s, 0)
		if hooks, err := s.ListHooks(t.Context()); err != nil || len(hooks) != 1 || hooks[0].Project != "acme/store" {
			t.Errorf("hooks: %+v, %v", hooks, err)
		}
		known, err := s.ListKnownProjects(t.Context(), 0)
		if err != nil || len(known) != 1 || known[0].ProjectName != "acme/store" || known[0].ID != fresh.ProjectID {
			t.Errorf("known: %+v, %v", known, err)
		}
		statuses, err := s.ListStatuses(t.Context(), old)
		if err != nil || statuses[0].ProjectName != "acme/store" || statuses[0].ProjectRef != "42" {
			t.Errorf("statuses: %+v, %v", statuses, err)
		}
	})
}

// Who knows a project by the name that it had finds it, until another project has that name.
func TestRenamedProjectIsFoundUnderItsOldName(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		renamed := pushed(t, s, 2, now)
		leads := func(from, to string) {
			t.Helper()
			if name, err := s.ProjectName(t.Context(), "github", from); err != nil || name != to {
				t.Errorf("%s leads to %s, %v, want %s", from, name, err, to)
			}
		}
		leads("Acme/Shop", "acme/store")
		list, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 9)
		if err != nil || len(list) != 1 || list[0].SHA != renamed.CommitSHA {
			t.Errorf("refs under the old name: %+v, %v", list, err)
		}
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Project: "acme/shop", Limit: 9})
		if err != nil || len(scans) != 2 || scans[0].ID != renamed.ID {
			t.Errorf("scans under the old name: %+v, %v", scans, err)
		}
		if _, err := s.GetAlert(t.Context(), "github", "acme/shop", 1); err != nil {
			t.Errorf("an alert under the old name: %v", err)
		}
		if _, err := s.GetProject(t.Context(), "github", "acme/shop"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the old name means a project: %v", err)
		}
		if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting("acme/shop", "")}); err != nil {
			t.Fatal(err)
		}
		leads("acme/shop", "acme/store") // a name in the configuration says nothing
		pushed(t, s, 3, called("acme/market", "42"))
		leads("acme/shop", "acme/market")
		leads("acme/store", "acme/market")
		pushed(t, s, 4, called("acme/shop", "77"))
		leads("acme/shop", "acme/shop")
		pushed(t, s, 5, called("acme/store", "42"))
		leads("acme/store", "acme/store")
		leads("acme/market", "acme/store")
	})
}

// The same commit of a project that was deleted and made again has a scan and a status of its own.
func TestProjectMadeAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		old := pushed(t, s, 1, called("acme/reborn", "500"))
		d, p := storetest.PushOf(1, called("acme/reborn", "501"))
		d.Key = "another"
		fresh := accept(t, s, d, p)
		if fresh.ID == old.ID || fresh.ProjectID == old.ProjectID || fresh.ProjectRef != "501" {
			t.Errorf("%+v is no scan of the new project", fresh)
		}
		if scans, err := s.ListScans(t.Context(), store.ScanFilter{Project: "acme/Reborn", Limit: 5}); err != nil || len(scans) != 2 {
			t.Errorf("%d scans, %v: want those of both", len(scans), err)
		}
		if project, err := s.GetProject(t.Context(), "github", "acme/reborn"); err != nil || project.Ref != "501" {
			t.Errorf("the name means %+v, %v", project, err)
		}
		late := pushed(t, s, 7, called("acme/reborn", "500"))
		upload := core.Scan{SourcePlatform: "github", ProjectName: "acme/reborn", CommitSHA: storetest.SHA(8), Origin: "upload"}
		named, err := s.AcceptCommit(t.Context(), upload, "")
		if err != nil || late.ProjectID != old.ProjectID || get(t, s, named.Reference).ProjectID != fresh.ProjectID {
			t.Errorf("a late call: %+v; an upload: %+v, %v", late, named, err)
		}
	})
}

// So has that of a project without an id, whose scans are told by their commit and its name alone, however many ask for them.
func TestNamedProjectMadeAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		named := called("acme/reborn", "")
		old := pushed(t, s, 1, named)
		d, p := storetest.PushOf(1, named)
		d.Key = "gone"
		if _, err := s.Accept(t.Context(), storetest.With(d, core.ProjectChange{Project: p.Project, Action: "deleted", Deleted: true})); err != nil {
			t.Fatal(err)
		}
		again, push := storetest.PushOf(1, named)
		again.Key = "again"
		topic, branch := storetest.PushOf(1, named, storetest.OnBranch("topic"))
		topic.Key = "topic"
		if err := s.AcceptTogether(storetest.With(again, push), storetest.With(topic, branch)); err != nil {
			t.Fatal(err)
		}
		again.Key = "last"
		fresh := accept(t, s, again, push)
		if fresh.ID == old.ID || fresh.ProjectID == old.ProjectID || !fresh.SharedRefs || fresh.Attempt != 1 {
			t.Errorf("%+v is no scan of the new project for both branches", fresh)
		}
		if scans, err := s.ListScans(t.Context(), store.ScanFilter{Project: "acme/reborn", Limit: 5}); err != nil || len(scans) != 2 {
			t.Errorf("%d scans, %v: want one of each", len(scans), err)
		}
	})
}

// What a platform says of the project itself counts at once, and late calls from before do not take it back.
func TestProjectChanges(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		hour := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		dated := func(hours int) change {
			return func(_ *core.Delivery, p *core.Push) { p.Project.AsOf = hour.Add(time.Duration(hours) * time.Hour) }
		}
		change := func(n int, name string, hours int, deleted bool) {
			t.Helper()
			d, p := storetest.PushOf(n, called(name, "42"), dated(hours))
			d.Key += name
			receipt, err := s.Accept(t.Context(), storetest.With(d, core.ProjectChange{Project: p.Project, Action: "changed", Deleted: deleted}))
			if err != nil || receipt.Outcome != core.OutcomeIgnored || receipt.Reason == "" {
				t.Fatalf("%+v, %v", receipt, err)
			}
		}
		change(1, "acme/other", 0, true)
		if project, err := s.GetProject(t.Context(), "github", "acme/other"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("an unknown project that is deleted is kept: %+v, %v", project, err)
		}
		scan := pushed(t, s, 2, dated(1))
		change(3, "acme/store", 3, false)
		late := pushed(t, s, 4, dated(2))
		if late.ProjectID != scan.ProjectID || late.ProjectName != "acme/store" {
			t.Errorf("a late call: %+v", late)
		}
		change(5, "acme/store", 4, true)
		if project, err := s.GetProject(t.Context(), "github", "acme/store"); err != nil || project.GoneAt == nil {
			t.Errorf("a deleted project: %+v, %v", project, err)
		}
		if fresh := pushed(t, s, 6, called("acme/store", "43")); fresh.ProjectID == scan.ProjectID {
			t.Errorf("another project: %+v", fresh)
		}
	})
}

// A call that is derived long after it came says how things were when it came.
func TestLateDerivationRenamesNothing(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		came := func(hoursAgo int) change {
			return func(d *core.Delivery, _ *core.Push) {
				d.ReceivedAt = time.Now().UTC().Add(-time.Duration(hoursAgo) * time.Hour)
			}
		}
		pushed(t, s, 1, came(9))
		fresh := pushed(t, s, 2, now, came(1))
		other := pushed(t, s, 3, called("acme/shop", "43"), came(2))
		if late := pushed(t, s, 4, came(5)); late.ProjectID != fresh.ProjectID || late.ProjectName != "acme/store" {
			t.Errorf("a late call renamed its project: %+v", late)
		}
		d, p := storetest.PushOf(5, now, came(3))
		if _, err := s.Accept(t.Context(), storetest.With(d, core.ProjectChange{Project: p.Project, Action: "deleted", Deleted: true})); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int64{"acme/store": fresh.ProjectID, "acme/shop": other.ProjectID} {
			if project, err := s.GetProject(t.Context(), "github", name); err != nil || project.ID != want || project.GoneAt != nil {
				t.Errorf("%s: %+v, %v", name, project, err)
			}
		}
	})
}

// A job that uploads before the first call of its project is derived waits for it: the call's answer has told which scan it is.
func TestJobWaitsForTheCallThatTellsTheProject(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		kept := keep(t, s, 1)
		uploaded := make(chan core.Receipt)
		go func() {
			receipt, err := s.AcceptCommit(t.Context(), core.Scan{
				SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42", CommitSHA: storetest.SHA(1), Origin: "upload",
			}, "ci")
			if err != nil {
				t.Error(err)
			}
			uploaded <- receipt
		}()
		time.Sleep(50 * time.Millisecond) // time for the fault: an upload that does not wait
		deriveAll(t, s, "1", sound)
		if upload := <-uploaded; upload.Reference != kept.Reference {
			t.Errorf("the job's scan is %s, the platform was told %s", upload.Reference, kept.Reference)
		}
	})
}

// Jobs make a project known by its id, and by nothing less. They do not say who has a name.
func TestProjectThatAJobNames(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		upload := func(n int, name, ref string, want error) (scan core.Scan) {
			t.Helper()
			receipt, err := s.AcceptCommit(t.Context(), core.Scan{
				SourcePlatform: "github", ProjectName: name, ProjectRef: ref, CommitSHA: storetest.SHA(n), Origin: "upload",
			}, "ci")
			if !errors.Is(err, want) {
				t.Fatalf("%s %s: %v, want %v", name, ref, err, want)
			}
			if err == nil {
				scan = get(t, s, receipt.Reference)
			}
			return scan
		}
		upload(1, "acme/shop", "", core.ErrNotFound)
		first := upload(1, "acme/shop", "42", nil)
		if again := upload(2, "Acme/Shop", "", nil); again.ProjectID != first.ProjectID {
			t.Errorf("the name alone: %+v", again)
		}
		if scan := pushed(t, s, 9, called("acme/shop", "42")); scan.ProjectID != first.ProjectID || scan.ProjectRef != "42" {
			t.Errorf("a call of the project: %+v", scan)
		}
		upload(3, "acme/shop", "43", core.ErrConflict)
		upload(3, "acme/store", "42", core.ErrConflict)
		if scan := pushed(t, s, 4, now); scan.ProjectID != first.ProjectID {
			t.Errorf("a call of the renamed project: %+v", scan)
		}
		if scan := upload(5, "acme/store", "42", nil); scan.ProjectID != first.ProjectID {
			t.Errorf("after the call: %+v", scan)
		}
		pushed(t, s, 6, called("acme/named", ""))
		if scan := upload(7, "acme/named", "44", nil); scan.ProjectRef != "" {
			t.Errorf("a job gave a known project the id %s", scan.ProjectRef)
		}
		again, err := s.Rescan(t.Context(), first.ReferenceID, "ada")
		if err != nil || get(t, s, again.Reference).ProjectID != first.ProjectID {
			t.Errorf("scanned again: %+v, %v", again, err)
		}
	})
}

// An id that a job states proves nothing: neither statuses nor calls of the project that really has it get to what the job named.
func TestJobClaimsTheIDOfAnotherProject(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		planted := named(t, s, 1, core.Scan{ProjectName: "acme/unused", ProjectRef: "42", Origin: "upload"})
		statuses, err := s.ListStatuses(t.Context(), planted)
		if err != nil || planted.ProjectRef != "" || statuses[0].ProjectRef != "" {
			t.Errorf("%+v, %+v, %v: want no id", planted, statuses, err)
		}
		real := pushed(t, s, 1)
		if real.ID == planted.ID || real.ProjectID == planted.ProjectID || real.ProjectRef != "42" {
			t.Errorf("the real call got %+v", real)
		}
		if project, err := s.GetProject(t.Context(), "github", "acme/unused"); err != nil || project.ID != planted.ProjectID {
			t.Errorf("what the job named: %+v, %v", project, err)
		}
	})
}

// A name in the configuration says no more than a job that knows the name alone, and names that are gone make no projects.
func TestConfiguredNamesTellNothing(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting("acme/shop", "")}); err != nil {
			t.Fatal(err)
		}
		upload := func(ref string, want error) {
			t.Helper()
			scan := core.Scan{SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: ref, CommitSHA: storetest.SHA(1), Origin: "upload"}
			if _, err := s.AcceptCommit(t.Context(), scan, "ci"); !errors.Is(err, want) {
				t.Errorf("with the id %q: %v, want %v", ref, err, want)
			}
		}
		upload("", core.ErrNotFound)
		upload("42", nil)
		upload("", nil)
		d, p := storetest.PushOf(2, called("acme/shop", ""))
		if _, err := s.Accept(t.Context(), storetest.With(d, core.ProjectChange{Project: p.Project, Action: "deleted", Deleted: true})); err != nil {
			t.Fatal(err)
		}
		if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting("acme/shop", "")}); err != nil {
			t.Fatal(err)
		}
		if project, err := s.GetProject(t.Context(), "github", "acme/shop"); err != nil || project.GoneAt == nil {
			t.Errorf("a name that is gone became the project %+v, %v", project, err)
		}
	})
}

// A replica that has not heard that a name changed hands asks the database whose it is.
func TestNameChangesHandsOnAnotherReplica(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		e.URL = func(testing.TB) string { return url }
		s, other := twoScanners(t, e), twoScanners(t, e)
		pushed(t, s, 1)
		upload := func(n int) core.Scan {
			t.Helper()
			return named(t, other, n, core.Scan{Origin: "upload"})
		}
		upload(2)
		pushed(t, s, 3, now)
		fresh := pushed(t, s, 4, called("acme/shop", "43"))
		if scan := upload(5); scan.ProjectID != fresh.ProjectID {
			t.Errorf("%+v, want a scan of the project that has the name now", scan)
		}
	})
}

// Who has a project deleted that another replica renamed meanwhile deletes neither that nor the one with its name.
func TestNameChangesHandsBeforeAProjectIsDeleted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		e.URL = func(testing.TB) string { return url }
		s, other := twoScanners(t, e), twoScanners(t, e)
		pushed(t, s, 1)
		if _, err := other.FindProject(t.Context(), "github", "acme/shop"); err != nil {
			t.Fatal(err)
		}
		pushed(t, s, 2, now)
		pushed(t, s, 3, called("acme/shop", "43"))
		for _, want := range []error{core.ErrConflict, nil} { // then it has looked again
			if err := other.RemoveProject(t.Context(), "github", "acme/shop", "root"); !errors.Is(err, want) {
				t.Errorf("deleting: %v, want %v", err, want)
			}
		}
		if removed, err := s.Removal().Since(t.Context(), time.Time{}); err != nil || len(removed) != 1 || removed[0].PlatformRef != "43" {
			t.Errorf("deleted: %+v, %v", removed, err)
		}
	})
}

// A project of which only the name was known gets its id, and keeps what is known of it.
func TestProjectGetsItsID(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		named := pushed(t, s, 1, called("acme/shop", ""))
		called := pushed(t, s, 2, called("acme/shop", "42"))
		if called.ProjectID != named.ProjectID || get(t, s, named.ReferenceID).ProjectRef != "42" {
			t.Errorf("%+v, %+v: want one project, 42", named, called)
		}
	})
}

// Where the platform itself redirects from the old name to the new one, no id is needed.
func TestNameThatThePlatformLeadsTo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ref  string // of acme/shop
		then []change
		want string
	}{
		"with an id": {"42", []change{now}, "0 new, 1 known, 1 fixed, 1 dismissed"},
		"without":    {"", []change{called("acme/store", "")}, "0 new, 1 known, 1 fixed, 1 dismissed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := known(t, e, called("acme/shop", test.ref))
				if err := s.TrackProjects(t.Context(), []store.KnownProject{sighting("acme/shop", test.ref)}); err != nil {
					t.Fatal(err)
				}
				watched, err := s.GetTrackedProject(t.Context(), "github", "acme/shop")
				if err != nil {
					t.Fatal(err)
				}
				if err := s.RenameProject(t.Context(), watched, "acme/store"); err != nil {
					t.Fatal(err)
				}
				topic := pushed(t, s, 50, append(test.then, onto(0), storetest.OnBranch("topic"))...)
				deliver(t, s, topic, "trivy", core.Report{})
				topic = deliver(t, s, topic, "semgrep", found("a", "b"))
				if topic.Summary != test.want {
					t.Errorf("%q, want %q", topic.Summary, test.want)
				}
			})
		})
	}
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
		if again, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil || again.Outcome != core.Duplicate {
			t.Errorf("the delivery again: %+v, %v", again, err)
		}
		d.Key = "another"
		if joined, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil || joined.Reference != first.ReferenceID {
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
		watched := []store.KnownProject{sighting("acme/shop", "42")}
		if err := s.TrackProjects(t.Context(), watched); err != nil {
			t.Fatal(err)
		}
		claimed, err := s.ClaimProject(t.Context(), sighting("acme/SHOP", ""), time.Minute)
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
		both := replicas(t, e)
		var scans []core.Scan
		for n, name := range []string{"Acme/Shop", "acme/shop", "ACME/SHOP"} {
			scans = append(scans, pushed(t, both[n%2], n+1, called(name, "42")))
		}
		var racing sync.WaitGroup
		for n, name := range []string{"Acme/New", "acme/new"} {
			racing.Go(func() {
				d, p := storetest.PushOf(10+n, called(name, "43"))
				if _, err := both[n].Accept(t.Context(), storetest.With(d, p)); err != nil {
					t.Error(err)
				}
			})
		}
		racing.Wait()
		list, err := both[0].ListScans(t.Context(), store.ScanFilter{Platform: "github", Project: "acme/NEW", Limit: 5})
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
