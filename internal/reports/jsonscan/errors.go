package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

const (
	maxValue = 16 << 20 // bytes of one value, because it is held in memory whole
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

// input counts and bounds what is read. It remembers where lines begin, but only for the bytes that the cursor has not
// passed yet: errors are nowhere else.
type input struct {
	reader   io.Reader
	max      int64
	read     int64
	consumed int64 // offset of the value that is being read
	line     int   // newlines before newlines[0]
	lineEnd  int64 // offset after the last of them
	newlines []int64
	err      error // sticky
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.reader.Read(p)
	in.note(p[:n])
	in.read += int64(n)
	switch {
	case in.read > in.max:
		err = fmt.Errorf("%w: the report is larger than %d bytes", core.ErrTooLarge, in.max)
	case in.read-in.consumed > maxValue:
		err = fmt.Errorf("%w: one value of the report is larger than %d bytes", core.ErrTooLarge, maxValue)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: the report arrived only in part: %w", core.ErrInvalid, err)
	}
	in.err = err
	return n, err
}

// note remembers the line breaks of a chunk.
func (in *input) note(chunk []byte) {
	if len(in.newlines) > 1<<12 {
		in.forget()
	}
	offset := in.read
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			return
		}
		in.newlines = append(in.newlines, offset+int64(i))
		offset += int64(i) + 1
		chunk = chunk[i+1:]
	}
}

// forget drops the line breaks that have been consumed.
func (in *input) forget() {
	n := in.linesBefore(in.consumed)
	if n == 0 {
		return
	}
	in.line += n
	in.lineEnd = in.newlines[n-1] + 1
	in.newlines = append(in.newlines[:0], in.newlines[n:]...)
}

func (in *input) linesBefore(offset int64) int {
	return sort.Search(len(in.newlines), func(i int) bool { return in.newlines[i] >= offset })
}

// position translates an offset that is not yet consumed to a line and a column in bytes, both counted from 1.
func (in *input) position(offset int64) (line int, column int64) {
	n := in.linesBefore(offset)
	begin := in.lineEnd
	if n > 0 {
		begin = in.newlines[n-1] + 1
	}
	return in.line + n + 1, offset - begin + 1
}
