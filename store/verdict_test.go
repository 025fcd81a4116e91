package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFinishJobComparesWithBaseline(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		first := pushed(t, s, 1)
		run(t, s, finding("old", core.High), finding("gone", core.Low))
		if st := statusOf(t, s, first); st.State != core.StatusFailure || st.Description != "2 new (1 high, 1 low)" {
			t.Errorf("first commit: %s %q", st.State, st.Description)
		}
		second := pushed(t, s, 2)
		run(t, s, finding("old", core.High), finding("fresh", core.Medium))
		if st := statusOf(t, s, second); st.State != core.StatusSuccess || st.Description != "1 new (1 medium), 1 unresolved, 1 known, 1 fixed" {
			t.Errorf("second commit: %s %q", st.State, st.Description)
		}
		second = get(t, s, second.ReferenceID)
		if second.BaselineScanID == nil || *second.BaselineScanID != first.ID {
			t.Errorf("baseline is %v, want %d", second.BaselineScanID, first.ID)
		}
		fixed, err := s.ListFindings(t.Context(), second, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
		if err != nil || len(fixed) != 1 || fixed[0].RuleID != "gone" {
			t.Errorf("fixed findings = %+v, %v", fixed, err)
		}
		feature := pushed(t, s, 3, storetest.OnBranch("feature"), onto(99))
		run(t, s, finding("old", core.High), finding("fresh", core.Medium))
		if st := statusOf(t, s, feature); st.Description != "0 new, 2 known" {
			t.Errorf("a branch is compared with the default branch: %q", st.Description)
		}
	})
}

func TestCoverageIsPartOfTheVerdict(t *testing.T) {
	t.Parallel()
	left := func(reasons ...core.LeftOut) *core.Coverage {
		c := &core.Coverage{Searched: 9}
		for _, reason := range reasons {
			c.LeaveOut(reason, 2, "a", "b")
		}
		return c
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for gate, states := range map[core.Gate][2]core.StatusState{
			{FailOn: core.High}:                                         {core.StatusSuccess, core.StatusFailure},
			{FailOn: core.High, FailUnsearched: true}:                   {core.StatusFailure, core.StatusFailure},
			{FailOn: core.High, FailUnsearched: true, KEV: true}:        {core.StatusFailure, core.StatusFailure},
			{FailOn: core.Never, FailUnsearched: true, NewOnly: true}:   {core.StatusFailure, core.StatusFailure},
			{FailOn: core.Critical, FailUnsearched: false, EPSS: 0.001}: {core.StatusSuccess, core.StatusSuccess},
		} {
			policy := storetest.Policy
			policy.Scanners, policy.Gate = []string{"gitleaks", "semgrep"}, gate
			s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			scan := pushed(t, s, 1)
			deliver(t, s, scan, "semgrep", core.Report{Coverage: left(core.LeftSize)})
			deliver(t, s, scan, "gitleaks", core.Report{Coverage: left(core.LeftError, core.LeftAllowed, core.LeftBinary, core.LeftSubmodule)})
			wantStatus(t, s, scan, fmt.Sprintf("with %+v", gate), states[0], "No findings, 4 not searched")
			if got := get(t, s, scan.ReferenceID); gate.FailUnsearched != strings.Contains(got.VerdictReason, "coverage: fail") {
				t.Errorf("with %+v: decided by %s", gate, got.VerdictReason)
			}
			deliver(t, s, scan, "gitleaks", core.Report{Coverage: left(core.LeftHistory), Findings: found("a").Findings})
			wantStatus(t, s, scan, fmt.Sprintf("with a low finding and %+v", gate), states[0], "1 new (1 low), 4 not searched")
			deliver(t, s, scan, "gitleaks", core.Report{Coverage: left(core.LeftAllowed), Findings: []core.Finding{finding("a", core.High)}})
			wantStatus(t, s, scan, fmt.Sprintf("with a high finding and %+v", gate), states[1], "1 new (1 high), 2 not searched")
			deliver(t, s, scan, "semgrep", core.Report{Coverage: left()})
			deliver(t, s, scan, "gitleaks", core.Report{})
			want := "No findings"
			if states[1] == core.StatusFailure { // which the new report turns
				want += ", report replaced"
			}
			wantStatus(t, s, scan, fmt.Sprintf("with nothing left out and %+v", gate), core.StatusSuccess, want)
		}
	})
}

