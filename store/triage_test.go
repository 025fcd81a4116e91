package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFeedbackMovesTheStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		hidden := finding("hidden", core.Critical)
		hidden.Suppressed = new("nosec")
		run(t, s, finding("one", core.High), finding("two", core.Critical), finding("three", core.Low), hidden)
		finished := get(t, s, scan.ReferenceID).FinishedAt
		clock.advance(time.Hour)
		f := findingsOf(t, s, scan)
		wantStatus(t, s, scan, "before", core.StatusFailure, "3 new (1 critical, 1 high, 1 low), 1 dismissed")
		say(t, s, f["one"], core.FalsePositive)
		wantStatus(t, s, scan, "after the first", core.StatusFailure, "2 new (1 critical, 1 low), 2 dismissed")
		after := say(t, s, f["two"], core.FalsePositive)
		wantStatus(t, s, scan, "after the last", core.StatusSuccess, "1 new (1 low), 3 dismissed")
		if v := after.Scan.Verdict; v == nil || *v != core.Pass || !after.Scan.FinishedAt.Equal(*finished) {
			t.Errorf("answer: verdict %v, finished %v, want pass and %v", v, after.Scan.FinishedAt, finished)
		}
		if decisionOf(after.Finding) != core.FalsePositive || after.Decision == nil || after.Decision.Author != "alice" {
			t.Errorf("answer: %s by %+v", decisionOf(after.Finding), after.Decision)
		}
		say(t, s, f["two"], core.TruePositive)
		wantStatus(t, s, scan, "TP again", core.StatusFailure, "2 new (1 critical, 1 low), 2 dismissed")
	})
}

func TestPatchFinding(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		run(t, s, finding("one", core.High))
		f := findingsOf(t, s, scan)["one"]
		opinion := core.TriageUpdate{
			Source: core.ByAI, Author: "bot", AIVerdict: core.SetTo("false positive"), AIConfidence: core.SetTo(0.9),
			AIReasoning: core.SetTo("a test key"), RemediationPatch: core.SetTo("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"),
		}
		got := patch(t, s, f, opinion).Finding
		want := f
		want.AIVerdict, want.AIConfidence = opinion.AIVerdict.Value, opinion.AIConfidence.Value
		want.AIReasoning, want.RemediationPatch = opinion.AIReasoning.Value, opinion.RemediationPatch.Value
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("an opinion (-want +got):\n%s", diff)
		}
		wantStatus(t, s, scan, "an opinion moves nothing", core.StatusFailure, "1 new (1 high)")
		patch(t, s, f, core.TriageUpdate{TriageDecision: core.SetTo(core.FalsePositive)})
		wantStatus(t, s, scan, "a scanner's FP", core.StatusSuccess, "0 new, 1 dismissed")
		patch(t, s, f, core.TriageUpdate{RedTeamSuccess: core.SetTo(true)})
		wantStatus(t, s, scan, "a proof", core.StatusFailure, "1 new (1 high)")
		patch(t, s, f, core.TriageUpdate{TriageDecision: core.SetTo(core.TruePositive)})
		patch(t, s, f, core.TriageUpdate{TriageDecision: core.SetTo(core.FalsePositive)})
		wantStatus(t, s, scan, "a scanner against a proof", core.StatusFailure, "1 new (1 high)")
		say(t, s, f, core.FalsePositive)
		wantStatus(t, s, scan, "a person against a proof", core.StatusSuccess, "0 new, 1 dismissed")
		patch(t, s, f, core.TriageUpdate{AIVerdict: core.Change[string]{Set: true}})
		if got := findingsOf(t, s, scan)["one"]; got.AIVerdict != nil || got.AIReasoning == nil {
			t.Errorf("null empties one field only: %+v", got)
		}
	})
}

func TestTriageRefuses(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		run(t, s, finding("one", core.High))
		before := findingsOf(t, s, scan)["one"]
		prose := core.TriageUpdate{Source: core.ByAI, RemediationPatch: core.SetTo("no")}
		_, err := s.PatchFinding(t.Context(), before.ID, prose)
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("a patch that is none: %v", err)
		}
		if _, err := s.PatchFinding(t.Context(), 4711, core.TriageUpdate{Source: core.ByAI}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("patching nothing: %v", err)
		}
		_, err = s.RecordFeedback(t.Context(), core.Feedback{FindingID: 4711, UserVerdict: core.TruePositive})
		if !errors.Is(err, core.ErrNotFound) {
			t.Errorf("feedback on nothing: %v", err)
		}
		if _, err := s.GetFinding(t.Context(), 4711); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("getting nothing: %v", err)
		}
		if diff := cmp.Diff(before, findingsOf(t, s, scan)["one"]); diff != "" {
			t.Errorf("a refused patch changed the finding (-before +after):\n%s", diff)
		}
	})
}

