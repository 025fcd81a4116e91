package core

import (
	"slices"
	"sort"
)

// ReportTally sums up findings about which nothing is known but what their report says.
type ReportTally struct {
	Gate     Gate
	Tallies  []Tally
	First    []Decider // the findings that fail the gate, the gravest first, at most MaxDeciding
	Deciding int       // how many those are in all

	at map[Tally]int
}

// Decider is a finding that fails the gate.
type Decider struct {
	Fingerprint string
	Severity    Severity
}

// Add counts a finding.
func (t *ReportTally) Add(f *Finding) {
	kind := Tally{Severity: f.Severity, BaselineState: f.BaselineState, Dismissed: f.Suppressed != nil}
	n, known := t.at[kind]
	if !known {
		if t.at == nil {
			t.at = map[Tally]int{}
		}
		n = len(t.Tallies)
		t.at[kind], t.Tallies = n, append(t.Tallies, kind)
	}
	t.Tallies[n].N++
	if t.Gate.fails(kind) {
		t.Deciding++
		t.list(Decider{f.Fingerprint, f.Severity})
	}
}

// list puts a finding behind those that are as grave.
func (t *ReportTally) list(d Decider) {
	rank := d.Severity.Rank()
	if len(t.First) == MaxDeciding && t.First[MaxDeciding-1].Severity.Rank() >= rank {
		return
	}
	at := sort.Search(len(t.First), func(n int) bool { return t.First[n].Severity.Rank() < rank })
	t.First = slices.Insert(t.First[:min(len(t.First), MaxDeciding-1)], at, d)
}

// Len is how many findings were counted.
func (t *ReportTally) Len() (n int) {
	for _, tally := range t.Tallies {
		n += tally.N
	}
	return n
}
