package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

const (
	sniffSize  = 64 << 10 // bytes of a document that are looked at
	sniffDepth = 2        // levels of objects: the members of the elements of a member of the document
)

// Sniff is what the first bytes of a document show of its form: enough to distinguish the formats of reports.
type Sniff struct {
	Array  bool
	Empty  bool     // an array without elements: what many scanners write when all is well
	Null   bool     // what others write then
	Keys   []string // of the object, or of the array's first element
	Schema string   // the object's $schema

	members map[string]Sniff // by key
}

// Sniff looks at the beginning of the document, before anything of it is read. A beginning that ends in the middle of a
// value shows what comes before. Errors name the mistakes that would otherwise surface as an obscure syntax error.
func (c *Cursor) Sniff() (Sniff, error) {
	head, err := c.scanner.Head(sniffSize)
	if err != nil {
		return Sniff{}, err
	}
	if rest, found := bytes.CutPrefix(head, []byte("\uFEFF")); found {
		c.scanner.at = len(head) - len(rest)
		head = rest
	}
	if err := checkHead(head); err != nil {
		return Sniff{}, err
	}
	seen, _ := see(json.NewDecoder(bytes.NewReader(head)), sniffDepth)
	return seen, nil
}

func checkHead(head []byte) error {
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return fmt.Errorf("%w: the report is empty: the scanner wrote nothing", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), isUTF16(head):
		return fmt.Errorf("%w: the report is in UTF-16; write it in UTF-8", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return fmt.Errorf("%w: the report is compressed; say so with Content-Encoding: gzip", core.ErrInvalid)
	case !bytes.ContainsAny(bytes.TrimSpace(head)[:1], "{[\"tfn-0123456789"), hasBanner(bytes.TrimSpace(head)):
		line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte("\n"))
		return fmt.Errorf("%w: the report begins with %q, which is not valid JSON: if that is a banner or a log line, have the "+
			"scanner write its report to a file of its own", core.ErrInvalid, core.Clip(core.Printable(string(line)), maxKey))
	}
	return nil
}

// hasBanner tells whether the first line is no JSON though it begins like it, as [INFO] and 2026-01-02 do, and a later one begins
// an object or an array.
func hasBanner(head []byte) bool {
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.Contains(rest, []byte("\n{")) && !bytes.Contains(rest, []byte("\n[")) && !bytes.HasPrefix(rest, []byte("{")) &&
		!bytes.HasPrefix(rest, []byte("[")) {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	for {
		_, err := decoder.Token()
		if wrong := new(json.SyntaxError); err != nil {
			return errors.As(err, &wrong)
		}
	}
}

// isUTF16 recognizes UTF-16 without a byte order mark by its first character, which is ASCII in every report.
func isUTF16(head []byte) bool {
	return len(head) >= 2 && (head[0] == 0) != (head[1] == 0)
}

// see looks at the next value. On an error it returns what it has seen so far.
func see(decoder *json.Decoder, depth int) (Sniff, error) {
	token, err := decoder.Token()
	switch {
	case err != nil:
		return Sniff{}, err
	case token == nil:
		return Sniff{Null: true}, nil
	case token == json.Delim('['):
		return seeArray(decoder, depth)
	case token == json.Delim('{'):
		return seeObject(decoder, depth)
	}
	return Sniff{}, nil
}

// seeArray looks at the first element and passes the others.
func seeArray(decoder *json.Decoder, depth int) (Sniff, error) {
	if !decoder.More() {
		_, err := decoder.Token()
		return Sniff{Array: true, Empty: err == nil}, err
	}
	seen, err := see(decoder, depth)
	seen.Array, seen.Empty, seen.Null = true, false, false
	for err == nil && decoder.More() {
		err = decoder.Decode(&ignored{})
	}
	if err == nil {
		_, err = decoder.Token()
	}
	return seen, err
}

func seeObject(decoder *json.Decoder, depth int) (Sniff, error) {
	seen := Sniff{members: make(map[string]Sniff)}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return seen, err
		}
		key, _ := token.(string) // the decoder accepts nothing else as a key
		seen.Keys = append(seen.Keys, key)
		switch {
		case key == "$schema":
			err = decoder.Decode(&seen.Schema)
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

// ignored reads any JSON value and keeps nothing of it.
type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// Has tells whether the object, or the array's first element, has all these members.
func (s Sniff) Has(keys ...string) bool {
	for _, key := range keys {
		if !slices.Contains(s.Keys, key) {
			return false
		}
	}
	return true
}

// HasAny is Has for one of several members.
func (s Sniff) HasAny(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return s.Has(key) })
}

// Member is what is seen of a member's value.
func (s Sniff) Member(key string) Sniff { return s.members[key] }

// IsObject tells whether the value is an object.
func (s Sniff) IsObject() bool { return !s.Array && s.members != nil }

// OfObjects tells whether the value is an object or an array of objects.
func (s Sniff) OfObjects() bool { return s.members != nil }

// IsNothing tells whether the value is an array without elements, or null in its place.
func (s Sniff) IsNothing() bool { return s.Empty || s.Null }

// String describes the value for people.
func (s Sniff) String() string {
	const shown = 6
	if len(s.Keys) == 0 && !s.Array {
		return "neither an object with members nor an array"
	}
	keys := make([]string, 0, shown)
	for _, key := range s.Keys[:min(len(s.Keys), shown)] {
		keys = append(keys, fmt.Sprintf("%.40q", key))
	}
	if len(s.Keys) > shown {
		keys = append(keys, "…")
	}
	what := "an object with "
	if s.Array {
		what = "an array of something else than objects"
		if len(s.Keys) > 0 {
			what = "an array of objects with "
		}
	}
	return what + strings.Join(keys, ", ")
}