func TestHistoryNamesWhoDecidedWhat(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		run(t, s, finding("one", core.High))
		f := findingsOf(t, s, scan)["one"]
		patch(t, s, f, core.TriageUpdate{Source: core.ByAI, Author: "bot", AIConfidence: core.SetTo(0.25)})
		patch(t, s, f, core.TriageUpdate{Source: core.ByAI, Author: "bot", AIConfidence: core.SetTo(0.25)})
		clock.advance(time.Minute)
		say(t, s, f, core.FalsePositive)
		later := pushed(t, s, 2)
		run(t, s, finding("one", core.High))
		tp, fp := core.TruePositive, core.FalsePositive
		now := clock.Now()
		want := []core.TriageEvent{
			{
				Source: core.ByAI, Origin: core.ByAI, Author: "bot", Changes: `{"ai_confidence":0.25}`,
				Timestamp: now.Add(-time.Minute),
			},
			{
				Source: core.ByPerson, Origin: core.ByPerson, Author: "alice", Changes: `{"user_verdict":"FP"}`,
				Decision: &fp, Comment: "because", Timestamp: now,
			},
		}
		wantHistory(t, s, f, want)
		again := findingsOf(t, s, later)["one"]
		carried := want[1]
		carried.Source, carried.PropagatedFrom, carried.Changes = core.Propagated, &f.ID, `{"triage_decision":"FP"}`
		wantHistory(t, s, again, []core.TriageEvent{carried})
		say(t, s, again, core.TruePositive)
		carried.PropagatedFrom, carried.Changes, carried.Decision = &again.ID, `{"triage_decision":"TP"}`, &tp
		wantHistory(t, s, f, append(want, carried))
		if page, err := s.ListTriage(t.Context(), f.ID, 0, 1); err != nil || len(page) != 1 {
			t.Errorf("first page: %d events, %v", len(page), err)
		}
	})
}

func wantHistory(t *testing.T, s *store.Store, f core.Finding, want []core.TriageEvent) {
	t.Helper()
	got, err := s.ListTriage(t.Context(), f.ID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	ignore := cmpopts.IgnoreFields(core.TriageEvent{}, "ID", "AlertID", "FindingID", "Decides")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("history of finding %d (-want +got):\n%s", f.ID, diff)
	}
}

func TestVerdictNamesWhatDecidedIt(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		var many []core.Finding
		for range core.MaxDeciding + 5 {
			many = append(many, finding("same", core.High))
		}
		many = append(many, finding("worst", core.Critical), finding("minor", core.Medium))
		scan = deliver(t, s, scan, "gitleaks", core.Report{Findings: many})
		ids := scan.DecidingIDs()
		f := findingsOf(t, s, scan)
		if scan.VerdictReason != "fail_on: high, new findings only" || scan.NumDeciding != core.MaxDeciding+6 ||
			len(ids) != core.MaxDeciding || ids[0] != f["worst"].ID {
			t.Errorf("%q decided by %d: %v", scan.VerdictReason, scan.NumDeciding, ids)
		}
		say(t, s, f["worst"], core.FalsePositive)
		scan = get(t, s, scan.ReferenceID)
		if scan.NumDeciding != core.MaxDeciding+5 || slices.Contains(scan.DecidingIDs(), f["worst"].ID) {
			t.Errorf("after dismissing the gravest: %d, %s", scan.NumDeciding, scan.Deciding)
		}
		mended := core.Report{Findings: []core.Finding{finding("minor", core.Medium)}}
		after, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", mended)
		if err != nil || after.NumDeciding != 0 || len(after.DecidingIDs()) != 0 || after.VerdictReason == "" {
			t.Errorf("a scan that passes: %d deciding, %q, %v", after.NumDeciding, after.VerdictReason, err)
		}
	})
}

// uploadedOn is scanOn with a report from outside, which others may follow.
func uploadedOn(t *testing.T, s *store.Store, n int, branch string, findings ...core.Finding) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, storetest.OnBranch(branch))
	p.Before = storetest.SHA(900 + n)
	return deliver(t, s, accept(t, s, d, p), "gitleaks", core.Report{Findings: findings})
}

