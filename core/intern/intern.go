// Package intern stores many short texts in little memory: copies lie side by side in large chunks, and texts that occur
// often are stored once.
package intern

import "strings"

const (
	chunkSize = 32 << 10 // bytes that are allocated at once
	maxShared = 2 << 10  // bytes of the longest text that shares a chunk with others
	maxNames  = 1 << 16  // different texts that Name stores once
)

// Texts stores copies of texts. The zero value is empty.
type Texts struct {
	chunk   strings.Builder
	names   []string // texts that are stored once
	numbers map[string]uint32
}

// Copy returns a copy of the text.
func (t *Texts) Copy(text []byte) string {
	switch {
	case len(text) == 0:
		return ""
	case len(text) > maxShared:
		return string(text)
	case t.chunk.Len()+len(text) > t.chunk.Cap():
		t.chunk = strings.Builder{}
		t.chunk.Grow(chunkSize)
	}
	from := t.chunk.Len()
	_, _ = t.chunk.Write(text) // never fails
	return t.chunk.String()[from:]
}

// Name returns one copy for all equal texts. Long texts, and new ones after very many, are copied each time.
func (t *Texts) Name(text []byte) string {
	if number, known := t.numbers[string(text)]; known {
		return t.names[number]
	}
	name := t.Copy(text)
	if len(t.names) < maxNames && len(text) <= maxShared {
		t.add(name)
	}
	return name
}

// Number returns the number of a text, the same for all equal ones; numbers begin with 0.
func (t *Texts) Number(text string) uint32 {
	if number, known := t.numbers[text]; known {
		return number
	}
	return t.add(strings.Clone(text))
}

// Numbered is the text that Number gave this number to, or empty.
func (t *Texts) Numbered(number uint32) string {
	if int(number) >= len(t.names) {
		return ""
	}
	return t.names[number]
}

func (t *Texts) add(name string) uint32 {
	if t.numbers == nil {
		t.numbers = make(map[string]uint32)
	}
	number := uint32(len(t.names))
	t.names, t.numbers[name] = append(t.names, name), number
	return number
}

// Rare are texts that few of many items have. The zero value is empty.
type Rare struct{ texts map[int]string }

// Set gives an item its text; an empty one is none.
func (r *Rare) Set(i int, text string) {
	switch {
	case text == "":
		delete(r.texts, i)
	case r.texts == nil:
		r.texts = map[int]string{i: text}
	default:
		r.texts[i] = text
	}
}

// Get is the text of an item, or empty.
func (r *Rare) Get(i int) string { return r.texts[i] }

// Each visits the items with a text, in any order.
func (r *Rare) Each(visit func(i int, text string)) {
	for i, text := range r.texts {
		visit(i, text)
	}
}
