package core

import (
	"fmt"
	"math"
	"slices"
)

// Change is a field that may be left alone, set or emptied. The zero value leaves it alone.
type Change[T comparable] struct {
	Set   bool
	Value *T // nil empties the field
}

// SetTo changes a field to value.
func SetTo[T comparable](value T) Change[T] { return Change[T]{Set: true, Value: &value} }

// Statement is what somebody says about a finding. Fields that are not set stay as they are.
type Statement struct {
	Source  TriageSource // ByPerson, ByScanner or ByAI
	Author  string
	Comment string

	TriageDecision   Change[Triage] // a person's, emptied, is withdrawn; what machines have said holds again
	AIVerdict        Change[string]
	AIConfidence     Change[float64] // 0–1
	AIReasoning      Change[string]
	RemediationPatch Change[string] // a unified diff
	RedTeamSuccess   Change[bool]
}

// Check tells whether the statement keeps to all bounds; core.ErrInvalid says what to mend.
func (s Statement) Check() error {
	if d := s.TriageDecision.Value; d != nil && *d != TruePositive && *d != FalsePositive {
		return fmt.Errorf("%w: %q is neither TP nor FP", ErrInvalid, *d)
	}
	if c := s.AIConfidence.Value; c != nil && (math.IsNaN(*c) || *c < 0 || *c > 1) {
		return fmt.Errorf("%w: ai_confidence %v is not between 0 and 1", ErrInvalid, *c)
	}
	for _, text := range []struct {
		name  string
		value *string
		limit int
	}{
		{"comments", &s.Comment, MaxComment},
		{"ai_verdict", s.AIVerdict.Value, MaxAIVerdict},
		{"ai_reasoning", s.AIReasoning.Value, MaxReasoning},
		{"remediation_patch", s.RemediationPatch.Value, MaxPatch},
	} {
		if text.value == nil {
			continue
		}
		if err := checkText(text.name, *text.value, text.limit); err != nil {
			return err
		}
	}
	if patch := s.RemediationPatch.Value; patch != nil {
		return CheckPatch(*patch)
	}
	return nil
}

// Apply makes the statement true of f, whose words so far are given in the order in which they were said. It returns
// the words that stand afterwards and what is new, with the columns' names as keys; nothing new is an empty map. The
// decision of f is the one of the word that holds.
func (s Statement) Apply(f *Finding, words []Word) (after []Word, news map[string]any) {
	news = map[string]any{}
	note(news, "ai_verdict", s.AIVerdict, &f.AIVerdict)
	note(news, "ai_confidence", s.AIConfidence, &f.AIConfidence)
	note(news, "ai_reasoning", s.AIReasoning, &f.AIReasoning)
	note(news, "remediation_patch", s.RemediationPatch, &f.RemediationPatch)
	note(news, "red_team_success", s.RedTeamSuccess, &f.RedTeamSuccess)
	after = s.judge(f, s.proof(f, slices.Clone(words)), news)
	f.TriageDecision = nil
	if holds := Decide(after); holds != nil {
		f.TriageDecision = &holds.Decision
	}
	return after, news
}

// note keeps of long texts only that they changed; the finding has them.
func note[T comparable](news map[string]any, column string, change Change[T], field **T) {
	if !change.Set || equal(change.Value, *field) {
		return
	}
	*field = change.Value
	news[column] = change.Value
	if text, ok := any(change.Value).(*string); ok && text != nil && len(*text) > MaxComment {
		news[column] = fmt.Sprintf("%d bytes", len(*text))
	}
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// judge adds the word of the source. Each time that a person speaks counts; a machine that repeats itself says nothing.
func (s Statement) judge(f *Finding, words []Word, news map[string]any) []Word {
	decision := s.TriageDecision
	if !decision.Set {
		return words
	}
	if s.Source == ByPerson {
		news["user_verdict"] = decision.Value
		return s.speak(f, words, s.Source, decision.Value, s.Source)
	}
	said := slices.IndexFunc(words, func(w Word) bool { return w.Source.weight() == s.Source.weight() })
	switch {
	case said < 0 && decision.Value == nil:
		return words
	case said >= 0 && decision.Value != nil && words[said].Decision == *decision.Value && words[said].Source == s.Source:
		return words
	}
	news["triage_decision"] = decision.Value
	return s.speak(f, words, s.Source, decision.Value, ByScanner, ByAI)
}

// proof adds or takes back the red team's word. The same proof in a later scan is not a new one, lest it silence the
// person who has answered it; and only the finding that was proven can lose its proof.
func (s Statement) proof(f *Finding, words []Word) []Word {
	if !s.RedTeamSuccess.Set {
		return words
	}
	succeeded := s.RedTeamSuccess.Value != nil && *s.RedTeamSuccess.Value
	said := slices.IndexFunc(words, func(w Word) bool { return w.Source == ByRedTeam })
	switch {
	case succeeded && said < 0:
		pinned := TruePositive
		return s.speak(f, words, ByRedTeam, &pinned)
	case !succeeded && said >= 0 && words[said].FindingID == f.ID:
		return s.speak(f, words, ByRedTeam, nil, ByRedTeam)
	}
	return words
}

// speak puts a word, or none, in the place of those of the sources that it replaces.
func (s Statement) speak(f *Finding, words []Word, as TriageSource, decision *Triage, replaces ...TriageSource) []Word {
	words = slices.DeleteFunc(words, func(w Word) bool { return slices.Contains(replaces, w.Source) })
	if decision == nil {
		return words
	}
	return append(words, Word{
		Fingerprint: f.Fingerprint, Source: as, Decision: *decision, Author: s.Author, Comment: s.Comment, FindingID: f.ID,
	})
}
