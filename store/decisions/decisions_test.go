package decisions_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// bench is a store in which two people dismiss what is Critical.
type bench struct {
	*store.Store
	t *testing.T
}

func open(t *testing.T, e storetest.Engine) bench {
	policy := storetest.Policy
	policy.Approval = core.Approval{Critical: 2, KEV: 2}
	return bench{e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}}), t}
}

// scan pushes the n-th commit and scans it.
func (b bench) scan(n int, severities map[string]core.Severity) (scan core.Scan, findings map[string]core.Finding) {
	b.t.Helper()
	d, push := storetest.PushOf(n)
	receipt, err := b.Accept(b.t.Context(), storetest.With(d, push))
	if err != nil {
		b.t.Fatal(err)
	}
	var report core.Report
	for rule, severity := range severities {
		report.Findings = append(report.Findings, core.Finding{
			Tool: "gitleaks", RuleID: rule, File: rule + ".go", Line: 3, Severity: severity, Snippet: "x := " + rule,
		})
	}
	job, _, err := b.ClaimJob(b.t.Context(), store.Claimant{Worker: "worker", Scanners: []string{"gitleaks"}, Lease: time.Minute})
	if err == nil {
		err = b.FinishJob(b.t.Context(), job, report)
	}
	if err == nil {
		scan, err = b.GetScan(b.t.Context(), receipt.Reference)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	list, err := b.ListFindings(b.t.Context(), scan, store.FindingFilter{Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	findings = map[string]core.Finding{}
	for _, f := range list {
		findings[f.RuleID] = f
	}
	return scan, findings
}

// dismiss is a person's word that a finding does not count.
func (b bench) dismiss(f core.Finding, who string, reason core.Reason) store.Triaged {
	b.t.Helper()
	after, err := b.RecordFeedback(b.t.Context(), core.Feedback{
		FindingID: f.ID, UserVerdict: reason.Triage(), Author: who, Comments: "says " + who, Dismissal: core.Dismissal{Reason: reason},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return after
}

// shows expects the summary of a scan.
func (b bench) shows(when string, scan core.Scan, want string) {
	b.t.Helper()
	if got, err := b.GetScan(b.t.Context(), scan.ReferenceID); err != nil || got.Summary != want {
		b.t.Errorf("%s: %q, %v; want %q", when, got.Summary, err, want)
	}
}

// wait expects how many dismissals wait.
func (b bench) wait(when string, want int) {
	b.t.Helper()
	if list, err := b.ListProposals(b.t.Context(), 0, 10); err != nil || len(list) != want {
		b.t.Errorf("%s: %+v wait, %v; want %d", when, list, err, want)
	}
}

func TestADismissalWaitsForASecondPerson(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		scan, f := s.scan(1, map[string]core.Severity{"grave": core.Critical, "high": core.High})
		s.dismiss(f["high"], "ada", core.WontFix)
		s.shows("one person is enough for what is High", scan, "1 new (1 critical), 1 dismissed")

		after := s.dismiss(f["grave"], "ada", core.UsedInTests)
		if after.Waiting == nil || after.Waiting.Author != "ada" || after.Decision != nil || after.Finding.TriageDecision != nil {
			t.Fatalf("proposed: %+v, %+v", after.Waiting, after.Decision)
		}
		s.shows("proposed", scan, "1 new (1 critical), 1 dismissed")
		s.wait("proposed", 1)
		_, err := s.ApproveProposal(t.Context(), store.Opinion{FindingID: f["grave"].ID, ProposalID: after.Waiting.ID, Author: "Ada"})
		if !errors.Is(err, core.ErrForbidden) {
			t.Errorf("who proposed it approves: %v", err)
		}
		again := s.dismiss(f["grave"], "ada", core.UsedInTests)
		s.shows("who proposed it says so once more", scan, "1 new (1 critical), 1 dismissed")
		_, err = s.ApproveProposal(t.Context(), store.Opinion{FindingID: f["grave"].ID, ProposalID: after.Waiting.ID, Author: "bob"})
		if !errors.Is(err, core.ErrConflict) {
			t.Errorf("one that was replaced is approved: %v", err)
		}
		after, err = s.ApproveProposal(t.Context(), store.Opinion{FindingID: f["grave"].ID, ProposalID: again.Waiting.ID, Author: "bob"})
		if err != nil || after.Decision == nil || after.Decision.Author != "bob" || after.Decision.ProposedBy != "ada" ||
			after.Decision.Reason != core.UsedInTests || after.Decision.Comment != "says ada" || after.Waiting != nil {
			t.Fatalf("approved: %+v, %+v, %v", after.Decision, after.Waiting, err)
		}
		s.shows("approved", scan, "0 new, 2 dismissed")
		s.wait("approved", 0)

		later, _ := s.scan(2, map[string]core.Severity{"grave": core.Critical, "high": core.High})
		s.shows("in the next commit", later, "0 new, 2 dismissed")
		if _, err = s.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: f["grave"].ID, Author: "eve"}); err != nil {
			t.Fatal(err)
		}
		s.shows("undone", scan, "1 new (1 critical), 1 dismissed")
	})
}

func TestWhatElseBecomesOfAProposal(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		scan, findings := s.scan(1, map[string]core.Severity{"grave": core.Critical})
		f := findings["grave"]
		refuse := func(who string, proposal int64, want error) {
			t.Helper()
			_, err := s.RefuseProposal(t.Context(), store.Opinion{FindingID: f.ID, ProposalID: proposal, Author: who, Comments: "no"})
			if !errors.Is(err, want) {
				t.Errorf("%s refuses %d: %v, want %v", who, proposal, err, want)
			}
		}
		refuse("bob", 1, core.ErrNotFound)
		first := s.dismiss(f, "ada", core.WontFix).Waiting
		refuse("bob", first.ID+1, core.ErrConflict)
		refuse("bob", first.ID, nil)
		s.wait("refused", 0)
		other := s.dismiss(f, "ada", core.WontFix).Waiting
		if now := s.dismiss(f, "bob", core.Revoked).Waiting; now == nil || now.ID == other.ID || now.Author != "bob" {
			t.Errorf("another reason took the place of the first: %+v", now)
		}
		s.dismiss(f, "ada", core.Revoked)
		s.shows("both said the same", scan, "0 new, 1 dismissed")
		real, err := s.RecordFeedback(t.Context(), core.Feedback{FindingID: f.ID, UserVerdict: core.TruePositive, Author: "eve"})
		if err != nil || real.Waiting != nil {
			t.Errorf("one person says that it is real: %+v, %v", real.Waiting, err)
		}
		s.shows("real", scan, "1 new (1 critical)")
		s.dismiss(f, "ada", core.WontFix)
		if _, err := s.RecordFeedback(t.Context(), core.Feedback{FindingID: f.ID, UserVerdict: core.TruePositive, Author: "eve"}); err != nil {
			t.Error(err)
		}
		s.wait("real after all", 0)

		_, err = s.PatchFinding(t.Context(), f.ID, core.TriageUpdate{
			Source: core.ByScanner, Author: "bot", Comment: "noise", TriageDecision: core.SetTo(core.FalsePositive),
		})
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "two people") {
			t.Errorf("a program dismisses it: %v", err)
		}
		said, err := s.PatchFinding(t.Context(), f.ID, core.TriageUpdate{
			Source: core.ByAI, Author: "ai", AIVerdict: core.SetTo("false positive"), AIReasoning: core.SetTo("a fixture"), TriageDecision: core.SetTo(core.FalsePositive),
		})
		if err != nil || said.Finding.AIVerdict == nil || *said.Finding.TriageDecision != core.TruePositive {
			t.Errorf("an AI dismisses it: %+v, %v", said.Finding, err)
		}
		s.shows("what machines say", scan, "1 new (1 critical)")

		history, err := s.ListTriage(t.Context(), f.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var proposed, back, approved int
		for _, event := range history {
			switch said, proposes := approval.Proposed(event); {
			case proposes && said.Reason != "":
				proposed++
			case proposes:
				back++
			case approval.Proposer(event) == "bob":
				approved++
			}
		}
		if proposed != 4 || back != 1 || approved != 1 {
			t.Errorf("the history has %d proposals, %d that were refused, %d that were approved: %+v", proposed, back, approved, history)
		}
		audit, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditTriage, Limit: 100})
		var details []string
		for _, event := range audit {
			details = append(details, event.Detail)
		}
		for _, want := range []string{"proposed to dismiss it: won't fix; it counts until", "refused what ada proposed: won't fix: no", "proposed_by bob"} {
			if err != nil || !strings.Contains(strings.Join(details, "\n"), want) {
				t.Errorf("the audit does not say %q: %q, %v", want, details, err)
			}
		}
	})
}

