package core

import (
	"cmp"
	"maps"
	"slices"
)

// Past is what the same scanner found before.
type Past struct {
	Known   Earlier  // in the baseline; none when it did not complete there: all findings are new, none can be called fixed
	Changes *Changes // since the baseline's commit; nil where nobody could look
	Branch  Earlier  // in the last run on the same branch, where that is not the baseline
}

// Compare sets Fingerprint, Anchor and BaselineState of one scanner's findings in place, and returns how many findings
// of the baseline are gone. See Examined.Compare.
func Compare(findings []Finding, past Past) (absent int) {
	compared := Examine(Report{Findings: findings}).Compare(past)
	for i := range findings {
		compared.Tell(i, &findings[i])
	}
	return compared.Absent
}

// Comparison is what one scanner's findings are to those that it found before.
type Comparison struct {
	Absent    int // findings of the baseline that are gone
	Unchanged int // findings that the baseline has

	known []bool    // by index of the finding: whether the baseline has it
	held  []string  // the fingerprint that a finding keeps, or empty
	made  []imprint // the fingerprint of one that is new
	fresh []candidate
}

// Examined is a report whose findings can be recognised.
type Examined struct{ *matcher }

// Examine looks at the findings of a report, which must not change any more: the larger part of comparing them, for which
// nothing but the report is needed.
func Examine(report Report) Examined { return Examined{newMatcher(report.Len(), report.At)} }

// Compare recognises findings in what the same scanner found before.
//
// A finding that the baseline has, or else the branch's last run, keeps the fingerprint that it has there. Each of
// those is recognised at most once, and all fingerprints differ, so that N hits of one rule in one file stay N
// findings.
func (e Examined) Compare(past Past) *Comparison {
	m, n := e.matcher, len(e.fresh)
	m.reset()
	c := &Comparison{
		Absent: past.Known.Len(), known: make([]bool, n), held: make([]string, n), made: make([]imprint, n), fresh: m.fresh,
	}
	for i, old := range m.run(past.Known, newLineage(past.Changes)) {
		if old != none {
			c.known[i], c.held[i] = true, past.Known.prints[old]
			c.Absent--
			c.Unchanged++
		}
	}
	used := past.Known.used()
	branch := past.Branch.without(used)
	for i, old := range m.run(branch, lineage{}) {
		if old != none {
			c.held[i] = branch.prints[old]
			used[branch.prints[old]] = true
		}
	}
	m.number(c, used)
	m.reset()
	return c
}

// Tell sets Fingerprint, Anchor and BaselineState of the i-th finding.
func (c *Comparison) Tell(i int, f *Finding) {
	f.Anchor = c.fresh[i].anchor.String()
	f.BaselineState, f.Fingerprint = New, c.held[i]
	if c.known[i] {
		f.BaselineState = Unchanged
	}
	if f.Fingerprint == "" {
		f.Fingerprint = c.made[i].String()
	}
}

// number makes the fingerprints of findings that keep none: findings in equal lines of one file are counted.
func (m *matcher) number(c *Comparison, u used) {
	var count map[identity]int
	var text []byte
	for at, i := range m.order {
		file := m.fresh[i].file
		if at == 0 || file != m.fresh[m.order[at-1]].file {
			count = make(map[identity]int)
		}
		for id := m.ids[i]; c.held[i] == ""; {
			c.made[i] = id.imprint(file, count[id])
			count[id]++
			if len(u) == 0 {
				break
			}
			if text = c.made[i].append(text[:0]); !u[string(text)] {
				break
			}
		}
	}
}

// byPlace is the order of candidates in the code, which does not depend on the order of a report; compare orders those
// in one line.
func byPlace(side []candidate, compare func(a, b int) int) []int {
	ranks := rankFiles(side)
	type spot struct{ file, line, index int }
	spots := make([]spot, len(side))
	for i := range side {
		spots[i] = spot{ranks[side[i].file], side[i].line, i}
	}
	slices.SortFunc(spots, func(a, b spot) int {
		switch {
		case a.file != b.file:
			return a.file - b.file
		case a.line != b.line:
			return cmp.Compare(a.line, b.line)
		}
		return compare(a.index, b.index)
	})
	order := make([]int, len(side))
	for i := range spots {
		order[i] = spots[i].index
	}
	return order
}

// rankFiles numbers files in the order of their names.
func rankFiles(side []candidate) map[string]int {
	ranks := map[string]int{}
	for i := range side {
		ranks[side[i].file] = 0
	}
	for rank, file := range slices.Sorted(maps.Keys(ranks)) {
		ranks[file] = rank
	}
	return ranks
}
