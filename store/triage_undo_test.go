package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// undo withdraws the person's word that stands on a finding.
func undo(t *testing.T, s *store.Store, f core.Finding, by string) store.Triaged {
	t.Helper()
	found, err := s.GetFinding(t.Context(), f.ID)
	if err != nil || found.Word == nil {
		t.Fatalf("finding %d has the word %v, %v", f.ID, found.Word, err)
	}
	after, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{
		FindingID: f.ID, WordID: found.Word.ID, Author: by, Comments: "a mistake",
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
		if after.Word != nil || decisionOf(after.Finding) != "" || *after.Scan.Verdict != core.Fail {
			t.Errorf("answer: %q by %v, verdict %s", decisionOf(after.Finding), after.Word, *after.Scan.Verdict)
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

// wantUndoneHistory wants the decision and its undoing in the history of both findings.
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

// Who undoes means what they have seen: something newer is not thrown away, and nothing is undone twice.
func TestUndoingWhatSomebodyElseHasChanged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		f := findingsOf(t, s, scanOn(t, s, 1, "one", finding("leak", core.High)))["leak"]
		withdrawn := core.Withdrawal{FindingID: f.ID, Author: "bob"}
		if _, err := s.WithdrawFeedback(t.Context(), withdrawn); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("undoing nothing: %v", err)
		}
		withdrawn.WordID = say(t, s, f, core.FalsePositive).Word.ID
		patch(t, s, f, core.Statement{Source: core.ByAI, TriageDecision: core.SetTo(core.TruePositive)})
		if got, err := s.GetFinding(t.Context(), f.ID); err != nil || got.Word.ID != withdrawn.WordID {
			t.Errorf("a machine's word made another word of the person's: %+v, %v", got.Word, err)
		}
		say(t, s, f, core.TruePositive)
		_, err := s.WithdrawFeedback(t.Context(), withdrawn)
		if !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "alice has decided TP meanwhile") {
			t.Errorf("undoing an older word: %v", err)
		}
		if got, err := s.GetFinding(t.Context(), f.ID); err != nil || decisionOf(got.Finding) != core.TruePositive {
			t.Errorf("the newer word is gone: %+v, %v", got.Word, err)
		}
		undo(t, s, f, "bob")
		if _, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: f.ID}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("undoing twice: %v", err)
		}
	})
}

// Undoing takes the person's word away and nothing else: what a machine has said holds again as it did before, within the
// bounds of machines, and a machine may speak as before.
func TestUndoingLeavesTheWordsOfMachines(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		one := scanOn(t, s, 1, "one", finding("leak", core.High), finding("worst", core.Critical))
		two := scanOn(t, s, 2, "two", finding("worst", core.Critical))
		f := findingsOf(t, s, one)
		dismiss := core.Statement{Source: core.ByAI, Author: "bot", TriageDecision: core.SetTo(core.FalsePositive)}
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