func TestABatchOfProposals(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		scan, f := s.scan(1, map[string]core.Severity{"grave": core.Critical, "worse": core.Critical, "high": core.High})
		batch := store.Batch{
			Key: "monday", Alerts: []int64{f["grave"].AlertID, f["worse"].AlertID, f["high"].AlertID}, Verdict: core.FalsePositive, Comment: "why", Author: "ada",
		}
		if got, err := s.DecideAlerts(t.Context(), batch); err != nil || got != (store.Decided{Done: 3, Waiting: 2}) {
			t.Fatalf("%+v, %v", got, err)
		}
		s.shows("by one person", scan, "2 new (2 critical), 1 dismissed")
		withdrawn := 0
		for left := 1; left > 0; {
			n, rest, err := s.WithdrawBatch(t.Context(), "monday", "ada")
			if withdrawn, left = withdrawn+n, rest; err != nil || n == 0 {
				t.Fatalf("%d withdrawn, %v", n, err)
			}
		}
		s.wait("withdrawn", 0)
		if s.shows("withdrawn", scan, "3 new (2 critical, 1 high)"); withdrawn != 3 {
			t.Errorf("%d were withdrawn", withdrawn)
		}
		if _, err := s.DecideAlerts(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		batch.Key, batch.Author = "tuesday", "bob"
		if got, err := s.DecideAlerts(t.Context(), batch); err != nil || got != (store.Decided{Done: 3}) {
			t.Fatalf("a second person: %+v, %v", got, err)
		}
		s.shows("by two", scan, "0 new, 3 dismissed")
	})
}

