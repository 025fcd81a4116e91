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
	array  bool
	empty  bool     // an array without elements: what many scanners write when all is well
	keys   []string // of the object, or of the array's first element
	schema string   // the object's $schema
}

// shapeOf looks at the head of a report. A head that ends in the middle of a value shows what stands before.
func shapeOf(head []byte) shape {
	decoder := json.NewDecoder(bytes.NewReader(head))
	token, err := decoder.Token()
	if err != nil {
		return shape{}
	}
	if token != json.Delim('[') {
		return keysOf(decoder, token)
	}
	first, err := decoder.Token()
	seen := keysOf(decoder, first)
	seen.array = true
	seen.empty = err == nil && first == json.Delim(']')
	return seen
}

func keysOf(decoder *json.Decoder, opening json.Token) shape {
	var seen shape
	if opening != json.Delim('{') {
		return seen
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return seen
		}
		seen.keys = append(seen.keys, key.(string))
		if key == "$schema" {
			err = decoder.Decode(&seen.schema)
		} else {
			err = decoder.Decode(&ignored{})
		}
		if err != nil {
			return seen
		}
	}
	return seen
}

func (s shape) has(key string) bool { return slices.Contains(s.keys, key) }

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
