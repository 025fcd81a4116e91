// Package match recognises the findings of a report among those of earlier scans of the same scanner, so that a finding
// keeps its fingerprint when its code moves, is indented anew, or its file is renamed. It uses only what the report says
// and, where known, git's diff.
//
// Reading order: match.go, fingerprint.go, pairing.go.
package match

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/scanhook/scanhook/core"
)

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
func (e Prepared) Compare(past Previous) *Comparison {
	m, n := e.matcher, len(e.fresh)
	m.reset()
	c := &Comparison{
		Absent: past.Baseline.Len(), known: make([]bool, n), held: make([]string, n), made: make([]imprint, n), fresh: m.fresh,
	}
	for i, old := range m.run(past.Baseline, newLineage(past.Changes)) {
		if old != none {
			c.known[i], c.held[i] = true, past.Baseline.prints[old]
			c.Absent--
			c.Unchanged++
		}
	}
	used := past.Baseline.used()
	branch := past.SameBranch.without(used)
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

// byPlace is the order of candidates by file and line, so that the order of the report does not matter; compare orders
// those in one line.
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

// none is the index of a missing partner.
const none = -1

// candidate is a finding, of the report or an earlier one, as the matcher needs it.
type candidate struct {
	place
	anchor  anchor
	ended   bool // it has its partner, or cannot have one
	foreign bool // an older version of Scanhook stored its fingerprint and no anchor
}

// source returns the i-th finding. It writes into scratch what it cannot point at.
type source func(i int, scratch *core.Finding) *core.Finding

// matcher pairs the findings of a report with earlier ones, by the strongest evidence first: the same line according to
// git's diff, an equal line in the same file, in a renamed file, elsewhere.
type matcher struct {
	source source
	ids    []identity
	fresh  []candidate // by index of the findings
	order  []int       // indexes of findings in the order of the code

	lines    lineage
	old      []candidate // by index of the earlier findings
	prints   []string    // fingerprints of the earlier findings
	oldOrder []int
	pair     []int              // by index of the findings: the partner, or none
	shifts   map[string][]shift // of the lines of the earlier files

	cellsLeft int // work that may still be done on equal findings
}

func newMatcher(n int, from source) *matcher {
	m := &matcher{
		source: from,
		ids:    make([]identity, n), fresh: make([]candidate, n),
	}
	share(n, func(i int, scratch *core.Finding) {
		f := from(i, scratch)
		m.ids[i] = identityOf(f)
		m.fresh[i] = candidate{place: place{f.File, f.Line}, anchor: anchorOf(f, m.ids[i])}
	})
	m.order = byPlace(m.fresh, m.compareMessages)
	return m
}

// compareMessages orders findings in one line.
func (m *matcher) compareMessages(a, b int) int {
	var scratch core.Finding
	message := m.source(a, &scratch).Message
	return cmp.Or(strings.Compare(message, m.source(b, &scratch).Message), a-b)
}

// reset prepares the matcher for another run.
func (m *matcher) reset() {
	m.cellsLeft = maxCells
	m.old, m.prints, m.oldOrder, m.pair, m.shifts = nil, nil, nil, nil, map[string][]shift{}
	for i := range m.fresh {
		m.fresh[i].ended = false
	}
}

// run returns for each finding the index of its partner among earlier ones, or none. It ignores findings that ended
// before.
func (m *matcher) run(earlier Baseline, lines lineage) (pair []int) {
	m.setOld(earlier)
	m.lines = lines
	m.pair = slices.Repeat([]int{none}, len(m.fresh))
	if earlier.Len() > 0 {
		m.matchOlderVersions()
		m.matchLines()
		m.matchMoved()
		m.matchRenamed()
		m.matchElsewhere()
	}
	for i := range m.fresh {
		m.fresh[i].ended = m.pair[i] != none
	}
	return m.pair
}

func (m *matcher) setOld(earlier Baseline) {
	m.old, m.prints = earlier.side, earlier.prints
	for i := range m.old {
		m.old[i].ended = m.old[i].foreign
	}
	m.oldOrder = byPlace(m.old, func(a, b int) int { return a - b })
}

func (m *matcher) join(fresh, old int) {
	m.pair[fresh] = old
	m.fresh[fresh].ended, m.old[old].ended = true, true
}

// matchOlderVersions pairs findings with those of a baseline that an older version of Scanhook stored, by its rule.
func (m *matcher) matchOlderVersions() {
	older := map[string]int{}
	for i := range m.old {
		if m.old[i].ended {
			older[m.prints[i]] = i
		}
	}
	if len(older) == 0 {
		return
	}
	for i, fingerprint := range printsV1(m.fresh, m.source) {
		if old, found := older[fingerprint]; found && !m.fresh[i].ended {
			m.join(i, old)
		}
	}
}

// matchLines pairs findings of one rule whose line is the same according to the diff. A finding in such a line cannot have
// a partner elsewhere.
func (m *matcher) matchLines() {
	if !m.lines.known {
		return
	}
	at := func(c candidate) group { return group{file: c.file, line: c.line, key: uint64(c.anchor.rule)} }
	m.match(func(c candidate) (group, bool) {
		was, same := m.lines.before(c.place)
		c.place = was
		return at(c), same
	}, func(c candidate) (group, bool) { return at(c), true }, sameLine)
	for i := range m.fresh {
		_, same := m.lines.before(m.fresh[i].place)
		m.fresh[i].ended = m.fresh[i].ended || same
	}
	for i := range m.old {
		_, same := m.lines.after(m.old[i].place)
		m.old[i].ended = m.old[i].ended || same
	}
}

// sameLine accepts findings of one rule in one line that have the same code or the same message: some tools report
// everything about a file in its first line.
func sameLine(a, b anchor) (rate int, ok bool) {
	rate, _ = a.likeness(b)
	if a.key == b.key {
		rate += 2 * len(a.around)
	}
	return rate, a.key == b.key || a.message == b.message
}

// matchMoved pairs findings in equal lines of one file.
func (m *matcher) matchMoved() {
	m.match(func(c candidate) (group, bool) {
		return group{file: m.lines.oldFile(c.file), key: c.anchor.key}, true
	}, inFile, anchor.likeness)
}

func inFile(c candidate) (group, bool) { return group{file: c.file, key: c.anchor.key}, true }

// minElsewhere is how many surrounding lines must agree for code that moved to another file.
const minElsewhere = 2

// matchElsewhere pairs findings in equal lines between equal lines, in any file.
func (m *matcher) matchElsewhere() {
	anywhere := func(c candidate) (group, bool) { return group{key: c.anchor.key}, hasLines(c.anchor.around) }
	m.match(anywhere, anywhere, func(a, b anchor) (rate int, ok bool) {
		rate, ok = a.likeness(b)
		return rate, ok && commonLines(a.around, b.around) >= minElsewhere
	})
}

// minShare is the number of findings for which another goroutine pays off.
const minShare = 4096

// share calls work for each number below n, in several goroutines if n is large, each with its own scratch. It panics if
// work does.
func share(n int, work func(i int, scratch *core.Finding)) {
	workers := min(runtime.GOMAXPROCS(0), n/minShare+1)
	panics := make(chan any, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			defer func() {
				if reason := recover(); reason != nil {
					panics <- reason
				}
			}()
			var scratch core.Finding
			for i := worker * n / workers; i < (worker+1)*n/workers; i++ {
				work(i, &scratch)
			}
		})
	}
	group.Wait()
	if len(panics) > 0 {
		panic(<-panics)
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