func TestFailedJobKeepsFindings(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		report := core.Report{Failure: "out of memory", Findings: []core.Finding{finding("a", core.High)}}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		scan = get(t, s, scan.ReferenceID)
		if scan.Status != core.ScanFailed || scan.Verdict != nil || scan.Error != "gitleaks: out of memory" {
			t.Errorf("scan is %s, verdict %v, error %q", scan.Status, scan.Verdict, scan.Error)
		}
		findings, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
		if err != nil || len(findings) != 1 {
			t.Errorf("%d findings, %v, want 1", len(findings), err)
		}
	})
}

// everyKind has a finding of each severity and risk: CVE 0 is unlikely, 1 likely, 2 in the catalog, 3 unknown.
func everyKind(prefix string) (list []core.Finding) {
	for _, severity := range core.Severities {
		for n := range 4 {
			f := vulnerable(n, severity)
			f.RuleID = fmt.Sprint(prefix, severity, n)
			f.Snippet = f.RuleID
			list = append(list, f)
		}
	}
	return list
}

// The deciding findings are those that fail the gate, whatever it asks.
func TestDecidingFindingsAreThoseThatFailTheGate(t *testing.T) {
	t.Parallel()
	gates := map[string]core.Gate{
		"severity":           {FailOn: core.High, NewOnly: true},
		"severity, known":    {FailOn: core.Medium},
		"epss":               {FailOn: core.Never, NewOnly: true, EPSS: 0.1},
		"kev":                {FailOn: core.Never, KEV: true},
		"severity, epss":     {FailOn: core.Critical, NewOnly: true, EPSS: 0.1},
		"severity, epss kev": {FailOn: core.Critical, EPSS: 0.1, KEV: true},
		"never":              {FailOn: core.Never},
	}
	risks := []core.Tally{{MaxEPSS: 0.01}, {MaxEPSS: 0.3}, {KEV: true}, {}}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, gate := range gates {
			s := e.Open(t, store.Config{Policies: asking(func(g *core.Gate) { *g = gate })})
			put(t, s, scores(firstDay, 0.01, 0.3))
			put(t, s, kevCatalog(2))
			scanOn(t, s, 1, "main", everyKind("known")...)
			fresh := everyKind("fresh")
			fresh[5].Suppressed = new("nosec")
			scan := scanOn(t, s, 2, "topic", append(everyKind("known"), fresh...)...)
			want := []int64{}
			for rule, f := range findingsOf(t, s, scan) {
				tally := risks[rule[len(rule)-1]-'0']
				tally.Severity, tally.BaselineState, tally.Dismissed, tally.N = f.Severity, f.BaselineState, f.Suppressed != nil, 1
				if gate.Judge([]core.Tally{tally}) == core.Fail {
					want = append(want, f.ID)
				}
			}
			slices.Sort(want)
			got := scan.DecidingIDs()
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || scan.NumDeciding != len(want) {
				t.Errorf("%s: %d in all (-gate +list):\n%s", name, scan.NumDeciding, diff)
			}
		}
	})
}

var dismissal = core.TriageUpdate{Source: core.ByAI, Author: "model", TriageDecision: core.SetTo(core.FalsePositive), AIReasoning: core.SetTo("a fixture")}

