package core_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
)

// decisions are pairs of a source and its decision.
func decisions(pairs ...any) (list []core.TriageDecision) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, core.TriageDecision{Source: pairs[i].(core.TriageSource), Decision: pairs[i+1].(core.Triage), FindingID: 7})
	}
	return list
}

func TestPrevailingDecision(t *testing.T) {
	t.Parallel()
	tp, fp := core.TruePositive, core.FalsePositive
	cases := map[string]struct {
		decisions []core.TriageDecision
		want      core.Triage
		whose     core.TriageSource
	}{
		"no decision":                      {nil, "", ""},
		"a scanner alone":                  {decisions(core.ByScanner, fp), fp, core.ByScanner},
		"a person beats a later scanner":   {decisions(core.ByPerson, tp, core.ByScanner, fp), tp, core.ByPerson},
		"a person beats an earlier AI":     {decisions(core.ByAI, tp, core.ByPerson, fp), fp, core.ByPerson},
		"an exploit beats a later AI":      {decisions(core.ByRedTeam, tp, core.ByAI, fp), tp, core.ByRedTeam},
		"an exploit beats a person before": {decisions(core.ByPerson, fp, core.ByRedTeam, tp), tp, core.ByRedTeam},
		"a person answers an exploit":      {decisions(core.ByRedTeam, tp, core.ByPerson, fp), fp, core.ByPerson},
	}
	for name, c := range cases {
		holds := core.PrevailingDecision(c.decisions)
		switch {
		case holds == nil && c.want != "", holds != nil && (holds.Decision != c.want || holds.Source != c.whose):
			t.Errorf("%s: %+v, want %s of %s", name, holds, c.want, c.whose)
		}
	}
}

func TestTriageUpdateApply(t *testing.T) {
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
			decisions(core.ByScanner, fp), []string{"triage_decision"}, &fp,
		},
		"a scanner repeats itself": {
			decisions(core.ByScanner, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: core.SetTo(fp)},
			decisions(core.ByScanner, fp), nil, &fp,
		},
		"the AI replaces the scanner's decision": {
			decisions(core.ByScanner, fp), core.TriageUpdate{Source: core.ByAI, TriageDecision: core.SetTo(tp)},
			decisions(core.ByAI, tp), []string{"triage_decision"}, &tp,
		},
		"a scanner withdraws the AI's decision": {
			decisions(core.ByAI, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: unset},
			nil, []string{"triage_decision"}, nil,
		},
		"there is nothing to withdraw": {
			decisions(core.ByPerson, fp), core.TriageUpdate{Source: core.ByScanner, TriageDecision: unset},
			decisions(core.ByPerson, fp), nil, &fp,
		},
		"a person repeats a decision after an exploit": {
			decisions(core.ByPerson, fp, core.ByRedTeam, tp), core.TriageUpdate{Source: core.ByPerson, TriageDecision: core.SetTo(fp)},
			decisions(core.ByRedTeam, tp, core.ByPerson, fp), []string{"user_verdict"}, &fp,
		},
		"a person withdraws a decision, and the AI's counts again": {
			decisions(core.ByAI, fp, core.ByPerson, tp), core.TriageUpdate{Source: core.ByPerson, TriageDecision: unset},
			decisions(core.ByAI, fp), []string{"user_verdict"}, &fp,
		},
		"an exploit": {
			decisions(core.ByPerson, fp), core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(yes)},
			decisions(core.ByPerson, fp, core.ByRedTeam, tp), []string{"red_team_success"}, &tp,
		},
		"a repeated exploit does not override the person": {
			decisions(core.ByRedTeam, tp, core.ByPerson, fp),
			core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(yes)},
			decisions(core.ByRedTeam, tp, core.ByPerson, fp), []string{"red_team_success"}, &fp,
		},
		"an exploit is withdrawn": {
			decisions(core.ByPerson, fp, core.ByRedTeam, tp),
			core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(false)},
			decisions(core.ByPerson, fp), []string{"red_team_success"}, &fp,
		},
		"an opinion without a decision": {
			decisions(core.ByScanner, tp),
			core.TriageUpdate{Source: core.ByAI, AIVerdict: core.SetTo("unsure"), AIConfidence: core.SetTo(0.5)},
			decisions(core.ByScanner, tp), []string{"ai_confidence", "ai_verdict"}, &tp,
		},
		"nothing": {nil, core.TriageUpdate{Source: core.ByAI}, nil, nil, nil},
	}
	for name, c := range cases {
		f := core.Finding{ID: 7}
		after, news := c.said.Apply(&f, c.before)
		if diff := cmp.Diff(c.after, after, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: decisions (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.want, f.TriageDecision); diff != "" {
			t.Errorf("%s: decision (-want +got):\n%s", name, diff)
		}
		got := make([]string, 0, len(news))
		for column := range news {
			got = append(got, column)
		}
		if diff := cmp.Diff(c.news, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", name, diff)
		}
	}
}

