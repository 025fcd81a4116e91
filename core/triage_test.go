package core_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
)

func words(said ...any) []core.TriageDecision {
	var list []core.TriageDecision
	for i := 0; i < len(said); i += 2 {
		list = append(list, core.TriageDecision{Source: said[i].(core.TriageSource), Decision: said[i+1].(core.Triage), FindingID: 7})
	}
	return list
}

func TestDecide(t *testing.T) {
	t.Parallel()
	tp, fp := core.TruePositive, core.FalsePositive
	cases := map[string]struct {
		words []core.TriageDecision
		want  core.Triage
		whose core.TriageSource
	}{
		"nobody spoke":                   {nil, "", ""},
		"a scanner alone":                {words(core.ByScanner, fp), fp, core.ByScanner},
		"a person beats a later scanner": {words(core.ByPerson, tp, core.ByScanner, fp), tp, core.ByPerson},
		"a person beats an earlier AI":   {words(core.ByAI, tp, core.ByPerson, fp), fp, core.ByPerson},
		"a proof beats a later AI":       {words(core.ByRedTeam, tp, core.ByAI, fp), tp, core.ByRedTeam},
		"a proof beats who spoke before": {words(core.ByPerson, fp, core.ByRedTeam, tp), tp, core.ByRedTeam},
		"a person answers a proof":       {words(core.ByRedTeam, tp, core.ByPerson, fp), fp, core.ByPerson},
	}
	for name, c := range cases {
		holds := core.PrevailingDecision(c.words)
		switch {
		case holds == nil && c.want != "", holds != nil && (holds.Decision != c.want || holds.Source != c.whose):
			t.Errorf("%s: %+v, want %s of %s", name, holds, c.want, c.whose)
		}
	}
}

func TestStatementApply(t *testing.T) {
	t.Parallel()
	tp, fp, yes := core.TruePositive, core.FalsePositive, true
	unset := core.Change[core.Triage]{Set: true}
	cases := map[string]struct {
		before []core.TriageDecision
		said   core.TriageUpdate
		after  []core.TriageDecision
		news   []string
		want   *core.Triage
	}{
		"a scanner says FP": {
			nil, core.TriageUpdate{Source: core.ByScanner, TriageDecision: core.SetTo(fp)},
			words(core.ByScanner, fp), []string{"triage_decision"}, &fp,
		},
		"a scanner repeats itself": {
			words(core.ByScanner, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: core.SetTo(fp)},
			words(core.ByScanner, fp), nil, &fp,
		},
		"the AI takes the scanner's place": {
			words(core.ByScanner, fp), core.TriageUpdate{Source: core.ByAI, TriageDecision: core.SetTo(tp)},
			words(core.ByAI, tp), []string{"triage_decision"}, &tp,
		},
		"a scanner takes back what the AI said": {
			words(core.ByAI, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: unset},
			nil, []string{"triage_decision"}, nil,
		},
		"there is nothing to take back": {
			words(core.ByPerson, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: unset},
			words(core.ByPerson, fp), nil, &fp,
		},
		"a person repeats herself after a proof": {
			words(core.ByPerson, fp, core.ByRedTeam, tp), core.TriageUpdate{Source: core.ByPerson, TriageDecision: core.SetTo(fp)},
			words(core.ByRedTeam, tp, core.ByPerson, fp), []string{"user_verdict"}, &fp,
		},
		"a person takes back what she said, and the AI's word holds again": {
			words(core.ByAI, fp, core.ByPerson, tp), core.TriageUpdate{Source: core.ByPerson, TriageDecision: unset},
			words(core.ByAI, fp), []string{"user_verdict"}, &fp,
		},
		"a proof": {
			words(core.ByPerson, fp), core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(yes)},
			words(core.ByPerson, fp, core.ByRedTeam, tp), []string{"red_team_success"}, &tp,
		},
		"the same proof once more does not silence the person": {
			words(core.ByRedTeam, tp, core.ByPerson, fp),
			core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(yes)},
			words(core.ByRedTeam, tp, core.ByPerson, fp), []string{"red_team_success"}, &fp,
		},
		"a proof is taken back": {
			words(core.ByPerson, fp, core.ByRedTeam, tp),
			core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(false)},
			words(core.ByPerson, fp), []string{"red_team_success"}, &fp,
		},
		"an opinion without a decision": {
			words(core.ByScanner, tp),
			core.TriageUpdate{Source: core.ByAI, AIVerdict: core.SetTo("unsure"), AIConfidence: core.SetTo(0.5)},
			words(core.ByScanner, tp), []string{"ai_confidence", "ai_verdict"}, &tp,
		},
		"nothing": {nil, core.TriageUpdate{Source: core.ByAI}, nil, nil, nil},
	}
	for name, c := range cases {
		f := core.Finding{ID: 7}
		after, news := c.said.Apply(&f, c.before)
		if diff := cmp.Diff(c.after, after, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: words (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.want, f.TriageDecision); diff != "" {
			t.Errorf("%s: decision (-want +got):\n%s", name, diff)
		}
		got := make([]string, 0, len(news))
		for column := range news {
			got = append(got, column)
		}
		if diff := cmp.Diff(c.news, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%s: news (-want +got):\n%s", name, diff)
		}
	}
}

