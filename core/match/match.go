// Package match recognises the findings of a report among those of earlier scans of the same scanner, so that a finding
// keeps its fingerprint when its code moves, is indented anew, or its file is renamed. It uses only what the report says
// and, where known, git's diff.
//
// Reading order: match.go, again.go, versions.go, passes.go, pairing.go, renames.go, lineage.go, anchor.go, fingerprint.go.
package match

import (
	"slices"

	"github.com/scanhook/scanhook/core"
)

// Previous is what a report is compared with: earlier findings of the same scanner.
type Previous struct {
	Baseline   Baseline      // of the baseline; empty when the scanner did not complete there: all findings are new, none is fixed
	Changes    *core.Changes // since the baseline's commit; nil where unknown
	SameBranch Baseline      // of the last scan of the same branch, unless that is the baseline
	Later      Baseline      // new ones of scans of later commits that had to do without this one: what the report has of them is new here

	Moved map[string]string // names of files as earlier reports may have them, and as they are in the repository

	Unsearched func(file string) bool // files whose earlier findings stay, because they were not searched; nil for none
	// Outside are files that nobody looked at, because they are as in the baseline or the report is not about them: what the baseline
	// has in them stays, and has not moved to where the report has the same. nil for none.
	Outside func(file string) bool
}

// Compare sets Fingerprint, Anchor, BaselineState and MatchedBy of the findings of one scanner, and returns how many findings of the
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
	Absent    int // findings of the baseline that are gone; those in history never are
	Unchanged int // findings that the baseline has
	Kept      []Kept
	Hashed    []int // findings whose secret's hash is known, and was not of the one that each was recognised as

	known  []bool   // by index of the finding: whether the baseline has it
	held   []string // the fingerprint that the finding keeps, or empty
	alerts []int64  // that the finding keeps, or 0
	by     []Evidence
	moved  []bool    // whether the finding has another place or severity than the one that it was recognised as
	made   []imprint // the fingerprint of a new finding
	former map[int]imprint
	fresh  []candidate
}

// Kept is an earlier finding that the report does not have, but whose file was not searched.
type Kept struct {
	Fingerprint string
	AlertID     int64
	State       core.BaselineState
}

// Prepared is a report that is ready to be compared.
type Prepared struct{ *matcher }

// Prepare prepares the comparison of a report, which must not change afterwards. This is the larger part of the work and
// needs only the report, so it can be done before a transaction begins.
func Prepare(report core.Report) Prepared {
	return Prepared{newMatcher(report.Len(), report.At, reportedAnchor)}
}

// Compare recognises the report's findings among earlier ones.
//
// A finding that the baseline has, or else the last scan of the branch, keeps the fingerprint that it has there. Each
// earlier finding is recognised at most once, and all fingerprints differ, so that N hits of one rule in one file stay
// N findings.
func (p Prepared) Compare(past Previous) *Comparison {
	m, n := p.matcher, len(p.fresh)
	m.reset()
	c := &Comparison{
		Absent: past.Baseline.inTree(), known: make([]bool, n), held: make([]string, n), alerts: make([]int64, n),
		moved: make([]bool, n), by: make([]Evidence, n), made: make([]imprint, n),
		former: make(map[int]imprint, len(m.former)), fresh: m.fresh,
	}
	lines := newLineage(past.Changes)
	m.outside = past.Outside
	side := past.Baseline.named(past.Moved)
	pair := m.run(past.Baseline, side, lines)
	for i, old := range pair {
		if old != none {
			m.keep(c, i, past.Baseline, old)
			c.known[i] = true
			c.Unchanged++
			if past.Baseline.side[old].commit == "" {
				c.Absent--
			}
		}
	}
	c.keepWhere(past.Baseline, side, pair, lines, core.Unchanged, past.Unsearched, past.Outside)
	c.Absent, c.Unchanged = c.Absent-len(c.Kept), c.Unchanged+len(c.Kept)
	used := past.Baseline.used()
	branch := past.SameBranch.without(used)
	side, pair = m.keepAll(c, branch, past.Moved, used)
	c.keepWhere(branch, side, pair, lineage{}, core.New, past.Unsearched)
	m.keepAll(c, past.Later.without(used), past.Moved, used)
	m.stay(c, used)
	m.number(c, used)
	m.reset()
	return c
}

// keepAll lets findings be those of a run that is no baseline: they stay new. No other one gets a fingerprint of that run.
func (m *matcher) keepAll(c *Comparison, before Baseline, moved map[string]string, u used) (side []candidate, pair []int) {
	side = before.named(moved)
	pair = m.run(before, side, lineage{})
	for i, old := range pair {
		if old != none {
			m.keep(c, i, before, old)
		}
	}
	for _, fingerprint := range before.prints {
		u[fingerprint] = true
	}
	return side, pair
}

// keepWhere keeps the findings of trees without a partner in files of which any condition is true that is not nil. side has the
// findings with their files as the repository names them.
func (c *Comparison) keepWhere(
	before Baseline, side []candidate, pair []int, lines lineage, state core.BaselineState, conditions ...func(file string) bool,
) {
	conditions = slices.DeleteFunc(conditions, func(is func(string) bool) bool { return is == nil })
	if len(conditions) == 0 {
		return
	}
	found := make([]bool, before.Len())
	for _, old := range pair {
		if old != none {
			found[old] = true
		}
	}
	for i, old := range side {
		file, deleted := lines.newFile(old.file)
		if found[i] || old.commit != "" || deleted {
			continue
		}
		if slices.ContainsFunc(conditions, func(is func(string) bool) bool { return is(file) }) {
			c.Kept = append(c.Kept, Kept{before.prints[i], before.alerts[i], state})
		}
	}
}

