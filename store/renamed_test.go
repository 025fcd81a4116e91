package store_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// called gives the project of a push its name and the id that its platform knows it by.
func called(name, ref string) change {
	return func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name, p.Project.Ref = name, name, ref }
}

// now is what the tests' project, acme/shop, is called later.
var now = called("acme/store", "42")

// onto makes a push one onto the n-th commit, or of a new branch for 0.
func onto(n int) change {
	return func(_ *core.Delivery, p *core.Push) {
		if p.Before = storetest.SHA(n); n == 0 {
			p.Before = strings.Repeat("0", 40)
		}
	}
}

// known makes a store in which the first commit of acme/shop was scanned, with a false positive.
func known(t *testing.T, e storetest.Engine) *store.Store {
	t.Helper()
	s := twoScanners(t, e)
	old := pushed(t, s, 1)
	deliver(t, s, old, "semgrep", found("a", "b"))
	deliver(t, s, old, "trivy", found("c"))
	say(t, s, findingsOf(t, s, old)["b"], core.FalsePositive)
	return s
}

// A project keeps what is known of it when it gets another name, and nobody else does.
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

// Whoever sends calls of another project with our id, and goes on sending them, is not what we were called before.
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

// Where the branch left main counts, whichever name the project had then.
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

// Where the platform itself leads from the old name to the new one, nothing else is needed.
func TestNameThatThePlatformLeadsTo(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := known(t, e)
		if err := s.WatchProjects(t.Context(), []store.KnownProject{sighting("acme/shop", "42")}); err != nil {
			t.Fatal(err)
		}
		watched, err := s.GetWatched(t.Context(), "github", "acme/shop")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RenameWatched(t.Context(), watched, "acme/store"); err != nil {
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

// What is taken back under the new name stays taken back.
func TestWordsAreBroughtOnce(t *testing.T) {
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
			patch(t, s, b, core.Statement{Source: core.ByPerson, TriageDecision: core.Change[core.Triage]{Set: true}})
		}
	})
}

// A report that comes again is compared with what it was compared with.
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