func TestTriageReachesOtherBranches(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		one := scanOn(t, s, 1, "one", finding("leak", core.High))
		two := scanOn(t, s, 2, "two", finding("leak", core.High), finding("else", core.High))
		old := scanOn(t, s, 3, "three", finding("leak", core.High))
		head := scanOn(t, s, 4, "three", finding("leak", core.High))
		foreign := func(d *core.Delivery, p *core.Push) { p.Project.Name, p.Project.Ref = "acme/other", "43" }
		other := pushed(t, s, 5, foreign)
		run(t, s, finding("leak", core.High))
		waiting := pushed(t, s, 6, storetest.OnBranch("four"))

		say(t, s, findingsOf(t, s, one)["leak"], core.FalsePositive)
		wantStatus(t, s, one, "own scan", core.StatusSuccess, "0 new, 1 dismissed")
		wantStatus(t, s, two, "another branch", core.StatusFailure, "1 new (1 high), 1 dismissed")
		wantStatus(t, s, head, "a third branch", core.StatusSuccess, "0 new, 1 dismissed")
		wantStatus(t, s, old, "not a head, but its verdict turned", core.StatusSuccess, "0 new, 1 dismissed")
		wantStatus(t, s, other, "another project", core.StatusFailure, "1 new (1 high)")
		wantStatus(t, s, waiting, "a scan that waits", core.StatusPending, "Scan in progress")

		say(t, s, findingsOf(t, s, two)["leak"], core.TruePositive)
		wantStatus(t, s, one, "TP elsewhere reopens", core.StatusFailure, "1 new (1 high)")
		run(t, s, finding("leak", core.High))
		wantStatus(t, s, waiting, "TP is carried on", core.StatusFailure, "1 new (1 high)")
		if got := findingsOf(t, s, waiting)["leak"]; decisionOf(got) != core.TruePositive {
			t.Errorf("a later report has %q", decisionOf(got))
		}
	})
}

// A scan of many jobs keeps its state while its findings are triaged.
func TestTriageDoesNotEndAScan(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Scanners = []string{"gitleaks", "trivy"}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		scan := pushed(t, s, 1)
		run(t, s, finding("leak", core.High))
		after := say(t, s, findingsOf(t, s, scan)["leak"], core.FalsePositive)
		if after.Scan.Status != core.ScanProcessing || after.Scan.Verdict != nil {
			t.Errorf("scan is %s, verdict %v", after.Scan.Status, after.Scan.Verdict)
		}
		wantStatus(t, s, scan, "half done", core.StatusPending, "Scan in progress")
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", core.Report{}); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, s, scan, "done", core.StatusSuccess, "0 new, 1 dismissed")
	})
}

// The commit status belongs to the latest attempt, whichever attempt's finding is triaged.
func TestTriageOfAnOldAttempt(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		first := scanOn(t, s, 1, "main", finding("leak", core.High), finding("more", core.High))
		receipt, err := s.Rescan(t.Context(), first.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		run(t, s, finding("leak", core.High))
		second := get(t, s, receipt.Reference)
		say(t, s, findingsOf(t, s, first)["leak"], core.FalsePositive)
		wantStatus(t, s, second, "after a word on the first", core.StatusSuccess, "0 new, 1 dismissed")
		if got := get(t, s, first.ReferenceID).Summary; got != "1 new (1 high), 1 dismissed" {
			t.Errorf("the first attempt says %q", got)
		}
	})
}

func TestTriageSurvivesTheNextReport(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := uploadedOn(t, s, 1, "main", finding("leak", core.High), finding("gone", core.High), finding("plain", core.Low))
		before := findingsOf(t, s, scan)
		say(t, s, before["leak"], core.FalsePositive)
		say(t, s, before["gone"], core.FalsePositive)
		patch(t, s, before["leak"], core.TriageUpdate{Source: core.ByAI, AIVerdict: core.SetTo("unsure")})
		moved := finding("leak", core.Critical)
		moved.Line = 77
		report := core.Report{Findings: []core.Finding{moved, finding("plain", core.Low), finding("fresh", core.High)}}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		after := findingsOf(t, s, scan)
		leak := after["leak"]
		if leak.ID != before["leak"].ID || leak.AIVerdict == nil || leak.Line != 77 ||
			decisionOf(leak) != core.FalsePositive {
			t.Errorf("the finding that was spoken about is %+v, was %+v", leak, before["leak"])
		}
		if events, err := s.ListTriage(t.Context(), leak.ID, 0, 10); err != nil || len(events) != 2 {
			t.Errorf("its history has %d events, %v, want 2", len(events), err)
		}
		if len(after) != 3 {
			t.Errorf("findings are %v, want three", after)
		}
		wantStatus(t, s, scan, "after the report", core.StatusFailure, "2 new (1 high, 1 low), 1 dismissed")

		report.Findings = []core.Finding{finding("gone", core.High)}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, s, scan, "a finding that comes back is still dismissed", core.StatusSuccess, "0 new, 1 dismissed, report replaced")
	})
}

