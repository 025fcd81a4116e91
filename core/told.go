package core

import (
	"slices"
	"sort"
)

// TallyUp counts findings about which nothing is known but what their report says.
func TallyUp(findings []Finding) []Tally {
	var tallies []Tally
	at := map[Tally]int{}
	for i := range findings {
		kind := tallyOf(&findings[i])
		n, known := at[kind]
		if !known {
			n = len(tallies)
			at[kind], tallies = n, append(tallies, kind)
		}
		tallies[n].N++
	}
	return tallies
}

func tallyOf(f *Finding) Tally {
	return Tally{Severity: f.Severity, BaselineState: f.BaselineState, Dismissed: f.Suppressed != nil}
}

// Deciding are the indexes of the findings that fail the gate by what their report says, the gravest first, at most
// MaxDeciding, and how many there are in all.
func (g Gate) Deciding(findings []Finding) (first []int, total int) {
	for i := range findings {
		if !g.fails(tallyOf(&findings[i])) {
			continue
		}
		total++
		rank := findings[i].Severity.Rank()
		if len(first) == MaxDeciding && findings[first[MaxDeciding-1]].Severity.Rank() >= rank {
			continue
		}
		at := sort.Search(len(first), func(n int) bool { return findings[first[n]].Severity.Rank() < rank })
		first = slices.Insert(first[:min(len(first), MaxDeciding-1)], at, i)
	}
	return first, total
}
