// Package jsonscan reads JSON documents of any size from a stream. Scanner passes from value to value and checks their
// syntax; Cursor walks through objects and arrays, decodes what its caller asks for, and says of every mistake where it
// is; Sniff is what the beginning of a document shows of its form.
package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Options bound what a document may cost.
type Options struct {
	MaxBytes    int64 // of the document
	MaxElements int   // of one array that Array visits
	Verbatim    bool  // refuse text that can only be stored changed: NUL, what is not UTF-8, halves of characters
}

// Cursor walks through a JSON document and knows at every moment where it is. Its errors wrap core.ErrInvalid, with
// line, column, byte offset and JSON pointer of the mistake, or core.ErrTooLarge. What the reader itself fails with is
// passed on.
type Cursor struct {
	options Options
	input   *input
	scanner *Scanner
	path    []step        // from the root of the document to the cursor
	json    *json.Decoder // decodes the values that feed hands to it
	feed    feed
}

// step is one member or element on the way to the cursor.
type step struct {
	key   string
	index int // of the element; -1 for members
}

// NewCursor returns a Cursor at the beginning of the document in r.
func NewCursor(r io.Reader, options Options) *Cursor {
	in := &input{reader: r, max: options.MaxBytes}
	return &Cursor{options: options, input: in, scanner: NewScanner(in)}
}

// Members are what Object does with the members of an object.
type Members map[string]func() error

// Object walks through the next value, an object; null counts as an empty one. It skips the members that use does not
// name. The others must not occur twice, because readers disagree on which of the two counts.
func (c *Cursor) Object(use Members) error {
	seen := make(map[string]bool, len(use))
	return c.Each(func(key string) error {
		visit := use[key]
		if visit == nil {
			return c.Skip()
		}
		if seen[key] {
			return c.Invalid("occurs twice in its object")
		}
		seen[key] = true
		return visit()
	})
}

// Each visits all members of the next value, an object; null counts as an empty one.
func (c *Cursor) Each(visit func(key string) error) error {
	found, err := c.enter('{')
	if err != nil || !found {
		return err
	}
	return c.eachMember(visit)
}

// Array visits the elements of the next value, an array; null counts as an empty one.
func (c *Cursor) Array(visit func() error) error {
	_, err := c.ArrayOrNull(visit)
	return err
}

// ArrayOrNull is Array, and tells whether there was an array.
func (c *Cursor) ArrayOrNull(visit func() error) (found bool, err error) {
	found, err = c.enter('[')
	if err != nil || !found {
		return false, err
	}
	count := 0
	return true, c.eachElement(func() error {
		if count++; count > c.options.MaxElements {
			return c.TooLarge("more than %d elements", c.options.MaxElements)
		}
		return visit()
	})
}

// OneOrMany visits the next value, or each element of it where it is an array.
func (c *Cursor) OneOrMany(visit func() error) error {
	many, err := c.IsArray()
	switch {
	case err != nil:
		return err
	case many:
		return c.Array(visit)
	}
	return visit()
}

// ArrayIfAny visits each element of the next value where it is an array, and passes it where it is not.
func (c *Cursor) ArrayIfAny(visit func() error) error {
	list, err := c.IsArray()
	switch {
	case err != nil:
		return err
	case list:
		return c.Array(visit)
	}
	return c.Skip()
}

// IsArray tells whether the next value is an array.
func (c *Cursor) IsArray() (bool, error) {
	first, err := c.begins()
	return first == '[', err
}

// Decode reads the next value whole, numbers of unknown type as json.Number.
func (c *Cursor) Decode(into any) error {
	value, err := c.Read()
	if err != nil {
		return err
	}
	return c.Unmarshal(value, into)
}

// Read returns the next value, whose syntax is known to be right, until the cursor moves on.
func (c *Cursor) Read() ([]byte, error) {
	c.mark()
	value, err := c.scanner.Value()
	if err != nil {
		return nil, c.explain(err, 0)
	}
	if c.options.Verbatim {
		if at, fault := core.JSONFault(value); fault != "" {
			return nil, c.invalidAt(c.scanner.Offset()-int64(len(value)-at), c.pointer(""), "holds %s", fault)
		}
	}
	return value, nil
}

