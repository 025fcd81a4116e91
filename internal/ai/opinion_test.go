package ai_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
)

func TestOpinionDismisses(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	sure := ai.Opinion{Verdict: ai.FalsePositive, Confidence: 0.9, Reasoning: "a constant"}
	unsure := func(change func(*ai.Opinion)) ai.Opinion {
		o := sure
		change(&o)
		return o
	}
	tests := map[string]struct {
		opinion    ai.Opinion
		finding    core.Finding
		mayDismiss bool
		want       bool
	}{
		"a false positive":     {sure, core.Finding{Severity: core.High}, true, true},
		"proof that failed":    {sure, core.Finding{Severity: core.High, RedTeamSuccess: &no}, true, true},
		"not allowed to":       {sure, core.Finding{Severity: core.High}, false, false},
		"Critical":             {sure, core.Finding{Severity: core.Critical}, true, false},
		"exploited":            {sure, core.Finding{Severity: core.Low, KEV: true}, true, false},
		"proven":               {sure, core.Finding{Severity: core.Low, RedTeamSuccess: &yes}, true, false},
		"a true positive":      {unsure(func(o *ai.Opinion) { o.Verdict = ai.TruePositive }), core.Finding{}, true, false},
		"unsure":               {unsure(func(o *ai.Opinion) { o.Verdict = ai.Unsure }), core.Finding{}, true, false},
		"a guess":              {unsure(func(o *ai.Opinion) { o.Confidence = 0.69 }), core.Finding{}, true, false},
		"sure enough":          {unsure(func(o *ai.Opinion) { o.Confidence = 0.7 }), core.Finding{}, true, true},
		"doubted":              {sure.Doubt("It lies."), core.Finding{}, true, false},
		"a word nobody taught": {unsure(func(o *ai.Opinion) { o.Verdict = "FP" }), core.Finding{}, true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := test.opinion.Update(test.finding, "model", test.mayDismiss)
			if err := said.Check(); err != nil || said.Source != core.ByAI || said.Author != "model" {
				t.Errorf("statement %+v: %v", said, err)
			}
			if got := said.TriageDecision.Set; got != test.want {
				t.Errorf("dismissed %t, want %t", got, test.want)
			}
		})
	}
}

func TestOpinionKeepsWhatItRestsOn(t *testing.T) {
	t.Parallel()
	o := ai.Opinion{Verdict: ai.TruePositive, Confidence: 0.5, Reasoning: "It is real.", Evidence: []string{"eval(x)", "y"}}
	said := o.Update(core.Finding{}, "model", false)
	if diff := cmp.Diff("It is real.\n\nEvidence:\neval(x)\ny", *said.AIReasoning.Value); diff != "" {
		t.Errorf("reasoning (-want +got):\n%s", diff)
	}
	if said.RemediationPatch.Set {
		t.Errorf("an opinion without a patch takes away the one that is there")
	}
	o.Patch = mend
	if said = o.Update(core.Finding{}, "model", false); *said.RemediationPatch.Value != mend {
		t.Errorf("patch %q, want the one given", *said.RemediationPatch.Value)
	}
	doubted := o.Doubt("The quote is not in the file.")
	if doubted.Verdict != ai.Unsure || doubted.Confidence != 0 || doubted.Patch != "" ||
		!strings.HasPrefix(doubted.Reasoning, "The quote is not") || !strings.HasSuffix(doubted.Reasoning, "It is real.") {
		t.Errorf("doubted: %+v", doubted)
	}
}
