// Package match recognises the findings of a report among those of earlier scans of the same scanner, so that a finding
// keeps its fingerprint when its code moves, is indented anew, or its file is renamed. It uses only what the report says
// and, where known, git's diff.
//
// Reading order: match.go, pairing.go, lineage.go, fingerprint.go.
package match

import "github.com/scanhook/scanhook/core"

// Previous is what a report is compared with: earlier findings of the same scanner.
type Previous struct {
	Baseline   Baseline      // of the baseline; empty when the scanner did not complete there: all findings are new, none is fixed
	Changes    *core.Changes // since the baseline's commit; nil where unknown
	SameBranch Baseline      // of the last scan of the same branch, unless that is the baseline
}

// Compare sets Fingerprint, Anchor and BaselineState of the findings of one scanner, and returns how many findings of the
// baseline are gone. See Prepared.Compare.
func Compare(findings []core.Finding, past Previous) (absent int) {
	compared := Prepare(core.Report{Findings: findings}).Compare(past)
	for i := range findings {
		compared.Apply(i, &findings[i])
	}
	return compared.Absent
}

// Comparison is the result of comparing a report with earlier findings.
type Comparison struct {
	Absent    int // findings of the baseline that are gone
	Unchanged int // findings that the baseline has

	known []bool    // by index of the finding: whether the baseline has it
	held  []string  // the fingerprint that the finding keeps, or empty
	made  []imprint // the fingerprint of a new finding
	fresh []candidate
}

// Prepared is a report that is ready to be compared.
type Prepared struct{ *matcher }

// Prepare prepares the comparison of a report, which must not change afterwards. This is the larger part of the work and
// needs only the report, so it can be done before a transaction begins.
func Prepare(report core.Report) Prepared { return Prepared{newMatcher(report.Len(), report.At)} }

// Compare recognises the report's findings among earlier ones.
//
// A finding that the baseline has, or else the last scan of the branch, keeps the fingerprint that it has there. Each
// earlier finding is recognised at most once, and all fingerprints differ, so that N hits of one rule in one file stay
// N findings.
func (p Prepared) Compare(past Previous) *Comparison {
	m, n := p.matcher, len(p.fresh)
	m.reset()
	c := &Comparison{
		Absent: past.Baseline.Len(), known: make([]bool, n), held: make([]string, n), made: make([]imprint, n), fresh: m.fresh,
	}
	for i, old := range m.run(past.Baseline.side, past.Baseline.prints, newLineage(past.Changes)) {
		if old != none {
			c.known[i], c.held[i] = true, past.Baseline.prints[old]
			c.Absent--
			c.Unchanged++
		}
	}
	used := past.Baseline.used()
	branch := past.SameBranch.without(used)
	for i, old := range m.run(branch.side, branch.prints, lineage{}) {
		if old != none {
			c.held[i] = branch.prints[old]
			used[branch.prints[old]] = true
		}
	}
	m.number(c, used)
	m.reset()
	return c
}

// Apply sets Fingerprint, Anchor and BaselineState of f, the i-th finding.
func (c *Comparison) Apply(i int, f *core.Finding) {
	f.Anchor = c.fresh[i].anchor.String()
	f.BaselineState, f.Fingerprint = core.New, c.held[i]
	if c.known[i] {
		f.BaselineState = core.Unchanged
	}
	if f.Fingerprint == "" {
		f.Fingerprint = c.made[i].String()
	}
}

// number makes the fingerprints of new findings. Findings in equal lines of one file are numbered.
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

// BaselineFinding is an earlier finding, as far as the matcher needs it.
type BaselineFinding struct {
	Fingerprint string `db:"fingerprint"`
	Anchor      string `db:"anchor"`
	File        string `db:"file"`
	Line        int    `db:"line"`
}

// Baseline are the findings of an earlier scan.
type Baseline struct {
	side   []candidate
	prints []string // by index of side
}

// BaselineOf is a baseline of these findings.
func BaselineOf(findings ...BaselineFinding) Baseline {
	b := NewBaseline(len(findings))
	for _, f := range findings {
		b.Add(f)
	}
	return b
}

// NewBaseline is an empty baseline with memory for about so many findings.
func NewBaseline(about int) Baseline {
	return Baseline{side: make([]candidate, 0, about), prints: make([]string, 0, about)}
}

// Add appends a finding. The texts of its fingerprint and file are not copied.
func (b *Baseline) Add(f BaselineFinding) {
	a, current := parseAnchor(f.Anchor)
	b.side = append(b.side, candidate{place: place{f.File, f.Line}, anchor: a, foreign: !current})
	b.prints = append(b.prints, f.Fingerprint)
}

// Len is the number of findings.
func (b Baseline) Len() int { return len(b.prints) }

// used are fingerprints that no other finding may get.
type used map[string]bool

func (b Baseline) used() used {
	u := make(used, len(b.prints))
	for _, fingerprint := range b.prints {
		u[fingerprint] = true
	}
	return u
}

// without omits the findings whose fingerprints are used.
func (b Baseline) without(u used) (rest Baseline) {
	for i, fingerprint := range b.prints {
		if !u[fingerprint] {
			rest.side, rest.prints = append(rest.side, b.side[i]), append(rest.prints, fingerprint)
		}
	}
	return rest
}