// Whatever an AI decides, through whichever method, what only people may dismiss keeps failing the gate; the lists
// agree.
func TestAIDismisses(t *testing.T) {
	t.Parallel()
	proven, failed := core.SetTo(true), core.SetTo(false)
	for name, c := range map[string]struct {
		severity  core.Severity
		exploited bool
		proof     core.Change[bool]
	}{
		"a high one":       {severity: core.High},
		"a critical one":   {severity: core.Critical},
		"an exploited one": {severity: core.High, exploited: true},
		"a proven one":     {severity: core.High, proof: proven},
		"one not proven":   {severity: core.High, proof: failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := e.Open(t, store.Config{})
				put(t, s, scores(firstDay, 0.1))
				scan := pushed(t, s, 1)
				run(t, s, vulnerable(0, c.severity))
				f := findingsOf(t, s, scan)["dependency-0"]
				patch(t, s, f, core.TriageUpdate{RedTeamSuccess: c.proof})
				patch(t, s, f, dismissal)
				if c.exploited { // only later, so that it was dismissed before
					wantStatus(t, s, scan, "before", core.StatusSuccess, "0 new, 1 dismissed")
					put(t, s, kevCatalog(0))
					turned(t, s, 1)
				}
				f = findingsOf(t, s, scan)["dependency-0"]
				got := statusOf(t, s, scan).State == core.StatusSuccess
				if want := f.AIMayDismiss(); got != want || want != (name == "a high one" || name == "one not proven") {
					t.Errorf("dismissed %t, core says %t", got, want)
				}
				if !got && len(get(t, s, scan.ReferenceID).DecidingIDs()) != 1 {
					t.Error("the finding is not among those that decided the verdict")
				}
				checkCount(t, s, scan, got)
				say(t, s, f, core.FalsePositive)
				wantStatus(t, s, scan, "a person may", core.StatusSuccess, "0 new, 1 dismissed")
				say(t, s, f, core.TruePositive)
				patch(t, s, f, dismissal)
				if state := statusOf(t, s, scan).State; state != core.StatusFailure {
					t.Errorf("the AI outweighs a person: %s", state)
				}
			})
		})
	}
}

// checkCount compares what the pages count with the verdict.
func checkCount(t *testing.T, s *store.Store, scan core.Scan, dismissed bool) {
	t.Helper()
	tallies, err := s.CountFindings(t.Context(), scan)
	if err != nil || len(tallies) != 1 || tallies[0].Dismissed != dismissed {
		t.Errorf("tallies %+v, %v, want dismissed %t", tallies, err, dismissed)
	}
}

// An AI's decision is propagated to later scans, within its bounds.
func TestAIDismissesInLaterScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		first := pushed(t, s, 1, storetest.OnBranch("one"))
		run(t, s, finding("leak", core.High))
		patch(t, s, findingsOf(t, s, first)["leak"], dismissal)
		second := pushed(t, s, 2, storetest.OnBranch("two"))
		run(t, s, finding("leak", core.High))
		wantStatus(t, s, second, "the same", core.StatusSuccess, "0 new, 1 dismissed")
		third := pushed(t, s, 3, storetest.OnBranch("three"))
		run(t, s, finding("leak", core.Critical))
		wantStatus(t, s, third, "graver", core.StatusFailure, "1 new (1 critical)")
		say(t, s, findingsOf(t, s, first)["leak"], core.FalsePositive)
		wantStatus(t, s, third, "a person's word", core.StatusSuccess, "0 new, 1 dismissed")
	})
}

// asking is the policy of tests whose gate asks for the risk of vulnerabilities.
func asking(change func(*core.Gate)) core.Policies {
	policy := storetest.Policy
	policy.Gate.EPSS, policy.Gate.KEV = 0.1, true
	change(&policy.Gate)
	return core.Policies{{Match: "**", Policy: policy}}
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
				put(t, s, kevCatalog(2))
				scan := pushed(t, s, 1)
				run(t, s, vulnerable(0, core.Medium), vulnerable(1, core.Medium), vulnerable(2, core.Medium),
					vulnerable(3, core.Medium))
				shows(t, s, scan, c.state, c.text)
			})
		})
	}
}

