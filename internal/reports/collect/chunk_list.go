package collect

// ChunkList collects any number of values without moving them: append would copy a million findings some five times.
type ChunkList[T any] struct {
	chunks [][]T
	length int
}

// Add returns the place of the value, which stays valid until Slice is called.
func (l *ChunkList[T]) Add(value T) *T {
	const smallest, largest = 16, 1024
	last := len(l.chunks) - 1
	switch {
	case last < 0:
		l.chunks = append(l.chunks, make([]T, 0, smallest))
		last++
	case len(l.chunks[last]) == cap(l.chunks[last]):
		l.chunks = append(l.chunks, make([]T, 0, min(2*cap(l.chunks[last]), largest)))
		last++
	}
	chunk := append(l.chunks[last], value)
	l.chunks[last] = chunk
	l.length++
	return &chunk[len(chunk)-1]
}

// Drain visits the values and empties the list.
func (l *ChunkList[T]) Drain(visit func(*T)) {
	for i, chunk := range l.chunks {
		for n := range chunk {
			visit(&chunk[n])
		}
		l.chunks[i] = nil
	}
	*l = ChunkList[T]{}
}

// Slice returns all values and empties the list.
func (l *ChunkList[T]) Slice() []T {
	if len(l.chunks) == 0 {
		return nil
	}
	all := make([]T, 0, l.length)
	for i, chunk := range l.chunks {
		all = append(all, chunk...)
		l.chunks[i] = nil // half of the memory may go while the other half is copied
	}
	*l = ChunkList[T]{}
	return all
}
