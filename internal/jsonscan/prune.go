package jsonscan

import (
	"encoding"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"sync"
)

// Shaper is a type with an UnmarshalJSON of its own that reads no more of a value than encoding/json would for what Shape
// returns, a value of another type.
type Shaper interface{ Shape() any }

// Prune returns a document without the members of objects that encoding/json does not need to fill a value of target's type.
// It reads a document once, and several times as fast as encoding/json, which reads the rest in its own ways: that of names
// that only differ in case, of names that occur twice and of values of a wrong type. ok is false for what is not JSON.
func Prune(document []byte, target any) (pruned []byte, ok bool) {
	p := pruner{Scanner: scannerOf(document), out: make([]byte, 0, len(document)/4+64)}
	if _, err := p.need(); err != nil || p.value(shapeOf(reflect.TypeOf(target)), 0) != nil {
		return nil, false
	}
	_, err := p.Peek()
	return p.out, err == io.EOF //nolint:errorlint // as the scanner has it
}

type pruner struct {
	Scanner
	out []byte
}

// value copies what is needed of the value that begins at the next byte.
func (p *pruner) value(s *shape, depth int) error {
	begin := p.at
	switch {
	case p.window[begin] == '{' && s.members != nil:
		return p.elements(s, depth, '}')
	case p.window[begin] == '[' && s.element != nil:
		return p.elements(s, depth, ']')
	}
	err := p.scan(depth)
	p.out = append(p.out, p.window[begin:p.at]...)
	return err
}

// elements copies what is needed of an object or an array.
func (p *pruner) elements(s *shape, depth int, end byte) error {
	if depth >= maxDepth {
		return p.unexpected(tooDeep)
	}
	p.out = append(p.out, p.window[p.at])
	p.at++
	empty := len(p.out)
	for first := true; ; first = false {
		c, err := p.need()
		if err != nil {
			return err
		}
		if done, err := p.separate(c, end, first); err != nil {
			return err
		} else if done {
			p.out = append(p.out, end)
			return nil
		}
		if err := p.one(s, depth+1, end, len(p.out) > empty); err != nil {
			return err
		}
	}
}

// one copies a member or an element if it is needed.
func (p *pruner) one(s *shape, depth int, end byte, comma bool) error {
	if _, err := p.need(); err != nil {
		return err
	}
	needed, name := s.element, p.at
	if end == '}' {
		if err := p.scanKey(); err != nil {
			return err
		}
		needed = s.needs(p.window[name+1 : p.at])
	}
	after := p.at
	if _, err := p.need(); err != nil {
		return err
	}
	if needed == nil {
		return p.scan(depth)
	}
	if comma {
		p.out = append(p.out, ',')
	}
	if end == '}' {
		p.out = append(p.out, p.window[name:after]...)
	}
	return p.value(needed, depth)
}

// shape is what is needed of a value: members of an object by their names in lower case, or elements of an array; all of it
// where it has neither.
type shape struct {
	members map[string]*shape
	element *shape
}

var whole = &shape{}

// longestName of a member that is compared, in bytes.
const longestName = 64

// needs is the shape of a member by the text behind its opening quote; nil where it is not needed.
func (s *shape) needs(text []byte) *shape {
	var lower [longestName]byte
	for i, c := range text {
		switch {
		case c == '"':
			return s.members[string(lower[:i])]
		case i == longestName || c == '\\' || c >= 0x80:
			return whole // for encoding/json to compare
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return whole
}

var shapes sync.Map // of types

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape) //nolint:forcetypeassert // nothing else is stored
	}
	made := makeShape(t, map[reflect.Type]bool{})
	shapes.Store(t, made)
	return made
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// makeShape takes types that contain themselves whole.
func makeShape(t reflect.Type, within map[reflect.Type]bool) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if within[t] {
		return whole
	}
	within[t] = true
	defer delete(within, t)
	if shaper, ok := reflect.Zero(t).Interface().(Shaper); ok {
		return makeShape(reflect.TypeOf(shaper.Shape()), within)
	}
	if pointer := reflect.PointerTo(t); pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler) {
		return whole
	}
	switch t.Kind() { //nolint:exhaustive // others have no parts, or any
	case reflect.Struct:
		return shapeOfStruct(t, within)
	case reflect.Slice:
		if element := makeShape(t.Elem(), within); element != whole {
			return &shape{element: element}
		}
	}
	return whole
}

func shapeOfStruct(t reflect.Type, within map[reflect.Type]bool) *shape {
	members := map[string]*shape{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		name = strings.ToLower(name)
		if _, twice := members[name]; twice || len(name) > longestName {
			return whole
		}
		members[name] = makeShape(field.Type, within)
	}
	return &shape{members: members}
}