// keep lets the i-th finding be an earlier one.
func (m *matcher) keep(c *Comparison, i int, before Baseline, old int) {
	c.held[i], c.alerts[i], c.by[i] = before.prints[old], before.alerts[old], m.by[i]
	if m.fresh[i].anchor.secret.known() && !before.side[old].anchor.secret.known() {
		c.Hashed = append(c.Hashed, i)
	}
	c.moved[i] = m.fresh[i].place != before.side[old].place || m.fresh[i].severity != before.side[old].severity
}

// Alerts are the alerts of the findings, by their index, as far as they were recognised; else 0.
func (c *Comparison) Alerts() []int64 { return c.alerts }

// Moved tells whether the i-th finding was recognised as one with another place or severity.
func (c *Comparison) Moved(i int) bool { return c.moved[i] }

// Apply sets Fingerprint, Anchor, BaselineState and MatchedBy of f, the i-th finding.
func (c *Comparison) Apply(i int, f *core.Finding) {
	f.Anchor = c.fresh[i].anchor.String()
	f.BaselineState, f.Fingerprint, f.MatchedBy = core.New, c.held[i], string(c.by[i])
	if c.known[i] {
		f.BaselineState = core.Unchanged
	}
	if f.Fingerprint == "" {
		f.Fingerprint = c.made[i].String()
	}
}

// Former is the fingerprint that the i-th finding, a new one, had while masks had no key; empty where it had no other one.
func (c *Comparison) Former(i int) string {
	if print, differs := c.former[i]; differs {
		return print.String()
	}
	return ""
}

// number makes the fingerprints of new findings. Findings in equal lines of one file are numbered.
func (m *matcher) number(c *Comparison, u used) {
	var n numbering
	for at, i := range m.order {
		file := m.fresh[i].file
		if at == 0 || file != m.fresh[m.order[at-1]].file {
			n = numbering{file: file, used: u, count: make(map[identity]int)}
		}
		if c.held[i] != "" {
			continue
		}
		c.made[i] = n.next(m.ids[i])
		if former, differs := m.former[i]; differs {
			c.former[i] = n.next(former)
		}
	}
}

// numbering numbers the findings of a file that have one identity.
type numbering struct {
	file  string
	used  used
	count map[identity]int
	text  []byte
}

// next is the next fingerprint of an identity that is not used.
func (n *numbering) next(id identity) (made imprint) {
	for {
		made = id.imprint(n.file, n.count[id])
		n.count[id]++
		if len(n.used) == 0 {
			return made
		}
		if n.text = made.append(n.text[:0]); !n.used[string(n.text)] {
			return made
		}
	}
}

// BaselineFinding is an earlier finding, as far as the matcher needs it.
type BaselineFinding struct {
	Fingerprint string
	Anchor      string
	File        string
	Line        int
	Commit      string // of a finding in history, or empty
	Severity    core.Severity
	SecretHash  string
	AlertID     int64
}

// Baseline are the findings of an earlier scan.
type Baseline struct {
	side   []candidate
	prints []string // by index of side, as the others
	alerts []int64
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
	return Baseline{side: make([]candidate, 0, about), prints: make([]string, 0, about), alerts: make([]int64, 0, about)}
}

// Add appends a finding. The texts of its fingerprint and file are not copied.
func (b *Baseline) Add(f BaselineFinding) {
	a, v := readAnchor(f.Anchor)
	a.secret = secretHashOf(f.SecretHash)
	b.side = append(b.side, candidate{
		place: place{f.File, f.Line}, commit: f.Commit, severity: f.Severity, anchor: a, version: v,
	})
	b.prints, b.alerts = append(b.prints, f.Fingerprint), append(b.alerts, f.AlertID)
}

// With is a baseline that has the findings of another one too.
func (b Baseline) With(other Baseline) Baseline {
	return Baseline{
		side: slices.Concat(b.side, other.side), prints: slices.Concat(b.prints, other.prints), alerts: slices.Concat(b.alerts, other.alerts),
	}
}

// Alerts are the alerts of the findings, in order.
func (b Baseline) Alerts() []int64 {
	return slices.Sorted(slices.Values(b.alerts))
}

// Len is the number of findings.
func (b Baseline) Len() int { return len(b.prints) }

// inTree is the number of findings that are not in history.
func (b Baseline) inTree() (n int) {
	for i := range b.side {
		if b.side[i].commit == "" {
			n++
		}
	}
	return n
}

// named are the findings with the names that their files have in the repository.
func (b Baseline) named(moved map[string]string) []candidate {
	if len(moved) == 0 {
		return b.side
	}
	side := slices.Clone(b.side)
	for i := range side {
		if name, other := moved[side[i].file]; other && side[i].commit == "" {
			side[i].file = name
		}
	}
	return side
}

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
			rest.alerts = append(rest.alerts, b.alerts[i])
		}
	}
	return rest
}
