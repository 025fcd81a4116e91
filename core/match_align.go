package core

// maxCells bounds the work on findings that are all equal, over a whole report: above it they are paired in their
// order.
const maxCells = 1 << 22

const (
	likenessWeight = 1 << 12
	maxDistance    = likenessWeight - 1
	impossible     = -1
)

// align pairs findings of one group in the order of the code, so that as many as possible are paired, those that are
// most alike and have moved least. It tells whether it paired any; what has crossed over is left to the next call.
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

// table holds the most that can be gained from the i-th finding and the j-th of the baseline on.
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

// zip pairs what may be paired in linear time: first those that agree in everything, then the others in their order.
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