// Branches with recent pushes are judged again like default branches, others are not.
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
		put(t, s, kevCatalog(0))
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
		old := pushed(t, s, 1)
		run(t, s, vulnerable(0, core.Medium))
		head := pushed(t, s, 2, called("acme/other", "43"), onto(99))
		run(t, s, vulnerable(0, core.Medium), vulnerable(0, core.Low))
		branch := pushed(t, s, 3, storetest.OnBranch("feature"))
		run(t, s, vulnerable(0, core.Medium))
		last := pushed(t, s, 4, onto(1))
		run(t, s, vulnerable(1, core.Medium))
		turned(t, s, 0)
		last = get(t, s, last.ReferenceID)

		put(t, s, kevCatalog(0))
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
		put(t, s, kevCatalog(7))
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

// After two imports without a judgement between them, the reason names what changed since the verdict.
func TestImportsAddUpUntilVerdictsAreJudgedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		scan := pushed(t, s, 1)
		run(t, s, vulnerable(0, core.Medium))
		put(t, s, kevCatalog(0))
		put(t, s, scores(firstDay, 0.01))
		turned(t, s, 1)
		shows(t, s, scan, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
		put(t, s, kevCatalog(1))
		put(t, s, kevCatalog(0, 1))
		turned(t, s, 0)
		shows(t, s, scan, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 now in KEV")
	})
}

// The commit status belongs to the attempt in progress.
func TestImportsLeaveRescansAlone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: asking(func(*core.Gate) {})})
		scan := pushed(t, s, 1)
		run(t, s, vulnerable(0, core.Medium))
		receipt, err := s.Rescan(t.Context(), scan.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, kevCatalog(0))
		turned(t, s, 0)
		again := get(t, s, receipt.Reference)
		shows(t, s, again, core.StatusPending, "Scan in progress")
		run(t, s, vulnerable(0, core.Medium))
		shows(t, s, again, core.StatusFailure, "1 new (1 medium), CVE-2024-0000 in KEV")
	})
}

// Lists repeat in SQL which findings are dismissed, because they may be very many. Both must agree, whatever was reported,
// decided and published.
func TestListsDismissWhatTheGateDismisses(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for seed := range uint64(4) {
			random := rand.New(rand.NewPCG(seed, 1))
			gate := core.Gate{
				FailOn: append(core.Severities, core.Never)[random.IntN(5)], NewOnly: random.IntN(2) == 0,
				KEV: random.IntN(2) == 0, EPSS: float64(random.IntN(2)) / 2,
			}
			policy := storetest.Policy
			policy.Gate = gate
			s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			putRandomFeeds(t, s, random)
			for n := 1; n <= 2; n++ {
				scan := pushed(t, s, n)
				run(t, s, randomFindings(random)...)
				triageAtRandom(t, s, scan, random)
				if n == 2 {
					putRandomFeeds(t, s, random)
				}
				compareDismissals(t, s, get(t, s, scan.ReferenceID), gate)
			}
		}
	})
}

