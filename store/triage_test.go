package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// findingsOf are a scan's findings by rule.
func findingsOf(t *testing.T, s *store.Store, scan core.Scan) map[string]core.Finding {
	t.Helper()
	list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	byRule := map[string]core.Finding{}
	for _, f := range list {
		byRule[f.RuleID] = f
	}
	return byRule
}

// say gives feedback on a finding.
func say(t *testing.T, s *store.Store, f core.Finding, verdict core.Triage) store.Triaged {
	t.Helper()
	after, err := s.RecordFeedback(t.Context(), core.Feedback{
		FindingID: f.ID, UserVerdict: verdict, Author: "alice", Comments: "because",
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func patch(t *testing.T, s *store.Store, f core.Finding, said core.Statement) store.Triaged {
	t.Helper()
	if said.Source == "" {
		said.Source = core.ByScanner
	}
	after, err := s.PatchFinding(t.Context(), f.ID, said)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func decisionOf(f core.Finding) core.Triage {
	if f.TriageDecision == nil {
		return ""
	}
	return *f.TriageDecision
}

func wantStatus(t *testing.T, s *store.Store, scan core.Scan, when string, state core.StatusState, text string) {
	t.Helper()
	if st := statusOf(t, s, scan); st.State != state || st.Description != text {
		t.Errorf("%s: the wanted status is %s %q, want %s %q", when, st.State, st.Description, state, text)
	}
}

func TestFeedbackMovesTheStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
		if decisionOf(after.Finding) != core.FalsePositive || after.Word == nil || after.Word.Author != "alice" {
			t.Errorf("answer: %s by %+v", decisionOf(after.Finding), after.Word)
		}
		say(t, s, f["two"], core.TruePositive)
		wantStatus(t, s, scan, "TP again", core.StatusFailure, "2 new (1 critical, 1 low), 2 dismissed")
	})
}

func TestPatchFinding(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, finding("one", core.High))
		f := findingsOf(t, s, scan)["one"]
		opinion := core.Statement{
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
		patch(t, s, f, core.Statement{TriageDecision: core.SetTo(core.FalsePositive)})
		wantStatus(t, s, scan, "a scanner's FP", core.StatusSuccess, "0 new, 1 dismissed")
		patch(t, s, f, core.Statement{RedTeamSuccess: core.SetTo(true)})
		wantStatus(t, s, scan, "a proof", core.StatusFailure, "1 new (1 high)")
		patch(t, s, f, core.Statement{TriageDecision: core.SetTo(core.TruePositive)})
		patch(t, s, f, core.Statement{TriageDecision: core.SetTo(core.FalsePositive)})
		wantStatus(t, s, scan, "a scanner against a proof", core.StatusFailure, "1 new (1 high)")
		say(t, s, f, core.FalsePositive)
		wantStatus(t, s, scan, "a person against a proof", core.StatusSuccess, "0 new, 1 dismissed")
		patch(t, s, f, core.Statement{AIVerdict: core.Change[string]{Set: true}})
		if got := findingsOf(t, s, scan)["one"]; got.AIVerdict != nil || got.AIReasoning == nil {
			t.Errorf("null empties one field only: %+v", got)
		}
	})
}

func TestTriageRefuses(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, finding("one", core.High))
		before := findingsOf(t, s, scan)["one"]
		prose := core.Statement{Source: core.ByAI, RemediationPatch: core.SetTo("no")}
		_, err := s.PatchFinding(t.Context(), before.ID, prose)
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("a patch that is none: %v", err)
		}
		if _, err := s.PatchFinding(t.Context(), 4711, core.Statement{Source: core.ByAI}); !errors.Is(err, core.ErrNotFound) {
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

func TestHistoryTellsWhoSaidWhat(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, finding("one", core.High))
		f := findingsOf(t, s, scan)["one"]
		patch(t, s, f, core.Statement{Source: core.ByAI, Author: "bot", AIConfidence: core.SetTo(0.25)})
		patch(t, s, f, core.Statement{Source: core.ByAI, Author: "bot", AIConfidence: core.SetTo(0.25)})
		clock.advance(time.Minute)
		say(t, s, f, core.FalsePositive)
		d, p = storetest.PushOf(2)
		later := accept(t, s, d, p)
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
		carried.Source, carried.CarriedFrom, carried.Changes = core.Carried, &f.ID, `{"triage_decision":"FP"}`
		wantHistory(t, s, again, []core.TriageEvent{carried})
		say(t, s, again, core.TruePositive)
		carried.CarriedFrom, carried.Changes, carried.Decision = &again.ID, `{"triage_decision":"TP"}`, &tp
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
	ignore := cmpopts.IgnoreFields(core.TriageEvent{}, "ID", "FindingID")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("history of finding %d (-want +got):\n%s", f.ID, diff)
	}
}

func TestVerdictNamesWhatDecidedIt(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
