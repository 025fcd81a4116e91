package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/scanhook/scanhook/core"
)

// headSize is how far into a report we look to tell its format.
const headSize = 64 << 10

// cursor walks through a JSON document of any size and knows at every moment where it is.
type cursor struct {
	json   *json.Decoder
	input  *input
	limits Limits
	begin  int64 // bytes before the document: a byte order mark
	lead   int64 // bytes that separate the next value from what the decoder consumed: a colon, a comma, or nothing
	path   []step
}

// step is one member or element on the way from the document's root to the cursor.
type step struct {
	key   string
	index int // of the element; -1 for members
}

func open(r io.Reader, limits Limits) (*cursor, shape, error) {
	in := &input{reader: r, max: limits.MaxBytes}
	buffered := bufio.NewReaderSize(in, headSize)
	head, err := buffered.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, shape{}, err
	}
	c := &cursor{input: in, limits: limits}
	if rest, found := bytes.CutPrefix(head, []byte("\uFEFF")); found {
		c.begin = int64(len(head) - len(rest))
		head = rest
		_, _ = buffered.Discard(int(c.begin)) // cannot fail: the bytes have been peeked at
	}
	if err := checkHead(head); err != nil {
		return nil, shape{}, err
	}
	c.json = json.NewDecoder(buffered)
	c.json.UseNumber()
	return c, shapeOf(head), nil
}

// checkHead names the mistakes that would otherwise surface as an obscure syntax error.
func checkHead(head []byte) error {
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return fmt.Errorf("%w: the report is empty: the scanner wrote nothing", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return fmt.Errorf("%w: the report is in UTF-16; write it in UTF-8", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return fmt.Errorf("%w: the report is compressed; say so with Content-Encoding: gzip", core.ErrInvalid)
	}
	return nil
}

// decode reads the next value whole.
func (c *cursor) decode(into any) error {
	before := c.mark()
	if err := c.json.Decode(into); err != nil {
		return c.explain(err, before+c.lead)
	}
	return nil
}

func (c *cursor) token() (json.Token, error) {
	before := c.mark()
	token, err := c.json.Token()
	if err != nil {
		return nil, c.explain(err, before)
	}
	return token, nil
}

func (c *cursor) mark() int64 {
	c.input.consumed = c.offset()
	return c.input.consumed
}

func (c *cursor) offset() int64 { return c.begin + c.json.InputOffset() }

// skip passes the next value without holding more of it than one of its members.
func (c *cursor) skip() error {
	token, err := c.token()
	switch {
	case err != nil:
		return err
	case token == json.Delim('{'):
		return c.each(func(string) error { return c.decode(&ignored{}) })
	case token == json.Delim('['):
		return c.elements(func() error { return c.decode(&ignored{}) })
	}
	return nil
}

// end makes sure that nothing follows the document.
func (c *cursor) end() error {
	c.mark()
	switch _, err := c.json.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return c.invalid("something follows the end of the report; deliver one report at a time")
	default:
		return c.explain(err, c.offset())
	}
}
