package reports

import "strings"

const (
	arenaChunk = 32 << 10 // bytes that are allocated at once
	arenaText  = 2 << 10  // bytes of the longest text that shares a chunk with others
	maxNames   = 1 << 16  // texts that are kept once; more of them are no names
)

// arena keeps the texts of a report: what every result says for itself side by side in large chunks, and names that
// thousands of results have in common once.
type arena struct {
	chunk strings.Builder
	names map[string]string
}

// text keeps a copy.
func (a *arena) text(bytes []byte) string {
	switch {
	case len(bytes) == 0:
		return ""
	case len(bytes) > arenaText:
		return string(bytes)
	case a.chunk.Len()+len(bytes) > a.chunk.Cap():
		a.chunk = strings.Builder{}
		a.chunk.Grow(arenaChunk)
	}
	from := a.chunk.Len()
	_, _ = a.chunk.Write(bytes) // never fails
	return a.chunk.String()[from:]
}

// name keeps one copy of equal texts.
func (a *arena) name(bytes []byte) string {
	if known, found := a.names[string(bytes)]; found {
		return known
	}
	kept := a.text(bytes)
	if len(a.names) < maxNames && len(bytes) <= arenaText {
		if a.names == nil {
			a.names = make(map[string]string)
		}
		a.names[kept] = kept
	}
	return kept
}
