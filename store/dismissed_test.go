package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var dismissal = core.Statement{Source: core.ByAI, Author: "model", TriageDecision: core.SetTo(core.FalsePositive)}

// Whatever an AI says, by whichever door, what only people may dismiss keeps failing the gate; and core's rule and the
// one in SQL are the same.
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
				d, p := storetest.PushOf(1)
				scan := accept(t, s, d, p)
				run(t, s, vulnerable(0, c.severity))
				f := findingsOf(t, s, scan)["dependency-0"]
				patch(t, s, f, core.Statement{RedTeamSuccess: c.proof})
				patch(t, s, f, dismissal)
				if c.exploited { // only later, so that it was dismissed before
					wantStatus(t, s, scan, "before", core.StatusSuccess, "0 new, 1 dismissed")
					put(t, s, catalog(0))
					turned(t, s, 1)
				}
				f = findingsOf(t, s, scan)["dependency-0"]
				got := statusOf(t, s, scan).State == core.StatusSuccess
				if want := core.MayAIDismiss(f); got != want || want != (name == "a high one" || name == "one not proven") {
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

// An AI's word is carried to later scans, but no further than it may go.
func TestAIDismissesInLaterScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1, storetest.OnBranch("one"))
		first := accept(t, s, d, p)
		run(t, s, finding("leak", core.High))
		patch(t, s, findingsOf(t, s, first)["leak"], dismissal)
		d, p = storetest.PushOf(2, storetest.OnBranch("two"))
		second := accept(t, s, d, p)
		run(t, s, finding("leak", core.High))
		wantStatus(t, s, second, "the same", core.StatusSuccess, "0 new, 1 dismissed")
		d, p = storetest.PushOf(3, storetest.OnBranch("three"))
		third := accept(t, s, d, p)
		run(t, s, finding("leak", core.Critical))
		wantStatus(t, s, third, "graver", core.StatusFailure, "1 new (1 critical)")
		say(t, s, findingsOf(t, s, first)["leak"], core.FalsePositive)
		wantStatus(t, s, third, "a person's word", core.StatusSuccess, "0 new, 1 dismissed")
	})
}

func TestListUndecided(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		run(t, s, finding("old", core.Critical))
		d, p = storetest.PushOf(2)
		p.Before = storetest.SHA(1)
		scan := accept(t, s, d, p)
		hidden := finding("hidden", core.Critical)
		hidden.Suppressed = new("nosec")
		run(t, s, finding("old", core.Critical), hidden, finding("low", core.Low), finding("judged", core.High),
			finding("asked", core.High), finding("high", core.High), finding("critical", core.Critical))
		now := findingsOf(t, s, scan)
		say(t, s, now["judged"], core.TruePositive)
		patch(t, s, now["asked"], core.Statement{Source: core.ByAI, AIVerdict: core.SetTo("unsure")})
		for limit, want := range map[int][]string{9: {"critical", "high", "low"}, 2: {"critical", "high"}} {
			list, err := s.ListUndecided(t.Context(), core.Job{ID: now["old"].JobID}, limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range list {
				got = append(got, f.RuleID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("at most %d (-want +got):\n%s", limit, diff)
			}
		}
		if list, err := s.ListUndecided(t.Context(), core.Job{ID: 999}, 9); err != nil || len(list) > 0 {
			t.Errorf("findings of a job that does not exist: %v, %v", list, err)
		}
	})
}
