package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// scanOn pushes the n-th commit to a branch that left the default branch at a commit nobody has scanned.
func scanOn(t *testing.T, s *store.Store, n int, branch string, findings ...core.Finding) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, storetest.OnBranch(branch))
	p.Before = storetest.SHA(900 + n)
	scan := accept(t, s, d, p)
	run(t, s, findings...)
	return get(t, s, scan.ReferenceID)
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
		d, p := storetest.PushOf(5, foreign)
		other := accept(t, s, d, p)
		run(t, s, finding("leak", core.High))
		d, p = storetest.PushOf(6, storetest.OnBranch("four"))
		waiting := accept(t, s, d, p)

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
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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

// The commit status belongs to the latest attempt, whichever attempt's finding somebody looks at.
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
		patch(t, s, before["leak"], core.Statement{Source: core.ByAI, AIVerdict: core.SetTo("unsure")})
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
		wantStatus(t, s, scan, "a finding that comes back is still dismissed", core.StatusSuccess, "0 new, 1 dismissed")
	})
}

// Feedback on many findings, in scans that share them, while reports and pushes come in: nothing is lost, nobody fails.
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
			wg.Go(func() { patch(t, s, f, core.Statement{Source: core.ByAI, AIConfidence: core.SetTo(0.5)}) })
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
				if _, err := s.AcceptPush(t.Context(), d, p); err != nil {
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

// Two people who disagree are both heard, and the one who spoke last holds, everywhere.
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
