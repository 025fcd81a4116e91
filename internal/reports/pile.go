package reports

// pile collects any number of values without moving them: append would copy a million findings some five times.
type pile[T any] struct {
	chunks [][]T
	length int
}

// add returns the place of the value, which stays valid until slice is called.
func (p *pile[T]) add(value T) *T {
	const smallest, largest = 16, 1024
	last := len(p.chunks) - 1
	switch {
	case last < 0:
		p.chunks = append(p.chunks, make([]T, 0, smallest))
		last++
	case len(p.chunks[last]) == cap(p.chunks[last]):
		p.chunks = append(p.chunks, make([]T, 0, min(2*cap(p.chunks[last]), largest)))
		last++
	}
	chunk := append(p.chunks[last], value)
	p.chunks[last] = chunk
	p.length++
	return &chunk[len(chunk)-1]
}

// each visits the values and empties the pile.
func (p *pile[T]) each(visit func(*T)) {
	for i, chunk := range p.chunks {
		for n := range chunk {
			visit(&chunk[n])
		}
		p.chunks[i] = nil
	}
	*p = pile[T]{}
}

// slice returns all values and empties the pile.
func (p *pile[T]) slice() []T {
	if len(p.chunks) == 0 {
		return nil
	}
	all := make([]T, 0, p.length)
	for i, chunk := range p.chunks {
		all = append(all, chunk...)
		p.chunks[i] = nil // half of the memory may go while the other half is copied
	}
	*p = pile[T]{}
	return all
}
