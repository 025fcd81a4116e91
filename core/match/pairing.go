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
	anchor func(f *core.Finding, id identity) anchor
	again  bool // the findings were stored
	ids    []identity
	former map[int]identity // of findings with a mask, while masks had no key
	exact  bool             // the hash of a secret itself is known
	fresh  []candidate      // by index of the findings
	order  []int            // indexes of findings in the order of the code

	outside  func(file string) bool // see Previous
	lines    lineage
	old      []candidate // by index of the earlier findings
	prints   []string    // fingerprints of the earlier findings
	oldOrder []int
	pair     []int              // by index of the findings: the partner, or none
	by       []Evidence         // by index of the findings: why it has its partner
	now      Evidence           // of the pairs that are made at the moment
	closed   []bool             // by index of the findings: it takes no part
	taken    []bool             // by index of the earlier findings: it has its partner
	dressed  bool               // the findings have the anchors of another version or rule
	shifts   map[string][]shift // of the lines of the earlier files

	cellsLeft int // work that may still be done on equal findings
}

func newMatcher(n int, from source, anchor func(f *core.Finding, id identity) anchor) *matcher {
	m := &matcher{
		source: from, anchor: anchor,
		ids: make([]identity, n), fresh: make([]candidate, n), former: make(map[int]identity),
	}
	var mu sync.Mutex // guards former
	share(n, func(i int, scratch *core.Finding) {
		f := from(i, scratch)
		m.ids[i] = identityOf(f, f.RuleID)
		m.fresh[i] = candidate{
			place: place{f.File, f.Line}, commit: f.Commit, severity: f.Severity, anchor: anchor(f, m.ids[i]),
			absolute: f.About.Absolute, renamed: f.About.FormerRules != "", masked: f.Former != "",
		}
		if f.Former != "" {
			mu.Lock()
			m.former[i] = secondIdentityOf(f.Formerly(), f.RuleID)
			mu.Unlock()
		}
	})
	m.exact = slices.ContainsFunc(m.fresh, func(c candidate) bool { return c.anchor.secret.exact() })
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
	m.closed, m.taken, m.by = nil, nil, nil
	for i := range m.fresh {
		m.fresh[i].ended = false
	}
}

func (m *matcher) join(fresh, old int) {
	m.pair[fresh], m.by[fresh] = old, m.now
	m.fresh[fresh].ended, m.old[old].ended, m.taken[old] = true, true, true
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

// group is what findings must have in common to be paired.
type group struct {
	file string
	line int
	key  uint64
}

// members are the indexes of both sides of a group, in the order of the code.
type members struct{ fresh, old []int }

func (g members) clone() members { return members{slices.Clone(g.fresh), slices.Clone(g.old)} }

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
		g, all := &equals[i], equals[i].clone()
		for _, least := range m.stages(g) {
			for m.align(g, atLeast(rate, least)) {
				g.fresh, g.old = m.open(g.fresh, m.fresh), m.open(g.old, m.old)
			}
		}
		if len(g.fresh) > 0 && len(g.old) > 0 && len(all.fresh)*len(all.old) <= maxStaged {
			m.rearrange(&all, rate)
		}
	}
}

// rearrange pairs findings of a group that are left, by giving others another partner that they can have as well: as many as possible
// are paired.
func (m *matcher) rearrange(g *members, rate rating) {
	holders := make(map[int]int, len(g.old)) // of earlier findings
	for _, fresh := range g.fresh {
		if m.pair[fresh] != none {
			holders[m.pair[fresh]] = fresh
		}
	}
	for _, fresh := range g.fresh {
		if cells := len(g.fresh) * len(g.old); !m.fresh[fresh].ended && cells <= m.cellsLeft {
			m.cellsLeft -= cells
			m.place(fresh, g.old, holders, make(map[int]bool, len(g.old)), rate)
		}
	}
}

// place finds a partner for a finding, one that is left or one whose holder can have another.
func (m *matcher) place(fresh int, among []int, holders map[int]int, tried map[int]bool, rate rating) bool {
	for _, old := range among {
		if _, ok := rate(m.fresh[fresh].anchor, m.old[old].anchor); !ok || tried[old] {
			continue
		}
		tried[old] = true
		if holder, held := holders[old]; !held || m.place(holder, among, holders, tried, rate) {
			holders[old] = fresh
			m.join(fresh, old)
			return true
		}
	}
	return false
}

// maxStaged is how many pairs a group may have for its findings to be paired in stages.
const maxStaged = 1 << 14

// stages are how much the findings of a group must be alike to be paired, the most first: where functions change places, those that
// have everything around them in common are the same, whatever lies between them.
func (m *matcher) stages(g *members) []int {
	if len(g.fresh) == 1 || len(g.old) == 1 || len(g.fresh)*len(g.old) > maxStaged {
		return []int{0}
	}
	return []int{2 * len(core.Surroundings{}), len(core.Surroundings{}), 0}
}

// atLeast accepts only findings that are so much alike.
func atLeast(rate rating, least int) rating {
	if least == 0 {
		return rate
	}
	return func(a, b anchor) (int, bool) {
		rated, ok := rate(a, b)
		return rated, ok && rated >= least
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