// Feedback on many findings, in scans that share them, while reports and pushes come in: nothing is lost, nothing
// fails.
func TestTriageConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const findings, branches = 8, 4
		var all []core.Finding
		for n := range findings {
			all = append(all, finding(fmt.Sprint("r", n), core.High))
		}
		var scans []core.Scan
		for n := range branches {
			scans = append(scans, uploadedOn(t, s, n+1, fmt.Sprint("b", n), all...))
		}
		var wg sync.WaitGroup
		for n := range findings {
			f := findingsOf(t, s, scans[n%branches])[fmt.Sprint("r", n)]
			wg.Go(func() { say(t, s, f, core.FalsePositive) })
			wg.Go(func() { patch(t, s, f, core.TriageUpdate{Source: core.ByAI, AIConfidence: core.SetTo(0.5)}) })
		}
		for n := range branches {
			wg.Go(func() {
				report := core.Report{Findings: append([]core.Finding{}, all...)}
				if _, err := s.PutReport(t.Context(), scans[n].ReferenceID, "gitleaks", report); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				d, p := storetest.PushOf(20+n, storetest.OnBranch(fmt.Sprint("b", n)))
				p.Before = scans[n].CommitSHA
				if _, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, scan := range scans {
			wantStatus(t, s, scan, scan.Branch, core.StatusSuccess, fmt.Sprintf("0 new, %d dismissed", findings))
		}
		run(t, s, all...)
		list, err := s.ListScans(t.Context(), store.ScanFilter{Status: core.ScanCompleted, Limit: 1})
		if err != nil || list[0].Summary != fmt.Sprintf("0 new, %d dismissed", findings) {
			t.Errorf("the next scan: %q, %v", list[0].Summary, err)
		}
	})
}

// When two people disagree, both are in the history, and the later decision holds everywhere.
func TestContradictingFeedback(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		a := scanOn(t, s, 1, "a", finding("leak", core.High))
		b := scanOn(t, s, 2, "b", finding("leak", core.High))
		inA, inB := findingsOf(t, s, a)["leak"], findingsOf(t, s, b)["leak"]
		var wg sync.WaitGroup
		for n := range 10 {
			verdict := []core.Triage{core.TruePositive, core.FalsePositive}[n%2]
			wg.Go(func() { say(t, s, inA, verdict) })
			wg.Go(func() { say(t, s, inB, verdict) })
		}
		wg.Wait()
		heard := 0
		var last core.TriageEvent
		for _, f := range []core.Finding{inA, inB} {
			events, err := s.ListTriage(t.Context(), f.ID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range events {
				if event.Source == core.ByPerson {
					heard++
				}
				if event.Source == core.ByPerson && event.ID > last.ID {
					last = event
				}
			}
		}
		got := []core.Triage{decisionOf(findingsOf(t, s, a)["leak"]), decisionOf(findingsOf(t, s, b)["leak"])}
		if heard != 20 || got[0] != *last.Decision || got[1] != *last.Decision {
			t.Errorf("%d heard, decisions %v, last said %v", heard, got, *last.Decision)
		}
	})
}

// However many scans have the finding, its own commit is updated within the second and before the others.
func TestTriageOfAFindingInManyScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		var first core.Scan
		for n := range 230 {
			scan := scanOn(t, s, n+1, fmt.Sprint("b", n), finding("leak", core.High))
			if n == 0 {
				first = scan
			}
		}
		postAll(t, s)
		f := findingsOf(t, s, first)["leak"]
		start := time.Now()
		say(t, s, f, core.FalsePositive)
		took := time.Since(start)
		t.Logf("judging again took %s", took)
		claimed, err := s.ClaimStatuses(t.Context(), github, 1, time.Minute)
		if err != nil || len(claimed) != 1 || claimed[0].ScanID != first.ID {
			t.Errorf("the first status due is %+v, %v, want that of scan %d", claimed, err, first.ID)
		}
		passed, err := s.ListScans(t.Context(), store.ScanFilter{Verdict: core.Pass, Limit: 500})
		if err != nil || len(passed) != 200 || passed[0].ID != 230 {
			t.Errorf("%d scans pass, %v, want its own and the newest 199", len(passed), err)
		}
	})
}