func putRandomFeeds(t *testing.T, s *store.Store, random *rand.Rand) {
	t.Helper()
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	put(t, s, scores(day.AddDate(0, 0, 0), random.Float64(), random.Float64(), random.Float64()))
	put(t, s, kevCatalog(1+random.IntN(3), 4))
	if _, err := s.ReevaluateHeads(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func randomFindings(random *rand.Rand) (list []core.Finding) {
	why := "accepted"
	for n := range 60 {
		f := finding(fmt.Sprint("rule-", n), core.Severities[random.IntN(4)])
		if random.IntN(2) == 0 {
			f.CVEID = cve(random.IntN(5))
		}
		if random.IntN(8) == 0 {
			f.Suppressed = &why
		}
		if random.IntN(4) > 0 {
			list = append(list, f)
		}
	}
	return list
}

func triageAtRandom(t *testing.T, s *store.Store, scan core.Scan, random *rand.Rand) {
	t.Helper()
	for _, f := range findingsOf(t, s, scan) {
		for range random.IntN(4) {
			update := core.TriageUpdate{Comment: "why", Source: []core.TriageSource{core.ByPerson, core.ByScanner, core.ByAI, core.ByAI}[random.IntN(4)]}
			update.TriageDecision = core.SetTo([]core.Triage{core.TruePositive, core.FalsePositive, core.FalsePositive}[random.IntN(3)])
			if random.IntN(6) == 0 {
				update.RedTeamSuccess = core.SetTo(random.IntN(2) == 0)
			}
			patch(t, s, f, update)
		}
	}
}

func compareDismissals(t *testing.T, s *store.Store, scan core.Scan, gate core.Gate) {
	t.Helper()
	list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	listed := map[int64]bool{}
	for _, page := range []store.FindingPage{{State: core.New}, {State: core.Unchanged}, {Dismissed: true}} {
		page.Limit = 1000
		findings, err := s.PageFindings(t.Context(), scan, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			listed[f.ID] = f.Dismissed
		}
	}
	counted, deciding := map[core.Tally]int{}, []int64{}
	for _, f := range list { // the most severe first
		facts, err := s.FactsOf(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		if dismissed, shown := listed[f.ID]; !shown || dismissed != facts.Dismissed() || f.Dismissed != dismissed {
			t.Errorf("listed as dismissed: %t, %t; for the gate: %+v", dismissed, shown, facts)
		}
		counted[core.Tally{Severity: f.Severity, BaselineState: f.BaselineState, Dismissed: facts.Dismissed()}]++
		if gate.Fails(facts) {
			deciding = append(deciding, f.ID)
		}
	}
	tallies, err := s.CountFindings(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	for _, tally := range tallies {
		n := tally.N
		tally.N = 0
		if counted[tally] != n {
			t.Errorf("counted %d of %+v, for the gate %d", n, tally, counted[tally])
		}
		delete(counted, tally)
	}
	if len(counted) > 0 {
		t.Errorf("not counted: %v", counted)
	}
	if scan.NumDeciding != len(deciding) || (*scan.Verdict == core.Fail) != (len(deciding) > 0) {
		t.Errorf("%s by %d findings, want %d", *scan.Verdict, scan.NumDeciding, len(deciding))
	}
	if diff := cmp.Diff(deciding[:min(len(deciding), core.MaxDeciding)], scan.DecidingIDs()); diff != "" {
		t.Errorf("deciding findings (-want +got):\n%s", diff)
	}
}

// Findings that do not fail the gate may come before those that do.
func TestDecidingFindingsAreFoundBehindMany(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Gate = core.Gate{FailOn: core.High, KEV: true}
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		scan := pushed(t, s, 1)
		why, list := "accepted", []core.Finding{}
		for n := range 500 {
			f := finding(fmt.Sprint("rule-", n), core.High)
			if n < 480 {
				f.Suppressed = &why
			}
			list = append(list, f)
		}
		run(t, s, list...)
		scan = get(t, s, scan.ReferenceID)
		if ids := scan.DecidingIDs(); scan.NumDeciding != 20 || len(ids) != 20 {
			t.Errorf("%d findings decided, %d are listed, want 20", scan.NumDeciding, len(ids))
		}
	})
}

// A scan is in the list of what it has become, and in no other: as it ends, is judged anew, is superseded, starts over,
// gets its branch, and goes.
func TestListsFollowTheLifeOfAScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushTo(t, s, 1, "main")
		listedAs(t, s, scan, "pending", "main")
		run(t, s, finding("leak", core.High))
		listedAs(t, s, scan, "fail", "main")
		say(t, s, findingsOf(t, s, scan)["leak"], core.FalsePositive)
		listedAs(t, s, scan, "pass", "main")

		d, p := storetest.PushOf(2)
		old := accept(t, s, d, p)
		pushTo(t, s, 3, "main")
		listedAs(t, s, old, "failed", "main")
		d.Key, p.Ref = "a branch made of it", "refs/heads/rescue"
		accept(t, s, d, p)
		listedAs(t, s, old, "pending", "main")

		unnamed := named(t, s, 7, core.Scan{})
		deliver(t, s, unnamed, "gitleaks", core.Report{})
		listedAs(t, s, unnamed, "pass", "")
		pushTo(t, s, 7, "late")
		listedAs(t, s, unnamed, "pass", "late")
		if err := s.DeleteScan(t.Context(), unnamed.ReferenceID, "ada"); err != nil {
			t.Fatal(err)
		}
		listedAs(t, s, unnamed, "", "late")
	})
}

