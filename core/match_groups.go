package core

import (
	"cmp"
	"slices"
)

// group is what findings must have in common to be compared with each other.
type group struct {
	file string
	line int
	key  uint64
}

// members are the indexes of both sides of a group, in the order of the code.
type members struct{ fresh, old []int }

// rating tells how much two findings of a group are alike, from 0, and whether they may be the same at all.
type rating func(a, b anchor) (rate int, ok bool)

// match pairs what has no partner yet, group by group: first where there is only one of each, which also tells how far
// lines have moved, then among equals.
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

// gather finds the groups that the earlier findings make, in the order of the code, and what is open in each.
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

// sortOut returns the indexes of a side's open candidates by the number of their group, in the order given.
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

// learnShifts notes how far the findings moved that have their partner.
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

// expected is the line where a line of the baseline should stand by now, as its nearest neighbour tells.
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