// undo withdraws the person's decision on a finding.
func undo(t *testing.T, s *store.Store, f core.Finding, by string) store.Triaged {
	t.Helper()
	found, err := s.GetFinding(t.Context(), f.ID)
	if err != nil || found.Decision == nil {
		t.Fatalf("finding %d has the word %v, %v", f.ID, found.Decision, err)
	}
	after, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{
		FindingID: f.ID, DecisionID: found.Decision.ID, Author: by, Comments: "a mistake",
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func TestDecisionCanBeUndone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		one := scanOn(t, s, 1, "one", finding("leak", core.High))
		two := scanOn(t, s, 2, "two", finding("leak", core.High))
		f := findingsOf(t, s, one)["leak"]
		say(t, s, f, core.FalsePositive)
		wantStatus(t, s, two, "dismissed", core.StatusSuccess, "0 new, 1 dismissed")

		elsewhere := findingsOf(t, s, two)["leak"]
		after := undo(t, s, elsewhere, "bob")
		if after.Decision != nil || decisionOf(after.Finding) != "" || *after.Scan.Verdict != core.Fail {
			t.Errorf("answer: %q by %v, verdict %s", decisionOf(after.Finding), after.Decision, *after.Scan.Verdict)
		}
		for _, scan := range []core.Scan{one, two} {
			wantStatus(t, s, scan, "undone", core.StatusFailure, "1 new (1 high)")
			if got := decisionOf(findingsOf(t, s, scan)["leak"]); got != "" {
				t.Errorf("the finding is still %s", got)
			}
		}
		wantStatus(t, s, scanOn(t, s, 3, "three", finding("leak", core.High)), "a later scan",
			core.StatusFailure, "1 new (1 high)")
		wantUndoneHistory(t, s, f, elsewhere)
		audit, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 1})
		if err != nil || audit[0].Actor != "bob" || audit[0].Detail != "person said user_verdict withdrawn: a mistake" {
			t.Errorf("audit: %+v, %v", audit, err)
		}
	})
}

// wantUndoneHistory expects the decision and its withdrawal in the history of both findings.
func wantUndoneHistory(t *testing.T, s *store.Store, said, undone core.Finding) {
	t.Helper()
	for _, f := range []core.Finding{said, undone} {
		events, err := s.ListTriage(t.Context(), f.ID, 0, 10)
		if err != nil || len(events) != 2 {
			t.Fatalf("history of %d: %+v, %v", f.ID, events, err)
		}
		if events[0].Withdrawn() || events[0].Author != "alice" || events[0].Decision == nil {
			t.Errorf("the decision: %+v", events[0])
		}
		if last := events[1]; !last.Withdrawn() || last.Author != "bob" || last.Decision != nil || last.Comment != "a mistake" {
			t.Errorf("the undoing: %+v", last)
		}
	}
}

// A withdrawal means the decision that was shown: a newer one stays, and nothing is withdrawn twice.
func TestUndoingWhatSomebodyElseHasChanged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		f := findingsOf(t, s, scanOn(t, s, 1, "one", finding("leak", core.High)))["leak"]
		withdrawn := core.Withdrawal{FindingID: f.ID, Author: "bob"}
		if _, err := s.WithdrawFeedback(t.Context(), withdrawn); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("undoing nothing: %v", err)
		}
		withdrawn.DecisionID = say(t, s, f, core.FalsePositive).Decision.ID
		patch(t, s, f, core.TriageUpdate{Source: core.ByAI, TriageDecision: core.SetTo(core.TruePositive)})
		if got, err := s.GetFinding(t.Context(), f.ID); err != nil || got.Decision.ID != withdrawn.DecisionID {
			t.Errorf("a machine's word made another word of the person's: %+v, %v", got.Decision, err)
		}
		say(t, s, f, core.TruePositive)
		_, err := s.WithdrawFeedback(t.Context(), withdrawn)
		if !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "alice has decided TP meanwhile") {
			t.Errorf("undoing an older word: %v", err)
		}
		if got, err := s.GetFinding(t.Context(), f.ID); err != nil || decisionOf(got.Finding) != core.TruePositive {
			t.Errorf("the newer word is gone: %+v, %v", got.Decision, err)
		}
		undo(t, s, f, "bob")
		if _, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: f.ID}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("undoing twice: %v", err)
		}
	})
}

// A withdrawal removes the person's decision and nothing else: that of a machine holds again as before, within the
// bounds of machines, and a machine may decide again.
func TestUndoingLeavesTheDecisionsOfMachines(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		one := scanOn(t, s, 1, "one", finding("leak", core.High), finding("worst", core.Critical))
		two := scanOn(t, s, 2, "two", finding("worst", core.Critical))
		f := findingsOf(t, s, one)
		dismiss := core.TriageUpdate{Source: core.ByAI, Author: "bot", Comment: "a fixture", TriageDecision: core.SetTo(core.FalsePositive)}
		for _, finding := range f {
			patch(t, s, finding, dismiss)
		}
		wantStatus(t, s, one, "an AI dismisses", core.StatusFailure, "1 new (1 critical), 1 dismissed")
		say(t, s, f["leak"], core.TruePositive)
		say(t, s, f["worst"], core.FalsePositive)
		wantStatus(t, s, one, "a person turns both", core.StatusFailure, "1 new (1 high), 1 dismissed")
		wantStatus(t, s, two, "and elsewhere", core.StatusSuccess, "0 new, 1 dismissed")
		for _, finding := range f {
			undo(t, s, finding, "bob")
		}
		wantStatus(t, s, one, "undone", core.StatusFailure, "1 new (1 critical), 1 dismissed")
		wantStatus(t, s, two, "undone elsewhere", core.StatusFailure, "1 new (1 critical)")
	})
}