// Only the finding that was exploited can lose the decision of the red team, not the same finding in another commit.
func TestExploitIsOfOneFinding(t *testing.T) {
	t.Parallel()
	f := core.Finding{ID: 8}
	failed := core.TriageUpdate{Source: core.ByScanner, RedTeamSuccess: core.SetTo(false)}
	failed.Apply(&f, decisions(core.ByRedTeam, core.TruePositive))
	if f.TriageDecision == nil || *f.TriageDecision != core.TruePositive || *f.RedTeamSuccess {
		t.Errorf("decision %v, red team %v", f.TriageDecision, *f.RedTeamSuccess)
	}
}

func TestTriageUpdateSetsOrEmptiesFields(t *testing.T) {
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

func dismissed(decision core.Triage, reason core.Reason, end *time.Time) core.TriageUpdate {
	u := core.TriageUpdate{Dismissal: core.Dismissal{Reason: reason, ExpiresAt: end}}
	if decision != "" {
		u.TriageDecision = core.SetTo(decision)
	}
	return u
}

func TestTriageUpdateCheck(t *testing.T) {
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
		"a long comment":   {core.TriageUpdate{Comment: strings.Repeat("x", 10<<10+1)}, "comments has 10241 bytes"},
		"a NUL":            {core.TriageUpdate{AIReasoning: core.SetTo("a\x00b")}, "ai_reasoning contains a NUL"},
		"a big patch": {
			core.TriageUpdate{RemediationPatch: core.SetTo(strings.Repeat("x", 256<<10+1))},
			"remediation_patch has 262145 bytes",
		},
		"a reason alone":     {dismissed("", core.WontFix, nil), "goes with the decision TP"},
		"a reason too much":  {dismissed(core.FalsePositive, core.WontFix, nil), "FP is for false positives only"},
		"a strange reason":   {dismissed(core.TruePositive, "boredom", nil), "is none of"},
		"a risk for ever":    {dismissed(core.TruePositive, core.AcceptedRisk, nil), "an accepted risk has an end"},
		"an end of nothing":  {dismissed(core.TruePositive, "", new(time.Now())), "add the reason accepted_risk"},
		"an end of another":  {dismissed(core.TruePositive, core.Revoked, new(time.Now())), "only an accepted risk has an end"},
		"an AI that accepts": {core.TriageUpdate{Source: core.ByAI, TriageDecision: core.SetTo(core.TruePositive), Dismissal: core.Dismissal{Reason: core.WontFix}}, "for people to say"},
		"an accepted risk":   {dismissed(core.TruePositive, core.AcceptedRisk, new(time.Now())), ""},
		"FP, and a reason":   {dismissed(core.FalsePositive, core.AsFalsePositive, nil), ""},
		"no patch":           {core.TriageUpdate{RemediationPatch: core.SetTo("use a vault")}, "not a unified diff"},
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
