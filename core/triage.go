package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what may be said about a finding, in bytes.
const (
	MaxComment   = 10 << 10
	MaxAIVerdict = 64
	MaxReasoning = 32 << 10
	MaxPatch     = 256 << 10
)

// TriageSource is who speaks about a finding.
type TriageSource string

// The sources. Only history knows Carried: a word that was said of the same finding in another scan.
const (
	ByPerson  TriageSource = "person"
	ByScanner TriageSource = "scanner"
	ByAI      TriageSource = "ai"
	ByRedTeam TriageSource = "red_team" // proved that the finding can be exploited
	Carried   TriageSource = "carried"
)

// weight orders sources: people and proofs beat machines.
func (s TriageSource) weight() int {
	if s == ByPerson || s == ByRedTeam {
		return 2
	}
	return 1
}

// Word is what a source holds of a finding, in all scans of its project, until it says something else. Its db tags are
// the columns of the table triage_words.
type Word struct {
	ID             int64        `db:"id"`
	SourcePlatform string       `db:"source_platform"`
	ProjectName    string       `db:"project_name"`
	Fingerprint    string       `db:"fingerprint"`
	Source         TriageSource `db:"source"`
	Decision       Triage       `db:"decision"`
	Author         string       `db:"author"`
	Comment        string       `db:"comment"`
	FindingID      int64        `db:"finding_id"` // of which it was said; it may be gone
	Timestamp      time.Time    `db:"timestamp"`
}

// Decide picks the word that holds, nil when there is none. words stand in the order in which they were said. The
// latest of people and of the red team holds, else the latest of a scanner and the AI: a proof pins a finding until a
// person says otherwise, and no machine moves what a person has said.
func Decide(words []Word) *Word {
	var holds *Word
	for i := range words {
		if holds == nil || words[i].Source.weight() >= holds.Source.weight() {
			holds = &words[i]
		}
	}
	return holds
}

// CarryTriage repeats what was decided about the same finding in other scans of the project. The keys of decided are
// fingerprints. What an AI dismissed and has become graver is undecided again.
func CarryTriage(f *Finding, decided map[string]Word) {
	word, ok := decided[f.Fingerprint]
	if ok && (word.Source != ByAI || word.Decision != FalsePositive || MayAIDismiss(*f)) {
		f.TriageDecision = &word.Decision
	}
}

// Feedback is a person's word on a finding. Its db tags are the columns of the table feedbacks.
type Feedback struct {
	ID          int64     `db:"id"`
	FindingID   int64     `db:"finding_id"`
	UserVerdict Triage    `db:"user_verdict"`
	Comments    string    `db:"comments"`
	Author      string    `db:"author"`
	Timestamp   time.Time `db:"timestamp"`

	WithdrawnAt *time.Time `db:"withdrawn_at"` // when it was taken back, or nil
}

// Statement is the feedback as what is said about its finding.
func (f Feedback) Statement() Statement {
	return Statement{
		Source: ByPerson, Author: f.Author, Comment: f.Comments, TriageDecision: SetTo(f.UserVerdict),
	}
}

// Withdrawal takes back what people have decided on a finding.
type Withdrawal struct {
	FindingID int64
	WordID    int64 // of the decision that is meant; 0 is whichever stands
	Author    string
	Comments  string
}

// Statement is the withdrawal as what is said about its finding.
func (w Withdrawal) Statement() Statement {
	return Statement{
		Source: ByPerson, Author: w.Author, Comment: w.Comments, TriageDecision: Change[Triage]{Set: true},
	}
}

// Word picks the word that is withdrawn from those that stand: the one that its author has seen, not one that somebody
// else has said meanwhile. ErrNotFound or ErrConflict.
func (w Withdrawal) Word(words []Word) (Word, error) {
	said := slices.IndexFunc(words, func(word Word) bool { return word.Source == ByPerson })
	switch {
	case said < 0:
		return Word{}, fmt.Errorf("%w: no decision of a person stands on this finding, there is nothing to take back", ErrNotFound)
	case w.WordID != 0 && words[said].ID != w.WordID:
		return Word{}, fmt.Errorf("%w: %s has decided %s meanwhile; look at the finding again before you take that back",
			ErrConflict, words[said].Author, words[said].Decision)
	}
	return words[said], nil
}

// TriageEvent is an entry of a finding's history. Its db tags are the columns of the table triage_events.
type TriageEvent struct {
	ID          int64        `db:"id"`
	FindingID   int64        `db:"finding_id"`
	Source      TriageSource `db:"source"`
	Origin      TriageSource `db:"origin"`       // whose word a carried one is; Source for the others
	CarriedFrom *int64       `db:"carried_from"` // the finding that a carried word was said of
	Author      string       `db:"author"`
	Changes     string       `db:"changes"`  // what was said: a JSON object with the columns' names as keys
	Decision    *Triage      `db:"decision"` // the finding's decision from then on
	Comment     string       `db:"comment"`
	Timestamp   time.Time    `db:"timestamp"`
}

// Withdrawn tells whether the event took a person's decision back.
func (e TriageEvent) Withdrawn() bool {
	var changes map[string]*Triage
	if e.Source != ByPerson && e.Origin != ByPerson || json.Unmarshal([]byte(e.Changes), &changes) != nil {
		return false
	}
	verdict, said := changes["user_verdict"]
	return said && verdict == nil
}

// checkText refuses what no database stores, and too much of the rest.
func checkText(name, text string, limit int) error {
	switch {
	case len(text) > limit:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are kept", ErrInvalid, name, len(text), limit)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("%w: %s contains a NUL character", ErrInvalid, name)
	}
	return nil
}