func TestBatchBelongsToItsAuthor(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		run(t, s, finding("one", core.High), finding("two", core.High))
		f := findingsOf(t, s, scan)
		decide := func(author, rule string, want error) {
			t.Helper()
			_, err := s.DecideAlerts(t.Context(), store.Batch{
				Key: "monday", Alerts: []int64{f[rule].AlertID}, Verdict: core.FalsePositive, Author: author,
			})
			if !errors.Is(err, want) {
				t.Errorf("%s decides on %s: %v, want %v", author, rule, err, want)
			}
		}
		decide("ada", "one", nil)
		decide("eve", "two", core.ErrConflict)
		wantStatus(t, s, scan, "eve has joined nothing", core.StatusFailure, "1 new (1 high), 1 dismissed")
		decide("ada", "two", nil)
		if withdrawn, left, err := s.WithdrawBatch(t.Context(), "monday", "ada"); withdrawn != 2 || left != 0 || err != nil {
			t.Errorf("%d withdrawn, %d left, %v", withdrawn, left, err)
		}
	})
}

// What is Critical, known to be exploited, or was either in another scan, is dismissed with a comment only, through every method; of several
// alerts none is, and the answer says how many need it.
func TestGraveFindingsAreDismissedWithAComment(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, kevCatalog(0))
		first := pushed(t, s, 1)
		run(t, s, finding("grave", core.Critical), finding("once", core.Critical), finding("high", core.High), vulnerable(0, core.Low), vulnerable(1, core.Low))
		scan := pushed(t, s, 2)
		run(t, s, finding("grave", core.Critical), finding("once", core.High), finding("high", core.High), vulnerable(0, core.Low), vulnerable(1, core.Low))
		f := findingsOf(t, s, scan)
		var all []int64
		for rule, silent := range map[string]bool{"grave": false, "once": false, "dependency-0": false, "high": true, "dependency-1": true} {
			all = append(all, f[rule].AlertID)
			for _, said := range []core.TriageUpdate{
				{Source: core.ByPerson, TriageDecision: core.SetTo(core.FalsePositive)},
				{Source: core.ByScanner, TriageDecision: core.SetTo(core.FalsePositive)},
				{Source: core.ByAI, TriageDecision: core.SetTo(core.FalsePositive), AIReasoning: core.SetTo(" \n")},
				{Source: core.ByPerson, Comment: " ", TriageDecision: core.SetTo(core.TruePositive), Dismissal: core.Dismissal{Reason: core.WontFix}},
			} {
				if _, err := s.PatchFinding(t.Context(), f[rule].ID, said); errors.Is(err, core.ErrUncommented) == silent || silent && err != nil {
					t.Errorf("%s, by %s without a comment: %v", rule, said.Source, err)
				}
			}
			patch(t, s, f[rule], core.TriageUpdate{Source: core.ByPerson, TriageDecision: core.SetTo(core.TruePositive)})
		}
		before := get(t, s, scan.ReferenceID).Summary
		silent := store.Batch{Key: "monday", Alerts: all, Verdict: core.FalsePositive, Author: "ada"}
		if n, err := s.DecideAlerts(t.Context(), silent); n.Done != 0 || !errors.Is(err, core.ErrUncommented) || !strings.Contains(err.Error(), "(3 alerts of") {
			t.Errorf("%d are decided, %v", n.Done, err)
		}
		if got := get(t, s, scan.ReferenceID).Summary; got != before {
			t.Errorf("some were dismissed: %s", got)
		}
		err := s.Catalog().Admit(t.Context(), catalog.Filter{Shelf: catalog.Open}, silent.On(0).Update())
		if !errors.Is(err, core.ErrUncommented) || !strings.Contains(err.Error(), "(2 alerts of") { // as they are now
			t.Errorf("all that are open: %v", err)
		}
		silent.Comment = "fixtures"
		if n, err := s.DecideAlerts(t.Context(), silent); n.Done != len(all) || err != nil {
			t.Errorf("with a comment %d are decided, %v", n, err)
		}
		wantStatus(t, s, first, "the commit before", core.StatusSuccess, "0 new, 5 dismissed")
	})
}

