package core

import "strings"

// AIVerdict is what an AI says of a finding, as the column ai_verdict keeps it.
type AIVerdict string

// The verdicts of an AI. Another AI than the configured one may say other things through the API.
const (
	AITruePositive  AIVerdict = "true_positive"
	AIFalsePositive AIVerdict = "false_positive"
	AIUnsure        AIVerdict = "unsure"
)

// dismissingConfidence is how sure an AI must be to dismiss a finding, 0–1.
const dismissingConfidence = 0.7

// Opinion is an AI's answer about one finding.
type Opinion struct {
	Verdict    AIVerdict
	Confidence float64 // 0–1
	Reasoning  string
	Evidence   []string // quotes from the file
	Patch      string   // a unified diff that mends the finding, or empty
}

// Doubt makes an opinion unsure that is not to be relied on; why is a sentence for people.
func (o Opinion) Doubt(why string) Opinion {
	o.Reasoning = why + "\n\n" + "The AI said " + string(o.Verdict) + ": " + o.Reasoning
	o.Verdict, o.Confidence, o.Patch, o.Evidence = AIUnsure, 0, "", nil
	return o
}

// Statement is what the opinion changes about f; author names the model. Only where mayDismiss and MayAIDismiss allow
// it, a false positive becomes a decision; everything else that an AI says leaves the gate alone.
func (o Opinion) Statement(f Finding, author string, mayDismiss bool) Statement {
	said := Statement{
		Source: ByAI, Author: author,
		AIVerdict: SetTo(string(o.Verdict)), AIConfidence: SetTo(o.Confidence), AIReasoning: SetTo(o.explain()),
	}
	if o.Patch != "" {
		said.RemediationPatch = SetTo(o.Patch)
	}
	if mayDismiss && MayAIDismiss(f) && o.Verdict == AIFalsePositive && o.Confidence >= dismissingConfidence {
		said.TriageDecision = SetTo(FalsePositive)
	}
	return said
}

// explain is the reasoning with the quotes that it rests on.
func (o Opinion) explain() string {
	if len(o.Evidence) == 0 {
		return o.Reasoning
	}
	return o.Reasoning + "\n\nEvidence:\n" + strings.Join(o.Evidence, "\n")
}

// MayAIDismiss tells whether an AI's word can keep f from failing the gate. What is Critical, known to be exploited or
// proven by a red team only people dismiss. The store asks the same in SQL at each verdict, for a finding can become
// one of these later.
func MayAIDismiss(f Finding) bool {
	return f.Severity != Critical && !f.KEV && (f.RedTeamSuccess == nil || !*f.RedTeamSuccess)
}
