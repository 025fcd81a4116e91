package match

import (
	"cmp"
	"path"
	"slices"
	"sort"

	"github.com/scanhook/scanhook/core"
)

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

// place is a line of a file.
type place struct {
	file string
	line int
}

// lineage maps lines between two commits, in both directions.
type lineage struct {
	known        bool // false without Changes
	byOld, byNew map[string]*core.FileChange
}

func newLineage(changes *core.Changes) lineage {
	if changes == nil {
		return lineage{}
	}
	l := lineage{known: true, byOld: map[string]*core.FileChange{}, byNew: map[string]*core.FileChange{}}
	for i := range changes.Files {
		change := &changes.Files[i]
		if change.Old != "" {
			l.byOld[change.Old] = change
		}
		if change.New != "" {
			l.byNew[change.New] = change
		}
	}
	return l
}

// oldFile is the name that a file had; its present one if unknown.
func (l lineage) oldFile(file string) string {
	if change := l.byNew[file]; change != nil && change.Old != "" {
		return change.Old
	}
	return file
}

// before finds the old place of a line; ok is false for a new line, or if unknown.
func (l lineage) before(at place) (was place, ok bool) {
	change := l.byNew[at.file]
	switch {
	case !l.known || at.file == "" || at.line < 1:
		return place{}, false
	case change == nil:
		return at, true
	case change.Old == "" || change.Opaque:
		return place{}, false
	}
	line, ok := follow(change.Hunks, at.line, reversed)
	return place{change.Old, line}, ok
}

// after finds the present place of an old line; ok is false for a deleted line, or if unknown.
func (l lineage) after(at place) (is place, ok bool) {
	change := l.byOld[at.file]
	switch {
	case !l.known || at.file == "" || at.line < 1:
		return place{}, false
	case change == nil:
		return at, true
	case change.New == "" || change.Opaque:
		return place{}, false
	}
	line, ok := follow(change.Hunks, at.line, func(h core.Hunk) core.Hunk { return h })
	return place{change.New, line}, ok
}

func reversed(h core.Hunk) core.Hunk {
	return core.Hunk{OldLine: h.NewLine, OldCount: h.NewCount, NewLine: h.OldLine, NewCount: h.OldCount}
}

// follow maps a line from the old side of the hunks to the new side; turn exchanges the sides.
func follow(hunks []core.Hunk, line int, turn func(core.Hunk) core.Hunk) (int, bool) {
	next := sort.Search(len(hunks), func(i int) bool {
		begin, _ := oldLines(turn(hunks[i]))
		return begin > line
	})
	if next == 0 {
		return line, true
	}
	last := turn(hunks[next-1])
	_, oldEnd := oldLines(last)
	_, newEnd := oldLines(reversed(last))
	return line - oldEnd + newEnd, line >= oldEnd
}

// oldLines is the range of lines on the old side of a hunk, without its end.
func oldLines(h core.Hunk) (begin, end int) {
	if h.OldCount == 0 {
		return h.OldLine + 1, h.OldLine + 1
	}
	return h.OldLine, h.OldLine + h.OldCount
}

// matchRenamed pairs findings in renamed files where git's diff is unknown: a file with findings only before and a file
// with findings only now are the same file if their findings are in equal lines. Ambiguous files are not paired.
func (m *matcher) matchRenamed() {
	if m.lines.known {
		return
	}
	renamed := m.renames()
	if len(renamed) == 0 {
		return
	}
	m.match(func(c candidate) (group, bool) {
		was, moved := renamed[c.file]
		return group{file: was, key: c.anchor.key}, moved
	}, inFile, anchor.likeness)
}

// clue is evidence of a rename if it occurs in one file on each side: a finding alone, with the base name of its file,
// or with its line.
type clue struct {
	key  uint64
	name string
	line int
}

// renames maps new names to old ones.
func (m *matcher) renames() map[string]string {
	isFile, wasFile := files(m.fresh), files(m.old)
	came := clues(m.fresh, wasFile)
	went := clues(m.old, isFile)
	votes := map[[2]string]int{}
	for c, file := range came {
		if old := went[c]; file != "" && old != "" {
			votes[[2]string{file, old}]++
		}
	}
	return elect(votes)
}

func files(side []candidate) map[string]bool {
	names := map[string]bool{"": true}
	for _, c := range side {
		names[c.file] = true
	}
	return names
}

// clues maps each clue to its file, among the files that the other side does not have; to "" if it occurs in several.
func clues(side []candidate, elsewhere map[string]bool) map[clue]string {
	found := map[clue]string{}
	for _, c := range side {
		if c.ended || elsewhere[c.file] {
			continue
		}
		key := c.anchor.key
		for _, hint := range []clue{{key: key}, {key: key, name: path.Base(c.file)}, {key: key, line: c.line}} {
			if at, known := found[hint]; known && at != c.file {
				found[hint] = ""
				continue
			}
			found[hint] = c.file
		}
	}
	return found
}

// elect returns the pairs of files of which each has more votes for the other than for any third file.
func elect(votes map[[2]string]int) map[string]string {
	most, tied := map[[2]string]int{}, map[[2]string]bool{}
	sides := func(pair [2]string) [][2]string { return [][2]string{{"new", pair[0]}, {"old", pair[1]}} }
	for pair, n := range votes {
		for _, side := range sides(pair) {
			switch {
			case n > most[side]:
				most[side], tied[side] = n, false
			case n == most[side]:
				tied[side] = true
			}
		}
	}
	elected := map[string]string{}
	for pair, n := range votes {
		wins := true
		for _, side := range sides(pair) {
			wins = wins && n == most[side] && !tied[side]
		}
		if wins {
			elected[pair[0]] = pair[1]
		}
	}
	return elected
}
