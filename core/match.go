package core

import (
	"cmp"
	"slices"
	"strings"
)

// none is the partner of what has none.
const none = -1

// candidate is a finding, of this report or of the baseline, as the matcher sees it.
type candidate struct {
	place
	anchor  anchor
	ended   bool // it has its partner, or is known to have none
	foreign bool // an older Scanhook made its fingerprint and no anchor
}

// source hands out findings by number, in scratch where it has none to point at.
type source func(i int, scratch *Finding) *Finding

// matcher pairs the findings of a report with those of an earlier run, the surest way first: the same line by the diff,
// an equal line in the same file, in a renamed file, elsewhere.
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
	share(n, func(i int, scratch *Finding) {
		f := from(i, scratch)
		m.ids[i] = identityOf(f)
		m.fresh[i] = candidate{place: place{f.File, f.Line}, anchor: anchorOf(f, m.ids[i])}
	})
	m.order = byPlace(m.fresh, m.compareMessages)
	return m
}

// compareMessages orders findings in one line.
func (m *matcher) compareMessages(a, b int) int {
	var scratch Finding
	message := m.source(a, &scratch).Message
	return cmp.Or(strings.Compare(message, m.source(b, &scratch).Message), a-b)
}

// reset forgets what was matched before.
func (m *matcher) reset() {
	m.cellsLeft = maxCells
	m.old, m.prints, m.oldOrder, m.pair, m.shifts = nil, nil, nil, nil, map[string][]shift{}
	for i := range m.fresh {
		m.fresh[i].ended = false
	}
}

// run returns for each finding the index of its partner among known, or none. Those that are to be left out are marked
// as ended before.
func (m *matcher) run(known Earlier, lines lineage) (pair []int) {
	m.remember(known)
	m.lines = lines
	m.pair = slices.Repeat([]int{none}, len(m.fresh))
	if known.Len() > 0 {
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

func (m *matcher) remember(known Earlier) {
	m.old, m.prints = known.side, known.prints
	for i := range m.old {
		m.old[i].ended = m.old[i].foreign
	}
	m.oldOrder = byPlace(m.old, func(a, b int) int { return a - b })
}

func (m *matcher) join(fresh, old int) {
	m.pair[fresh] = old
	m.fresh[fresh].ended, m.old[old].ended = true, true
}

// matchOlderVersions recognises findings of a baseline that was made by an older Scanhook, as that one would have.
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

// matchLines pairs findings of one rule whose line is the same one, as the diff tells. A finding in such a line has no
// partner anywhere else.
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

// sameLine takes findings of one rule in one line for the same where they show the same code or say the same: some
// tools put all that they find about a file into its first line.
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

// minElsewhere is how many lines around must agree before code counts as moved to another file.
const minElsewhere = 2

// matchElsewhere pairs findings in equal lines that stand between equal lines, in whatever file.
func (m *matcher) matchElsewhere() {
	anywhere := func(c candidate) (group, bool) { return group{key: c.anchor.key}, c.anchor.around.known() }
	m.match(anywhere, anywhere, func(a, b anchor) (rate int, ok bool) {
		rate, ok = a.likeness(b)
		return rate, ok && a.around.common(b.around) >= minElsewhere
	})
}