// Unmarshal decodes what Read has returned.
func (c *Cursor) Unmarshal(value []byte, into any) error {
	if hasManyParts(value) {
		return c.TooLarge("it has more than %d parts", maxParts)
	}
	if c.json == nil {
		c.json = numbersAsTexts(&c.feed)
	}
	c.feed.value = value
	if c.json.Decode(into) == nil {
		return nil
	}
	err := numbersAsTexts(bytes.NewReader(value)).Decode(into) // for an offset that counts from the value
	return c.explain(err, c.scanner.Offset()-int64(len(value)))
}

// Unmarshal is json.Unmarshal of a value whose syntax is known to be right. The error wraps core.ErrTooLarge for one of too many parts.
func Unmarshal(value []byte, into any) error {
	if hasManyParts(value) {
		return fmt.Errorf("%w: a value has more than %d parts", core.ErrTooLarge, maxParts)
	}
	return json.Unmarshal(value, into)
}

func hasManyParts(value []byte) bool {
	parts := 0
	for i := 0; i < len(value) && len(value) > maxParts; i++ {
		switch value[i] {
		case ',':
			parts++
		case '"':
			for i++; i < len(value) && value[i] != '"'; i++ {
				if value[i] == '\\' {
					i++
				}
			}
		}
	}
	return parts >= maxParts
}

func numbersAsTexts(r io.Reader) *json.Decoder {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	return decoder
}

// feed hands values to a decoder, one by one and whatever separates them.
type feed struct{ value []byte }

// Read implements io.Reader.
func (f *feed) Read(p []byte) (int, error) {
	if len(f.value) == 0 {
		return copy(p, "\n"), nil // a number only ends with the byte behind it
	}
	n := copy(p, f.value)
	f.value = f.value[n:]
	return n, nil
}

// Skip passes the next value without holding more of it than one of its members.
func (c *Cursor) Skip() error {
	first, err := c.begins()
	switch {
	case err != nil:
		return err
	case first == '{':
		c.scanner.at++
		return c.eachMember(func(string) error { return c.pass() })
	case first == '[':
		c.scanner.at++
		return c.eachElement(c.pass)
	}
	return c.pass()
}

// End makes sure that nothing follows the document.
func (c *Cursor) End() error {
	c.mark()
	c.scanner.keep = c.scanner.at
	switch _, err := c.scanner.Peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return c.Invalid("something follows the end of the report; deliver one report at a time")
	default:
		return c.explain(err, 0)
	}
}

// enter goes into an array or object; found is false for null.
func (c *Cursor) enter(delim byte) (found bool, err error) {
	first, err := c.begins()
	switch {
	case err != nil:
		return false, err
	case first == '{' || first == '[':
		c.scanner.at++
	default:
		err = c.pass()
	}
	switch {
	case err != nil || first == delim:
		return err == nil, err
	case first == 'n':
		return false, nil
	case delim == '{':
		return false, c.Invalid("must be an object, not %s", describe(first))
	}
	return false, c.Invalid("must be an array, not %s", describe(first))
}

// describe names the kind of the value that begins with a byte.
func describe(first byte) string {
	switch first {
	case '[':
		return "an array"
	case '{':
		return "an object"
	case '"':
		return "a string"
	case 't', 'f':
		return "a truth value"
	}
	return "a number"
}

