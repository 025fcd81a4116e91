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
	groups, order := m.gather(freshGroup, oldGroup)
	var equals []*members
	for _, name := range order {
		switch g := groups[name]; {
		case len(g.fresh) == 0 || len(g.old) == 0:
		case len(g.fresh) == 1 && len(g.old) == 1:
			m.align(g, rate)
		default:
			equals = append(equals, g)
		}
	}
	m.learnShifts()
	for _, g := range equals {
		for m.align(g, rate) {
			g.fresh, g.old = m.open(g.fresh, m.fresh), m.open(g.old, m.old)
		}
	}
}

func (m *matcher) gather(freshGroup, oldGroup func(candidate) (group, bool)) (map[group]*members, []group) {
	groups := make(map[group]*members, len(m.oldOrder))
	var order []group
	for _, i := range m.oldOrder {
		if name, ok := oldGroup(m.old[i]); ok && !m.old[i].ended {
			if groups[name] == nil {
				groups[name] = &members{}
				order = append(order, name)
			}
			groups[name].old = append(groups[name].old, i)
		}
	}
	for _, i := range m.order {
		if name, ok := freshGroup(m.fresh[i]); ok && !m.fresh[i].ended && groups[name] != nil {
			groups[name].fresh = append(groups[name].fresh, i)
		}
	}
	return groups, order
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