// Only the finding that was exploited can lose its proof; the same finding in another commit cannot.
func TestProofIsOfOneFinding(t *testing.T) {
	t.Parallel()
	f := core.Finding{ID: 8}
	failed := core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(false)}
	failed.Apply(&f, words(core.ByRedTeam, core.TruePositive))
	if f.TriageDecision == nil || *f.TriageDecision != core.TruePositive || *f.RedTeamSuccess {
		t.Errorf("decision %v, red team %v", f.TriageDecision, *f.RedTeamSuccess)
	}
}

func TestStatementFieldsAreSetOrEmptied(t *testing.T) {
	t.Parallel()
	verdict, reasoning := "true positive", strings.Repeat("because ", 2000)
	f := core.Finding{AIVerdict: &verdict}
	said := core.TriageUpdate{AIVerdict: core.Change[string]{Set: true}, AIReasoning: core.SetTo(reasoning)}
	_, news := said.Apply(&f, nil)
	if f.AIVerdict != nil || f.AIReasoning == nil || *f.AIReasoning != reasoning || f.AIConfidence != nil {
		t.Errorf("finding = %+v", f)
	}
	if got := news["ai_reasoning"]; got != "16000 bytes" {
		t.Errorf("history repeats the long text: %v", got)
	}
}

func TestStatementCheck(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		said core.TriageUpdate
		want string
	}{
		"nothing":          {core.TriageUpdate{}, ""},
		"sure":             {core.TriageUpdate{AIConfidence: core.SetTo(1.0)}, ""},
		"FP":               {core.TriageUpdate{TriageDecision: core.SetTo(core.FalsePositive)}, ""},
		"a third decision": {core.TriageUpdate{TriageDecision: core.SetTo(core.Triage("maybe"))}, "neither TP nor FP"},
		"too sure":         {core.TriageUpdate{AIConfidence: core.SetTo(1.01)}, "between 0 and 1"},
		"not a number":     {core.TriageUpdate{AIConfidence: core.SetTo(math.NaN())}, "between 0 and 1"},
		"a long comment":   {core.TriageUpdate{Comment: strings.Repeat("x", core.MaxComment+1)}, "comments has 10241 bytes"},
		"a NUL":            {core.TriageUpdate{AIReasoning: core.SetTo("a\x00b")}, "ai_reasoning contains a NUL"},
		"a big patch": {
			core.TriageUpdate{RemediationPatch: core.SetTo(strings.Repeat("x", core.MaxPatch+1))},
			"remediation_patch has 262145 bytes",
		},
		"no patch": {core.TriageUpdate{RemediationPatch: core.SetTo("use a vault")}, "not a unified diff"},
	}
	for name, c := range cases {
		err := c.said.Check()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
