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

// none is the index of a missing partner.
const none = -1

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
		m.fresh[i] = candidate{place: place{f.File, f.Line}, commit: f.Commit, severity: f.Severity, anchor: anchorOf(f, m.ids[i])}
	})
	m.order = byPlace(m.fresh, m.compareMessages)
	return m
}

// byPlace is the order of candidates by file and line, so that the order of the report does not matter; compare orders
// those in one line. In a file, those in history come last, so that they do not change how those in the tree are numbered.
func byPlace(side []candidate, compare func(a, b int) int) []int {
	ranks := rankFiles(side)
	type spot struct{ file, line, index int }
	spots := make([]spot, len(side))
	for i := range side {
		spots[i] = spot{2 * ranks[side[i].file], side[i].line, i}
		if side[i].commit != "" {
			spots[i].file++
		}
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
func (m *matcher) run(earlier []candidate, prints []string, lines lineage) (pair []int) {
	m.setOld(earlier, prints)
	m.lines = lines
	m.pair = slices.Repeat([]int{none}, len(m.fresh))
	if len(earlier) > 0 {
		m.matchOlderVersions()
		m.matchAll()
	}
	for i := range m.fresh {
		m.fresh[i].ended = m.pair[i] != none
	}
	return m.pair
}

// matchTrees pairs findings in the trees of two commits.
func (m *matcher) matchTrees() {
	m.matchLines()
	m.matchMoved()
	m.matchRenamed()
	m.matchElsewhere()
}

func (m *matcher) setOld(earlier []candidate, prints []string) {
	m.old, m.prints = earlier, prints
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

// inHistory tells whether a side has findings in history.
func inHistory(side []candidate) bool {
	for i := range side {
		if side[i].commit != "" {
			return true
		}
	}
	return false
}

// matchAll pairs findings in trees by all that is known of lines, and those in history by commit and code alone: their line
// is in no tree that git's diff maps.
func (m *matcher) matchAll() {
	if !inHistory(m.fresh) && !inHistory(m.old) {
		m.matchTrees()
		return
	}
	m.matchCommits()
	m.withoutHistory(m.matchTrees)
	m.matchHistory()
}

// matchCommits pairs findings in history whose commit, file, line and code are the same.
func (m *matcher) matchCommits() {
	at := func(c candidate) (group, bool) {
		return group{file: c.commit + "\x00" + c.file, line: c.line, key: c.anchor.key}, c.commit != ""
	}
	m.match(at, at, sameCode)
}

// withoutHistory lets match see only findings in trees. Those without a partner are open again afterwards.
func (m *matcher) withoutHistory(match func()) {
	freshEnded, oldEnded := setAside(m.fresh), setAside(m.old)
	match()
	for i := range m.old {
		m.old[i].ended = oldEnded[i]
	}
	for i, old := range m.pair {
		m.fresh[i].ended = freshEnded[i] || old != none
		if old != none {
			m.old[old].ended = true
		}
	}
}

// setAside ends findings in history, and returns what had ended before.
func setAside(side []candidate) (ended []bool) {
	ended = make([]bool, len(side))
	for i := range side {
		ended[i] = side[i].ended
		side[i].ended = ended[i] || side[i].commit != ""
	}
	return ended
}

// matchHistory pairs findings of equal code of which at least one is in history: first in one file, then in any.
func (m *matcher) matchHistory() {
	either := func(candidate) bool { return true }
	past := func(c candidate) bool { return c.commit != "" }
	tree := func(c candidate) bool { return c.commit == "" }
	for _, file := range []func(candidate) string{func(c candidate) string { return c.file }, func(candidate) string { return "" }} {
		grouped := func(counts func(candidate) bool) func(candidate) (group, bool) {
			return func(c candidate) (group, bool) { return group{file: file(c), key: c.anchor.key}, counts(c) }
		}
		m.match(grouped(past), grouped(either), sameCode)
		m.match(grouped(tree), grouped(past), sameCode)
	}
}

// sameCode accepts all findings of a group. What is around them in another commit says little.
func sameCode(a, b anchor) (rate int, ok bool) {
	rate, _ = a.likeness(b)
	return rate, true
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

// matchRenamed pairs findings in renamed files where git's diff is unknown: a file with findings only before and a file
// with findings only now are the same file if their findings are in equal lines. Ambiguous files are not paired.
func (m *matcher) matchRenamed() {
	if m.lines.known {
		return
	}
	renamed := renamedFiles(m.fresh, m.old)
	if len(renamed) == 0 {
		return
	}
	m.match(func(c candidate) (group, bool) {
		was, moved := renamed[c.file]
		return group{file: was, key: c.anchor.key}, moved
	}, inFile, anchor.likeness)
}

// group is what findings must have in common to be paired.
type group struct {
	file string
	line int
	key  uint64
}

// members are the indexes of both sides of a group, in the order of the code.
type members struct{ fresh, old []int }

// rating is how much two findings of a group are alike, from 0, and whether they can be the same at all.
type rating func(a, b anchor) (rate int, ok bool)

// match pairs candidates without a partner, group by group. Groups with one candidate on each side come first, because
// they also show how far lines have moved.
func (m *matcher) match(freshGroup, oldGroup func(candidate) (group, bool), rate rating) {
	var equals []members
	n, fresh, old := m.gather(freshGroup, oldGroup)
	for i := range n {
		switch g := (members{fresh(i), old(i)}); {
		case len(g.fresh) == 0 || len(g.old) == 0:
		case len(g.fresh) == 1 && len(g.old) == 1:
			m.align(&g, rate)
		default:
			equals = append(equals, g)
		}
	}
	m.learnShifts()
	for i := range equals {
		g := &equals[i]
		for m.align(g, rate) {
			g.fresh, g.old = m.open(g.fresh, m.fresh), m.open(g.old, m.old)
		}
	}
}

// gather finds the groups of the earlier findings, in the order of the code, and the open candidates of each.
func (m *matcher) gather(
	freshGroup, oldGroup func(candidate) (group, bool),
) (n int, fresh, old func(n int) []int) {
	numbers := make(map[group]int32)
	old = sortOut(m.oldOrder, m.old, func(c candidate) int32 {
		name, ok := oldGroup(c)
		if !ok {
			return none
		}
		n, known := numbers[name]
		if !known {
			n = int32(len(numbers))
			numbers[name] = n
		}
		return n
	})
	fresh = sortOut(m.order, m.fresh, func(c candidate) int32 {
		name, ok := freshGroup(c)
		if n, known := numbers[name]; ok && known {
			return n
		}
		return none
	})
	return len(numbers), fresh, old
}

// sortOut returns the indexes of a side's open candidates by the number of their group, in the given order.
func sortOut(order []int, side []candidate, number func(candidate) int32) (group func(n int) []int) {
	numbers, begins := make([]int32, len(order)), []int32{0}
	for at, i := range order {
		numbers[at] = none
		if side[i].ended {
			continue
		}
		n := number(side[i])
		for int(n) >= len(begins)-1 {
			begins = append(begins, 0)
		}
		numbers[at] = n
		if n != none {
			begins[n+1]++
		}
	}
	for n := 1; n < len(begins); n++ {
		begins[n] += begins[n-1]
	}
	sorted, next := make([]int, begins[len(begins)-1]), slices.Clone(begins)
	for at, i := range order {
		if n := numbers[at]; n != none {
			sorted[next[n]] = i
			next[n]++
		}
	}
	return func(n int) []int {
		if n >= len(begins)-1 {
			return nil
		}
		return sorted[begins[n]:begins[n+1]:begins[n+1]]
	}
}

func (m *matcher) open(indexes []int, side []candidate) []int {
	return slices.DeleteFunc(indexes, func(i int) bool { return side[i].ended })
}

// shift is how far a line of the baseline has moved.
type shift struct{ line, by int }

// learnShifts records how far the paired findings moved.
func (m *matcher) learnShifts() {
	clear(m.shifts)
	for i, old := range m.pair {
		if old != none {
			was, is := m.old[old].place, m.fresh[i].place
			m.shifts[was.file] = append(m.shifts[was.file], shift{was.line, is.line - was.line})
		}
	}
	for _, list := range m.shifts {
		slices.SortFunc(list, func(a, b shift) int { return cmp.Compare(a.line, b.line) })
	}
}

// expected is the line to which an earlier line should have moved, like its nearest paired neighbour.
func (m *matcher) expected(was place) int {
	list := m.shifts[was.file]
	next, _ := slices.BinarySearchFunc(list, was.line, func(s shift, line int) int { return cmp.Compare(s.line, line) })
	switch {
	case len(list) == 0:
		return was.line
	case next == len(list), next > 0 && was.line-list[next-1].line <= list[next].line-was.line:
		next--
	}
	return was.line + list[next].by
}

// maxCells limits the work on equal findings of a whole report. Above it, they are paired in their order.
const maxCells = 1 << 22

const (
	likenessWeight = 1 << 12
	maxDistance    = likenessWeight - 1
	impossible     = -1
)

// align pairs findings of one group in the order of the code: as many as possible, those that are most alike and moved
// least. It tells whether it paired any. Pairs that cross others are left to the next call.
func (m *matcher) align(g *members, rate rating) (paired bool) {
	cells := len(g.fresh) * len(g.old)
	if cells > m.cellsLeft {
		return m.zip(g, rate)
	}
	m.cellsLeft -= cells
	best := m.table(g, rate)
	for i, j := 0, 0; i < len(g.fresh) && j < len(g.old); {
		switch here := best[i][j]; {
		case here == best[i+1][j]:
			i++
		case here == best[i][j+1]:
			j++
		default:
			m.join(g.fresh[i], g.old[j])
			i, j, paired = i+1, j+1, true
		}
	}
	return paired
}

// table holds, for each i and j, the largest gain from the i-th finding and the j-th earlier one on.
func (m *matcher) table(g *members, rate rating) [][]int {
	width := len(g.old) + 1
	cells := make([]int, (len(g.fresh)+1)*width)
	best := make([][]int, len(g.fresh)+1)
	for i := range best {
		best[i] = cells[i*width : (i+1)*width]
	}
	for i := len(g.fresh) - 1; i >= 0; i-- {
		for j := len(g.old) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if gain := m.gain(g.fresh[i], g.old[j], rate); gain != impossible {
				best[i][j] = max(best[i][j], best[i+1][j+1]+gain)
			}
		}
	}
	return best
}

func (m *matcher) gain(fresh, old int, rate rating) int {
	is, was := m.fresh[fresh], m.old[old]
	alike, ok := rate(is.anchor, was.anchor)
	if !ok {
		return impossible
	}
	distance := is.line - m.expected(was.place)
	return (1+alike)*likenessWeight - min(max(distance, -distance), maxDistance)
}

// zip pairs in linear time: first findings that agree in everything, then the others in their order.
func (m *matcher) zip(g *members, rate rating) (paired bool) {
	twins := make(map[anchor][]int, len(g.old))
	for _, old := range g.old {
		a := m.old[old].anchor
		twins[a] = append(twins[a], old)
	}
	for _, fresh := range g.fresh {
		a := m.fresh[fresh].anchor
		if list := twins[a]; len(list) > 0 {
			m.join(fresh, list[0])
			twins[a], paired = list[1:], true
		}
	}
	fresh, old := m.open(g.fresh, m.fresh), m.open(g.old, m.old)
	for i := range min(len(fresh), len(old)) {
		if _, ok := rate(m.fresh[fresh[i]].anchor, m.old[old[i]].anchor); ok {
			m.join(fresh[i], old[i])
			paired = true
		}
	}
	return paired
}