// listedAs expects a scan in the lists of one outcome, with and without its project and branch, and in no other list.
func listedAs(t *testing.T, s *store.Store, scan core.Scan, want, branch string) {
	t.Helper()
	for outcome, filter := range map[string]store.ScanFilter{
		"pending": {Status: core.ScanPending}, "pass": {Verdict: core.Pass}, "fail": {Verdict: core.Fail},
		"failed": {Status: core.ScanFailed},
	} {
		for _, project := range []string{"", scan.ProjectName} {
			for _, on := range []string{"", branch} {
				filter.Project, filter.Branch, filter.Limit = project, on, 50
				list, err := s.ListScans(t.Context(), filter)
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.Contains(ids(list), scan.ID); got != (outcome == want) {
					t.Errorf("in the list of %+v: %t, want the scan to be %q", filter, got, want)
				}
			}
		}
	}
}

// What failed the default branch is unresolved there until it is fixed or a person has decided; elsewhere it is known.
func TestUnresolved(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for _, fails := range []bool{false, true} {
			policy := storetest.Policy
			policy.Scanners, policy.Gate.FailUnresolved = []string{"semgrep"}, fails
			s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			want := func(when string, scan core.Scan, summary string, verdict core.Verdict) {
				t.Helper()
				scan = get(t, s, scan.ReferenceID)
				if scan.Summary != summary || *scan.Verdict != verdict {
					t.Errorf("unresolved fails: %t, %s: %q, %s; want %q, %s", fails, when, scan.Summary, *scan.Verdict, summary, verdict)
				}
			}
			red := map[bool]core.Verdict{true: core.Fail, false: core.Pass}[fails]
			bad, old := finding("bad", core.High), finding("old", core.Low)
			deliver(t, s, pushed(t, s, 1), "semgrep", core.Report{Findings: []core.Finding{old}})
			deliver(t, s, pushed(t, s, 2), "semgrep", core.Report{Findings: []core.Finding{old, bad}})
			third := deliver(t, s, pushed(t, s, 3), "semgrep", core.Report{Findings: []core.Finding{old, bad}})
			want("after it came", third, "0 new, 1 unresolved, 2 known", red)
			fourth := deliver(t, s, pushed(t, s, 4), "semgrep", core.Report{Findings: []core.Finding{old, bad}})
			want("one later", fourth, "0 new, 1 unresolved, 2 known", red)
			branch := deliver(t, s, pushed(t, s, 20, storetest.OnBranch("side")), "semgrep", core.Report{Findings: []core.Finding{old, bad}})
			want("on a branch", branch, "0 new, 2 known", core.Pass)
			patch(t, s, findingsOf(t, s, fourth)["bad"], core.TriageUpdate{
				Source: core.ByAI, TriageDecision: core.Change[core.Triage]{Set: true, Value: new(core.TruePositive)},
			})
			want("when an AI has judged", fourth, "0 new, 1 unresolved, 2 known", red)
			say(t, s, findingsOf(t, s, fourth)["bad"], core.TruePositive)
			want("when a person has judged", fourth, "0 new, 2 known", core.Pass)
			fifth := deliver(t, s, pushed(t, s, 5), "semgrep", core.Report{Findings: []core.Finding{old, bad}})
			want("after that", fifth, "0 new, 2 known", core.Pass)
			if _, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: findingsOf(t, s, fifth)["bad"].ID, Author: "alice"}); err != nil {
				t.Fatal(err)
			}
			want("when that is withdrawn", fifth, "0 new, 1 unresolved, 2 known", red)
			sixth := deliver(t, s, pushed(t, s, 6), "semgrep", core.Report{Findings: []core.Finding{old}})
			want("when it is fixed", sixth, "0 new, 1 known, 1 fixed", core.Pass)
		}
	})
}