// eachMember visits the members of the object that has been entered, and leaves it.
func (c *Cursor) eachMember(visit func(key string) error) error {
	for first := true; ; first = false {
		done, err := c.member(first)
		if done || err != nil {
			return err
		}
		key, err := c.readKey()
		if err != nil {
			return err
		}
		c.path = append(c.path, step{key: key, index: -1})
		if err := visit(key); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
}

// member passes the separator before a member, or the end of its object.
func (c *Cursor) member(first bool) (done bool, err error) {
	next, err := c.begins()
	if err != nil {
		return false, err
	}
	done, err = c.scanner.separate(next, '}', first)
	if err != nil {
		err = c.explain(err, 0)
	}
	return done, err
}

// readKey reads the name of a member and the colon behind it.
func (c *Cursor) readKey() (key string, err error) {
	first, err := c.begins()
	if err != nil {
		return "", err
	}
	if first != '"' {
		return "", c.explain(c.scanner.unexpected(atKey), 0)
	}
	if err := c.Decode(&key); err != nil {
		return "", err
	}
	if err := c.scanner.scanColon(); err != nil {
		return "", c.explain(err, 0)
	}
	return key, nil
}

// eachElement visits the elements of the array that has been entered, and leaves it.
func (c *Cursor) eachElement(visit func() error) error {
	for i := 0; ; i++ {
		next, err := c.begins()
		if err != nil {
			return err
		}
		if next == '}' && i == 0 {
			return c.explain(c.scanner.unexpected(atValue), 0)
		}
		c.path = append(c.path, step{index: i})
		done, err := c.scanner.separate(next, ']', i == 0)
		if err != nil {
			return c.explain(err, 0)
		}
		if !done {
			err = visit()
		}
		if err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
		if done {
			return nil
		}
	}
}

// pass reads a value that is not needed.
func (c *Cursor) pass() error {
	_, err := c.Read()
	return err
}

// begins returns the first byte of the next value, which tells its kind.
func (c *Cursor) begins() (byte, error) {
	c.mark()
	first, err := c.scanner.Next()
	if err != nil {
		return 0, c.explain(err, 0)
	}
	return first, nil
}

// mark notes in the input how far it has been used.
func (c *Cursor) mark() { c.input.consumed = c.scanner.Offset() }

const (
	maxValue = 16 << 20 // bytes of one value, because it is held in memory whole
	maxParts = 200_000  // members and elements of a value that is decoded: an empty one takes much more memory than its text
	maxKey   = 100      // bytes of a key that an error repeats
)

// Invalid is the error for a value that has just been read.
func (c *Cursor) Invalid(format string, args ...any) error {
	return c.InvalidIn("", format, args...)
}

// InvalidIn is Invalid for a field of that value, members separated by dots.
func (c *Cursor) InvalidIn(field, format string, args ...any) error {
	return c.invalidAt(c.scanner.Offset(), c.pointer(field), format, args...)
}

func (c *Cursor) invalidAt(offset int64, pointer, format string, args ...any) error {
	line, column := c.input.position(offset)
	return fmt.Errorf("%w: %s: %s (line %d, column %d, byte %d)",
		core.ErrInvalid, pointer, fmt.Sprintf(format, args...), line, column, offset)
}

// TooLarge is the error for a value that has more parts than it may.
func (c *Cursor) TooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", core.ErrTooLarge, c.pointer(""), fmt.Sprintf(format, args...))
}

// explain turns an error of scanning or decoding into one that says where and what. Errors of the input itself pass
// unchanged. The value being decoded began at the given offset.
func (c *Cursor) explain(err error, began int64) error {
	var syntax *SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case c.input.err != nil && !errors.Is(c.input.err, io.EOF) && errors.Is(err, c.input.err):
		return err
	case errors.As(err, &syntax):
		return c.invalidAt(syntax.Offset, c.pointer(""), "not valid JSON: %s", syntax)
	case errors.As(err, &mismatch):
		return c.invalidAt(began+mismatch.Offset, c.pointer(mismatch.Field),
			"must be %s, not %s", wanted(mismatch.Type), mismatch.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return c.invalidAt(c.input.read, c.pointer(""), "the report ends too early; was it written completely?")
	}
	return err
}

// wanted names the JSON value that a Go type is decoded from.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Float64:
		return "a number"
	}
	return "an object"
}

// pointer is the JSON pointer (RFC 6901) of the cursor, or of a field below it.
func (c *Cursor) pointer(field string) string {
	var pointer strings.Builder
	for _, step := range c.path {
		pointer.WriteByte('/')
		if step.index >= 0 {
			pointer.WriteString(strconv.Itoa(step.index))
			continue
		}
		pointer.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(core.Clip(step.key, maxKey)))
	}
	if field != "" {
		pointer.WriteString("/" + strings.ReplaceAll(field, ".", "/"))
	}
	if pointer.Len() == 0 {
		return "the whole document"
	}
	return pointer.String()
}
