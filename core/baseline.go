package core

import (
	"cmp"
	"slices"
	"strings"
)

// Known is a finding of the baseline, as far as it takes to recognise it.
type Known struct {
	Fingerprint string `db:"fingerprint"`
	Anchor      string `db:"anchor"`
	File        string `db:"file"`
	Line        int    `db:"line"`
}

// Past is what the same scanner found before.
type Past struct {
	Known   []Known  // in the baseline; nil when it did not complete there: all findings are new, none can be called fixed
	Changes *Changes // since the baseline's commit; nil where nobody could look
	Branch  []Known  // in the last run on the same branch, where that is not the baseline
}

// Compare sets Fingerprint, Anchor and BaselineState of one scanner's findings in place, and returns how many findings
// of the baseline are gone.
//
// A finding that the baseline has, or else the branch's last run, keeps the fingerprint that it has there. Each of those
// is recognised at most once, and all fingerprints differ, so that N hits of one rule in one file stay N findings.
func Compare(findings []Finding, past Past) (absent int) {
	m := newMatcher(findings)
	absent = len(past.Known)
	prints := newPrints(past.Known)
	for i, old := range m.run(past.Known, newLineage(past.Changes)) {
		f := &findings[i]
		f.Anchor = m.fresh[i].anchor.String()
		f.BaselineState, f.Fingerprint = New, ""
		if old != none {
			f.BaselineState, f.Fingerprint = Unchanged, past.Known[old].Fingerprint
			absent--
		}
	}
	branch := prints.unused(past.Branch)
	for i, old := range m.run(branch, lineage{}) {
		if old != none {
			findings[i].Fingerprint = branch[old].Fingerprint
			prints.used[branch[old].Fingerprint] = true
		}
	}
	for _, i := range m.order {
		if f := &findings[i]; f.Fingerprint == "" {
			f.Fingerprint = prints.next(m.ids[i], f.File)
		}
	}
	return absent
}

// prints gives out fingerprints that no finding of the baseline and no other of this report has.
type prints struct {
	used  map[string]bool
	count map[sameSpot]int
}

// sameSpot are findings in equal lines of one file.
type sameSpot struct {
	id   identity
	file string
}

func newPrints(known []Known) prints {
	p := prints{used: make(map[string]bool, len(known)), count: make(map[sameSpot]int)}
	for _, k := range known {
		p.used[k.Fingerprint] = true
	}
	return p
}

// unused leaves out the findings whose fingerprint the baseline has.
func (p prints) unused(known []Known) (rest []Known) {
	for _, k := range known {
		if !p.used[k.Fingerprint] {
			rest = append(rest, k)
		}
	}
	return rest
}

func (p prints) next(id identity, file string) string {
	spot := sameSpot{id, file}
	for {
		fingerprint := id.print(file, p.count[spot])
		p.count[spot]++
		if !p.used[fingerprint] {
			return fingerprint
		}
	}
}

// byPlace is the order of findings in the code, which does not depend on the order of a report.
func byPlace(findings []Finding) []int {
	order := make([]int, len(findings))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &findings[a], &findings[b]
		if by := comparePlaces(place{x.File, x.Line}, place{y.File, y.Line}); by != 0 {
			return by
		}
		return cmp.Or(strings.Compare(x.Message, y.Message), a-b)
	})
	return order
}