// A report that rates a finding higher than the one that was judged brings no dismissal along that would need a second person.
func TestWhatGetsWorseNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		_, f := s.scan(1, map[string]core.Severity{"grave": core.Low})
		s.dismiss(f["grave"], "ada", core.WontFix)
		worse, now := s.scan(2, map[string]core.Severity{"grave": core.Critical})
		if got, err := s.GetScan(t.Context(), worse.ReferenceID); err != nil || strings.Contains(got.Summary, "dismissed") {
			t.Errorf("alone: %q, %v", got.Summary, err)
		}
		patched, err := s.PatchFinding(t.Context(), now["grave"].ID, core.TriageUpdate{Source: core.ByAI, Author: "ai", AIVerdict: core.SetTo("unclear")})
		if err != nil || patched.Finding.AIVerdict == nil || patched.Finding.TriageDecision != nil {
			t.Errorf("an opinion brings back what one person said: %+v, %v", patched.Finding, err)
		}
		patched, err = s.PatchFinding(t.Context(), f["grave"].ID, core.TriageUpdate{Source: core.ByAI, Author: "ai", AIVerdict: core.SetTo("unclear")})
		if err != nil || patched.Finding.TriageDecision == nil {
			t.Errorf("an opinion on what was low: %+v, %v", patched.Finding, err)
		}
		if got, err := s.GetScan(t.Context(), worse.ReferenceID); err != nil || strings.Contains(got.Summary, "dismissed") {
			t.Errorf("after opinions: %q, %v", got.Summary, err)
		}
		if after := s.dismiss(now["grave"], "ada", core.WontFix); after.Waiting == nil {
			t.Error("nothing waits")
		}
		s.dismiss(now["grave"], "bob", core.WontFix)
		s.shows("by two", worse, "0 new, 1 dismissed")
	})
}

// Whoever sees only some projects sees only what waits in them.
func TestProposalsOfOtherProjects(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		_, f := s.scan(1, map[string]core.Severity{"grave": core.Critical})
		s.dismiss(f["grave"], "ada", core.WontFix)
		for glob, want := range map[string]int{"github/acme/*": 1, "github/other/*": 0} {
			ctx := access.With(t.Context(), access.Actor{Name: "eve", Grants: []access.Grant{{Role: access.Reader, Projects: []string{glob}}}})
			if list, err := s.ListProposals(ctx, 0, 10); err != nil || len(list) != want {
				t.Errorf("%s: %+v, %v", glob, list, err)
			}
		}
	})
}

// What is fixed needs nobody's word any more, until it comes back.
func TestProposalsOfWhatIsFixed(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		_, f := s.scan(1, map[string]core.Severity{"grave": core.Critical})
		s.dismiss(f["grave"], "ada", core.WontFix)
		s.scan(2, nil)
		s.wait("fixed", 0)
		s.scan(3, map[string]core.Severity{"grave": core.Critical})
		s.wait("back", 1)
	})
}

// What a person withdraws uncovers no program's dismissal of what got worse since.
func TestAWithdrawalUncoversNoDismissalByOne(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		_, f := s.scan(1, map[string]core.Severity{"grave": core.Low})
		_, err := s.PatchFinding(t.Context(), f["grave"].ID, core.TriageUpdate{
			Source: core.ByScanner, Author: "bot", Comment: "noise", TriageDecision: core.SetTo(core.FalsePositive),
		})
		if err != nil {
			t.Fatal(err)
		}
		worse, now := s.scan(2, map[string]core.Severity{"grave": core.Critical})
		if _, err := s.RecordFeedback(t.Context(), core.Feedback{FindingID: now["grave"].ID, UserVerdict: core.TruePositive, Author: "eve"}); err != nil {
			t.Fatal(err)
		}
		after, err := s.WithdrawFeedback(t.Context(), core.Withdrawal{FindingID: now["grave"].ID, Author: "eve"})
		if err != nil || after.Finding.TriageDecision != nil {
			t.Errorf("withdrawn: %+v, %v", after.Finding, err)
		}
		if got, err := s.GetScan(t.Context(), worse.ReferenceID); err != nil || strings.Contains(got.Summary, "dismissed") {
			t.Errorf("withdrawn: %q, %v", got.Summary, err)
		}
	})
}