// dismiss gives feedback that dismisses a finding for a reason.
func dismiss(t *testing.T, s *store.Store, f core.Finding, why core.Dismissal) store.Triaged {
	t.Helper()
	after, err := s.RecordFeedback(t.Context(), core.Feedback{
		FindingID: f.ID, UserVerdict: why.Reason.Triage(), Dismissal: why, Author: "alice", Comments: "because",
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// What is dismissed for another reason than being a false positive is real, and counts nowhere: neither in the verdict, nor in lists,
// counts and trends, nor at the next commit.
func TestReasonsDismissWhatIsReal(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		var all []core.Finding
		for _, reason := range core.Reasons {
			all = append(all, finding(string(reason), core.Critical))
		}
		scan := pushed(t, s, 1)
		run(t, s, all...)
		end := clock.Now().Add(48 * time.Hour)
		for rule, f := range findingsOf(t, s, scan) {
			why := core.Dismissal{Reason: core.Reason(rule)}
			if why.Reason == core.AcceptedRisk {
				why.ExpiresAt = &end
			}
			after := dismiss(t, s, f, why)
			if got := decisionOf(after.Finding); got != why.Reason.Triage() || after.Finding.DismissedFor() != why.Reason {
				t.Errorf("%s: the finding is %s because %q", rule, got, after.Finding.DismissedFor())
			}
			if got := after.Decision.Grounds(); got.Reason != why.Reason || (got.ExpiresAt == nil) != (why.ExpiresAt == nil) {
				t.Errorf("%s: decided %+v", rule, got)
			}
		}
		wantStatus(t, s, scan, "all are dismissed", core.StatusSuccess, "0 new, 5 dismissed")
		checkCount(t, s, get(t, s, scan.ReferenceID), true)
		later := pushed(t, s, 2)
		run(t, s, all...)
		wantStatus(t, s, later, "the next commit", core.StatusSuccess, "0 new, 5 dismissed")
		wantDismissed(t, s, get(t, s, later.ReferenceID))

		undo(t, s, findingsOf(t, s, later)["wont_fix"], "bob")
		wantStatus(t, s, later, "one is undone", core.StatusSuccess, "0 new, 1 unresolved, 1 known, 4 dismissed")
		wantStatus(t, s, scan, "there, too", core.StatusFailure, "1 new (1 critical), 4 dismissed")
		say(t, s, findingsOf(t, s, later)["revoked"], core.TruePositive)
		wantStatus(t, s, later, "one is real all the same", core.StatusSuccess, "0 new, 1 unresolved, 2 known, 3 dismissed")
		patch(t, s, findingsOf(t, s, later)["used_in_tests"], core.TriageUpdate{RedTeamSuccess: core.SetTo(true)})
		wantStatus(t, s, later, "one is proven", core.StatusSuccess, "0 new, 1 unresolved, 3 known, 2 dismissed")
		if got := get(t, s, scan.ReferenceID).Summary; got != "3 new (3 critical), 2 dismissed" {
			t.Errorf("the commit before: %q", got)
		}
	})
}

// wantDismissed expects that lists, alerts and facets tell why each finding of a scan is dismissed: the one for which its rule is named.
func wantDismissed(t *testing.T, s *store.Store, scan core.Scan) {
	t.Helper()
	list, err := s.PageFindings(t.Context(), scan, store.FindingPage{Dismissed: true, Limit: 10})
	if err != nil || len(list) != len(core.Reasons) {
		t.Errorf("the list of what is dismissed: %+v, %v", list, err)
	}
	for _, f := range list {
		if string(f.DismissedFor()) != f.RuleID || !f.Dismissed {
			t.Errorf("%s is dismissed %t because %q", f.RuleID, f.Dismissed, f.DismissedFor())
		}
	}
	facets, err := s.Catalog().Facets(t.Context(), catalog.Filter{Shelf: catalog.Dismissed})
	if err != nil || facets.Total.N != len(core.Reasons) || len(facets.Reasons) != len(core.Reasons) {
		t.Errorf("facets: %+v, %v", facets, err)
	}
	for _, reason := range core.Reasons {
		page, err := s.Catalog().List(t.Context(), catalog.Filter{Reason: string(reason)}, catalog.Newest, "", 10)
		if err != nil || len(page.Items) != 1 || page.Items[0].RuleID != string(reason) {
			t.Errorf("alerts that are dismissed because %s: %+v, %v", reason, page, err)
		}
	}
	trend, err := s.ListTrend(t.Context(), scan.SourcePlatform, scan.ProjectName, 10)
	if err != nil || len(trend) == 0 || trend[len(trend)-1].Open != 0 {
		t.Errorf("trend: %+v, %v", trend, err)
	}
}

// An accepted risk counts again when its end has come, also where no branch has it any more, or no scan.
func TestAcceptedRiskEnds(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		run(t, s, finding("leak", core.High), finding("fixed", core.High), finding("real", core.Low))
		end := clock.Now().Add(48 * time.Hour).In(time.FixedZone("", 3600))
		f := findingsOf(t, s, scan)
		accepted := core.Dismissal{Reason: core.AcceptedRisk, ExpiresAt: &end}
		dismiss(t, s, f["leak"], accepted)
		dismiss(t, s, f["fixed"], accepted)
		patch(t, s, f["leak"], core.TriageUpdate{Source: core.ByAI, TriageDecision: core.SetTo(core.TruePositive)})
		later := pushed(t, s, 2)
		run(t, s, finding("leak", core.High), finding("real", core.Low))
		clock.advance(47 * time.Hour)
		wantEnded(t, s, 0)
		wantStatus(t, s, scan, "before the end", core.StatusSuccess, "1 new (1 low), 2 dismissed")
		clock.advance(time.Hour)
		wantEnded(t, s, 2)
		wantEnded(t, s, 0)
		wantStatus(t, s, scan, "after the end", core.StatusFailure, "3 new (2 high, 1 low)")
		if got := get(t, s, later.ReferenceID).Summary; got != "0 new, 1 unresolved, 2 known, 1 fixed" {
			t.Errorf("the head after the end: %q", got)
		}
		history, err := s.ListTriage(t.Context(), f["leak"].ID, 0, 10)
		if err != nil || len(history) != 3 || !history[2].Expired() || history[2].Origin != core.ByExpiry || history[2].Grounds().Reason != "" ||
			history[2].Decision == nil || *history[2].Decision != core.TruePositive || history[0].Grounds().Reason != core.AcceptedRisk {
			t.Errorf("history: %+v, %v", history, err)
		}
		audit, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 1})
		if err != nil || audit[0].Actor != "scanhook" || audit[0].Detail != "expiry: the end of the accepted risk came, it counts again" {
			t.Errorf("audit: %+v, %v", audit, err)
		}
		alert, err := s.GetAlert(t.Context(), scan.SourcePlatform, scan.ProjectName, f["fixed"].AlertNumber)
		if err != nil || alert.State != alerts.Fixed || alert.Decision != nil {
			t.Errorf("the alert that no branch has: %+v, %v", alert, err)
		}
	})
}

