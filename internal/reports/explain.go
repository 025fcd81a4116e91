package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// explain turns an error of reading or decoding into one that says where and what. Errors of the input itself pass
// unchanged. The value being decoded began at the given offset.
func (c *cursor) explain(err error, began int64) error {
	var syntax *syntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case c.input.err != nil && !errors.Is(c.input.err, io.EOF) && errors.Is(err, c.input.err):
		return err
	case errors.As(err, &syntax):
		return c.invalidAt(syntax.offset, c.pointer(""), "not valid JSON: %s", syntax)
	case errors.As(err, &mismatch):
		return c.invalidAt(began+mismatch.Offset, c.pointer(mismatch.Field),
			"must be %s, not %s", wanted(mismatch.Type), mismatch.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return c.invalidAt(c.input.read, c.pointer(""), "the report ends too early; was it written completely?")
	}
	return err
}

// invalid is the error for a value that has just been read.
func (c *cursor) invalid(format string, args ...any) error {
	return c.invalidIn("", format, args...)
}

// invalidIn is invalid for a field of that value, members separated by dots.
func (c *cursor) invalidIn(field, format string, args ...any) error {
	return c.invalidAt(c.offset(), c.pointer(field), format, args...)
}

func (c *cursor) invalidAt(offset int64, pointer, format string, args ...any) error {
	line, column := c.input.position(offset)
	return fmt.Errorf("%w: %s: %s (line %d, column %d, byte %d)",
		core.ErrInvalid, pointer, fmt.Sprintf(format, args...), line, column, offset)
}

// pointer is the JSON pointer (RFC 6901) of the cursor, or of a field below it.
func (c *cursor) pointer(field string) string {
	var pointer strings.Builder
	for _, step := range c.path {
		pointer.WriteByte('/')
		if step.index >= 0 {
			pointer.WriteString(strconv.Itoa(step.index))
			continue
		}
		pointer.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(clip(step.key, maxKey)))
	}
	if field != "" {
		pointer.WriteString("/" + strings.ReplaceAll(field, ".", "/"))
	}
	if pointer.Len() == 0 {
		return "the whole document"
	}
	return pointer.String()
}

// maxKey bounds what an error repeats of a key.
const maxKey = 100

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
