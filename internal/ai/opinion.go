package ai

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Verdict is an AI's judgement of a finding, as the column ai_verdict stores it.
type Verdict string

// The verdicts of the configured AI. Others may send other texts through the API.
const (
	TruePositive  Verdict = "true_positive"
	FalsePositive Verdict = "false_positive"
	Unsure        Verdict = "unsure"
)

// dismissingConfidence is the least confidence with which an AI may dismiss a finding, 0–1.
const dismissingConfidence = 0.7

// Opinion is an AI's answer about one finding.
type Opinion struct {
	Verdict    Verdict
	Confidence float64 // 0–1
	Reasoning  string
	Evidence   []string // quotes from the file
	Patch      string   // a unified diff that fixes the finding, or empty
}

// Doubt is the opinion as an unsure one, because it is not reliable; why is a sentence for people.
func (o Opinion) Doubt(why string) Opinion {
	o.Reasoning = why + "\n\n" + "The AI said " + string(o.Verdict) + ": " + o.Reasoning
	o.Verdict, o.Confidence, o.Patch, o.Evidence = Unsure, 0, "", nil
	return o
}

// Update is the opinion as a triage update of f; author names the model. A false positive becomes a decision only where
// mayDismiss and Finding.AIMayDismiss allow it. Nothing else that an AI says affects the gate.
func (o Opinion) Update(f core.Finding, author string, mayDismiss bool) core.TriageUpdate {
	update := core.TriageUpdate{
		Source: core.ByAI, Author: author,
		AIVerdict: core.SetTo(string(o.Verdict)), AIConfidence: core.SetTo(o.Confidence), AIReasoning: core.SetTo(o.explain()),
	}
	if o.Patch != "" {
		update.RemediationPatch = core.SetTo(o.Patch)
	}
	if mayDismiss && f.AIMayDismiss() && o.Verdict == FalsePositive && o.Confidence >= dismissingConfidence {
		update.TriageDecision = core.SetTo(core.FalsePositive)
	}
	return update
}

// explain is the reasoning with the quotes that support it.
func (o Opinion) explain() string {
	if len(o.Evidence) == 0 {
		return o.Reasoning
	}
	return o.Reasoning + "\n\nEvidence:\n" + strings.Join(o.Evidence, "\n")
}