func wantEnded(t *testing.T, s *store.Store, want int) {
	t.Helper()
	if ended, err := s.EndAcceptedRisks(t.Context()); err != nil || ended != want {
		t.Errorf("%d accepted risks ended, %v, want %d", ended, err, want)
	}
}

func TestAcceptedRiskEndsAfterItsScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		run(t, s, finding("leak", core.High))
		f := findingsOf(t, s, scan)["leak"]
		end := clock.Now().Add(time.Hour)
		dismiss(t, s, f, core.Dismissal{Reason: core.AcceptedRisk, ExpiresAt: &end})
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "root"); err != nil {
			t.Fatal(err)
		}
		clock.advance(2 * time.Hour)
		wantEnded(t, s, 1)
		wantEnded(t, s, 0)
		alert, err := s.GetAlert(t.Context(), scan.SourcePlatform, scan.ProjectName, f.AlertNumber)
		if err != nil || alert.State != alerts.Fixed || alert.Decision != nil || len(alert.Events) != 2 || !alert.Events[1].Expired() {
			t.Errorf("the alert: %+v, %v", alert, err)
		}
		again := pushed(t, s, 2)
		run(t, s, finding("leak", core.High))
		wantStatus(t, s, again, "it comes back", core.StatusFailure, "1 new (1 high)")
	})
}

func TestEndsOfAcceptedRisksAreBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := storetest.OpenAt(t, storetest.SQLiteURL(t), store.Config{Now: clock.Now})
	scan := pushed(t, s, 1)
	run(t, s, finding("leak", core.High))
	f := findingsOf(t, s, scan)["leak"]
	for in, want := range map[time.Duration]string{0: "not in the future", -time.Hour: "not in the future", 6 * 365 * 24 * time.Hour: "five years"} {
		end := clock.Now().Add(in)
		_, err := s.RecordFeedback(t.Context(), core.Feedback{
			FindingID: f.ID, UserVerdict: core.TruePositive, Dismissal: core.Dismissal{Reason: core.AcceptedRisk, ExpiresAt: &end},
		})
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("an end in %s: %v, want %q", in, err, want)
		}
	}
}