// A finding by itself is unresolved where lists say so, also where a scanner calls a Critical one a false positive, which an AI may not.
func TestUnresolvedIsTheSameInListsAndByItself(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		bad := finding("bad", core.Critical)
		scanned(t, s, 1, core.Report{})
		scanned(t, s, 2, core.Report{Findings: []core.Finding{bad}})
		scan := scanned(t, s, 3, core.Report{Findings: []core.Finding{bad}})
		for _, source := range []core.TriageSource{"", core.ByAI, core.ByScanner} {
			listed := findingsOf(t, s, scan)["bad"]
			if source != "" {
				patch(t, s, listed, core.TriageUpdate{Source: source, Comment: "why", TriageDecision: core.SetTo(core.FalsePositive)})
				listed = findingsOf(t, s, scan)["bad"]
			}
			alone, err := s.GetFinding(t.Context(), listed.ID)
			if want := source != core.ByScanner; err != nil || listed.Unresolved != want || alone.Finding.Unresolved != want {
				t.Errorf("by %q: in the list %t, by itself %t, want %t; %v", source, listed.Unresolved, alone.Finding.Unresolved, want, err)
			}
		}
	})
}

// A commit of another branch is one of the default branch's as soon as that stands at it.
func TestUnresolvedFollowsTheDefaultBranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "semgrep")
		bad := core.Report{Findings: []core.Finding{finding("bad", core.High)}}
		deliver(t, s, pushed(t, s, 1), "semgrep", core.Report{})
		deliver(t, s, pushed(t, s, 2), "semgrep", bad)
		scan := deliver(t, s, pushed(t, s, 3, storetest.OnBranch("side")), "semgrep", bad)
		for _, want := range []bool{false, true} {
			listed := findingsOf(t, s, scan)["bad"]
			alone, err := s.GetFinding(t.Context(), listed.ID)
			if err != nil || listed.Unresolved != want || alone.Finding.Unresolved != want {
				t.Errorf("in the list %t, by itself %t, want %t; %v", listed.Unresolved, alone.Finding.Unresolved, want, err)
			}
			pushed(t, s, 3, func(d *core.Delivery, _ *core.Push) { d.Key = "forward" })
		}
	})
}

// What the first scan of the default branch finds is known; that of another branch is not.
func TestFirstScanIsTheBaseline(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Scanners, policy.Gate.FirstKnown, policy.Gate.FailOn = []string{"semgrep"}, true, core.Low
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		side, first := pushed(t, s, 20, storetest.OnBranch("side")), pushed(t, s, 1)
		for n, step := range []struct {
			scan core.Scan
			want string
		}{
			{deliver(t, s, side, "semgrep", found("a", "b")), "2 new (2 low)"},
			{deliver(t, s, first, "semgrep", found("a")), "0 new, 1 known"},
			{deliver(t, s, first, "semgrep", found("a", "b")), "0 new, 2 known"},
			{deliver(t, s, pushed(t, s, 2), "semgrep", found("a", "b", "d")), "1 new (1 low), 2 known"},
			{deliver(t, s, pushed(t, s, 3), "semgrep", found("a", "b", "d")), "0 new, 1 unresolved, 3 known"},
		} {
			if got := step.scan; got.Summary != step.want {
				t.Errorf("scan %d: %q, want %q", n, got.Summary, step.want)
			}
		}
	})
}
