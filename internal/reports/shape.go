package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// shape is what the first bytes of a report show of it: enough to tell the formats apart.
type shape struct {
	array   bool
	empty   bool // an array without elements: what many scanners write when all is well
	null    bool // what others write then
	keys    []string
	members map[string]shape // of the object, or of the array's first element; two levels deep
	schema  string           // the object's $schema
}

// shapeDepth is how far into objects we look: at the members of the elements of a member of the report.
const shapeDepth = 2

// shapeOf looks at the head of a report. A head that ends in the middle of a value shows what stands before.
func shapeOf(head []byte) shape {
	seen, _ := see(json.NewDecoder(bytes.NewReader(head)), shapeDepth)
	return seen
}

// see looks at the next value. On an error it returns what it has seen so far.
func see(decoder *json.Decoder, depth int) (shape, error) {
	token, err := decoder.Token()
	switch {
	case err != nil:
		return shape{}, err
	case token == nil:
		return shape{null: true}, nil
	case token == json.Delim('['):
		return seeArray(decoder, depth)
	case token == json.Delim('{'):
		return seeObject(decoder, depth)
	}
	return shape{}, nil
}

// seeArray looks at the first element and passes the others.
func seeArray(decoder *json.Decoder, depth int) (shape, error) {
	if !decoder.More() {
		_, err := decoder.Token()
		return shape{array: true, empty: err == nil}, err
	}
	seen, err := see(decoder, depth)
	seen.array, seen.empty, seen.null = true, false, false
	for err == nil && decoder.More() {
		err = decoder.Decode(&ignored{})
	}
	if err == nil {
		_, err = decoder.Token()
	}
	return seen, err
}

func seeObject(decoder *json.Decoder, depth int) (shape, error) {
	seen := shape{members: make(map[string]shape)}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return seen, err
		}
		key, _ := token.(string) // the decoder accepts nothing else as a key
		seen.keys = append(seen.keys, key)
		switch {
		case key == "$schema":
			err = decoder.Decode(&seen.schema)
		case depth > 0:
			seen.members[key], err = see(decoder, depth-1)
		default:
			err = decoder.Decode(&ignored{})
		}
		if err != nil {
			return seen, err
		}
	}
	_, err := decoder.Token()
	return seen, err
}

// has tells whether the object, or the array's first element, has all these members.
func (s shape) has(keys ...string) bool {
	for _, key := range keys {
		if !slices.Contains(s.keys, key) {
			return false
		}
	}
	return true
}

// hasAny is has for one of several signs.
func (s shape) hasAny(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return s.has(key) })
}

// object tells whether the report is an object.
func (s shape) object() bool { return !s.array && s.members != nil }

// member is the shape of a member's value.
func (s shape) member(key string) shape { return s.members[key] }

// bare tells that there is an array without anything in it, or null in its place.
func (s shape) bare() bool { return s.empty || s.null }

// String describes the shape for people.
func (s shape) String() string {
	const shown = 6
	if len(s.keys) == 0 && !s.array {
		return "neither an object with members nor an array"
	}
	keys := make([]string, 0, shown)
	for _, key := range s.keys[:min(len(s.keys), shown)] {
		keys = append(keys, fmt.Sprintf("%.40q", key))
	}
	if len(s.keys) > shown {
		keys = append(keys, "…")
	}
	what := "an object with "
	if s.array {
		what = "an array of something else than objects"
		if len(s.keys) > 0 {
			what = "an array of objects with "
		}
	}
	return what + strings.Join(keys, ", ")
}

// ignored reads any JSON value and keeps nothing of it.
type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*ignored) UnmarshalJSON([]byte) error { return nil }
