package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// asking is the policy of tests whose gate asks for the risk of vulnerabilities.
func asking(change func(*core.Gate)) core.Policies {
	policy := storetest.Policy
	policy.Gate.EPSS, policy.Gate.KEV = 0.1, true
	change(&policy.Gate)
	return core.Policies{{Match: "**", Policy: policy}}
}

// vulnerable is a finding that names CVE n.
func vulnerable(n int, severity core.Severity) core.Finding {
	f := finding(fmt.Sprint("dependency-", n), severity)
	f.CVEID = cve(n)
	return f
}

func turned(t *testing.T, s *store.Store, want int) {
	t.Helper()
	if got, err := s.ReevaluateHeads(t.Context()); err != nil || got != want {
		t.Errorf("%d verdicts turned, %v, want %d", got, err, want)
	}
}

func shows(t *testing.T, s *store.Store, scan core.Scan, state core.StatusState, text string) {
	t.Helper()
	if got := statusOf(t, s, scan); got.State != state || got.Description != text {
		t.Errorf("status is %s %q, want %s %q", got.State, got.Description, state, text)
	}
}

func TestGateAsksRiskOfNewScans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gate  func(*core.Gate)
		state core.StatusState
		text  string
	}{
		"either": {func(*core.Gate) {}, core.StatusFailure, "4 new (4 medium), CVE-2024-0002 in KEV and 2 more"},
		"likelihood only": {
			func(g *core.Gate) { g.KEV = false }, core.StatusFailure,
			"4 new (4 medium), CVE-2024-0001 at EPSS 0.3 and 1 more",
		},
		"unlikely": {func(g *core.Gate) { g.KEV, g.EPSS = false, 0.31 }, core.StatusSuccess, "4 new (4 medium)"},
		"never, but KEV": {
			func(g *core.Gate) { g.FailOn, g.EPSS = core.Never, 0 }, core.StatusFailure,
			"4 new (4 medium), CVE-2024-0002 in KEV",
		},
		"not asked":     {func(g *core.Gate) { g.EPSS, g.KEV = 0, false }, core.StatusSuccess, "4 new (4 medium)"},
		"severity does": {func(g *core.Gate) { g.FailOn = core.Medium }, core.StatusFailure, "4 new (4 medium)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := e.Open(t, store.Config{Policies: asking(c.gate)})
				put(t, s, scores(firstDay, 0.1, 0.3, 0.01))
				put(t, s, catalog(2))
				d, p := storetest.PushOf(1)
				scan := accept(t, s, d, p)
				run(t, s, vulnerable(0, core.Medium), vulnerable(1, core.Medium), vulnerable(2, core.Medium),
					vulnerable(3, core.Medium))
				shows(t, s, scan, c.state, c.text)
			})
		})
	}
}

// Branches that are worked on are judged again as default branches are, those that nobody has pushed to for long not.
func TestImportsTurnVerdictsOfOpenBranches(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {}), Now: clock.Now})
		old := scanOn(t, s, 1, "old", vulnerable(0, core.Medium))
		clock.advance(31 * 24 * time.Hour)
		before := scanOn(t, s, 2, "open", vulnerable(0, core.Medium))
		clock.advance(29 * 24 * time.Hour)
		head := scanOn(t, s, 3, "topic", vulnerable(0, core.Medium))
		open := scanOn(t, s, 4, "topic", vulnerable(0, core.Medium))
		put(t, s, catalog(0))
		turned(t, s, 2)
		shows(t, s, before, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
		shows(t, s, open, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
		for _, scan := range []core.Scan{old, head} {
			shows(t, s, scan, core.StatusSuccess, "1 new (1 medium)")
		}
	})
}

func TestImportsTurnVerdictsOfHeads(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		put(t, s, scores(firstDay, 0.01))
		d, p := storetest.PushOf(1)
		old := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.Medium))
		d, p = storetest.PushOf(2)
		p.Before = storetest.SHA(99)
		p.Project.Name, d.Project = "acme/other", "acme/other"
		head := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.Medium), vulnerable(0, core.Low))
		d, p = storetest.PushOf(3, storetest.OnBranch("feature"))
		branch := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.Medium))
		d, p = storetest.PushOf(4)
		p.Before = storetest.SHA(1)
		last := accept(t, s, d, p)
		run(t, s, vulnerable(1, core.Medium))
		turned(t, s, 0)
		last = get(t, s, last.ReferenceID)

		put(t, s, catalog(0))
		turned(t, s, 1)
		turned(t, s, 0)
		shows(t, s, head, core.StatusFailure, "2 new (1 medium, 1 low), CVE-2024-0000 now in KEV")
		shows(t, s, old, core.StatusSuccess, "1 new (1 medium)")
		shows(t, s, branch, core.StatusSuccess, "0 new, 1 known")
		if after := get(t, s, last.ReferenceID); !after.FinishedAt.Equal(*last.FinishedAt) || after.Summary != last.Summary {
			t.Errorf("a scan that names no such vulnerability was touched: %+v", after)
		}

		put(t, s, scores(firstDay, 0.02)) // still in KEV: nothing to say
		turned(t, s, 0)
		shows(t, s, head, core.StatusFailure, "2 new (1 medium, 1 low), CVE-2024-0000 now in KEV")
		put(t, s, catalog(7))
		turned(t, s, 1)
		shows(t, s, head, core.StatusSuccess, "2 new (1 medium, 1 low), CVE-2024-0000 no longer in KEV")
		put(t, s, scores(firstDay, 0.5, 0.5))
		turned(t, s, 2)
		shows(t, s, head, core.StatusFailure, "2 new (1 medium, 1 low), CVE-2024-0000 now at EPSS 0.5")
		shows(t, s, last, core.StatusFailure, "1 new (1 medium), 1 fixed, CVE-2024-0001 now at EPSS 0.5")
		put(t, s, scores(firstDay, 0.09, 0.5))
		turned(t, s, 1)
		shows(t, s, head, core.StatusSuccess, "2 new (1 medium, 1 low), CVE-2024-0000 now below EPSS 0.1")
	})
}

// Two imports before anybody judged again: the reason names what changed since the verdict.
func TestImportsAddUpUntilVerdictsAreJudgedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.Medium))
		put(t, s, catalog(0))
		put(t, s, scores(firstDay, 0.01))
		turned(t, s, 1)
		shows(t, s, scan, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
		put(t, s, catalog(1))
		put(t, s, catalog(0, 1))
		turned(t, s, 0)
		shows(t, s, scan, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
	})
}

// The commit status belongs to the attempt under way.
func TestImportsLeaveRescansAlone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.Medium))
		receipt, err := s.Rescan(t.Context(), scan.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, catalog(0))
		turned(t, s, 0)
		again := get(t, s, receipt.Reference)
		shows(t, s, again, core.StatusPending, "Scan in progress")
		run(t, s, vulnerable(0, core.Medium))
		shows(t, s, again, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 in KEV")
	})
}
