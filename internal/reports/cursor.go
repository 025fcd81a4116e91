package reports

import (
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
	stream
	input  *input
	limits Limits
	pack   bool // the findings
	path   []step
	json   *json.Decoder // of the values that are fed to it
	fed    fed
}

// step is one member or element on the way from the document's root to the cursor.
type step struct {
	key   string
	index int // of the element; -1 for members
}

func open(r io.Reader, limits Limits) (*cursor, shape, error) {
	in := &input{reader: r, max: limits.MaxBytes}
	c := &cursor{stream: stream{reader: in}, input: in, limits: limits}
	head, err := c.head(headSize)
	if err != nil {
		return nil, shape{}, err
	}
	if rest, found := bytes.CutPrefix(head, []byte("\uFEFF")); found {
		c.at = len(head) - len(rest)
		head = rest
	}
	if err := checkHead(head); err != nil {
		return nil, shape{}, err
	}
	return c, shapeOf(head), nil
}

// checkHead names the mistakes that would otherwise surface as an obscure syntax error.
func checkHead(head []byte) error {
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return fmt.Errorf("%w: the report is empty: the scanner wrote nothing", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), utf16Like(head):
		return fmt.Errorf("%w: the report is in UTF-16; write it in UTF-8", core.ErrInvalid)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return fmt.Errorf("%w: the report is compressed; say so with Content-Encoding: gzip", core.ErrInvalid)
	case !bytes.ContainsAny(bytes.TrimSpace(head)[:1], "{[\"tfn-0123456789"):
		line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte("\n"))
		return fmt.Errorf("%w: the report begins with %q, which is not valid JSON: if that is a banner or a log line, have the "+
			"scanner write its report to a file of its own", core.ErrInvalid, clean(string(line), maxKey))
	}
	return nil
}

// utf16Like tells UTF-16 without a mark by its first characters, which are ASCII in every report.
func utf16Like(head []byte) bool {
	return len(head) >= 2 && (head[0] == 0) != (head[1] == 0)
}

// decode reads the next value whole.
func (c *cursor) decode(into any) error {
	value, err := c.read()
	if err != nil {
		return err
	}
	return c.unmarshal(value, into)
}

// read returns the next value, whose syntax is known to be right, until the cursor moves on.
func (c *cursor) read() ([]byte, error) {
	c.mark()
	value, err := c.value()
	if err != nil {
		return nil, c.explain(err, 0)
	}
	if c.limits.Verbatim {
		if at, fault := core.JSONFault(value); fault != "" {
			return nil, c.invalidAt(c.offset()-int64(len(value)-at), c.pointer(""), "holds %s", fault)
		}
	}
	return value, nil
}

func (c *cursor) unmarshal(value []byte, into any) error {
	if c.json == nil {
		c.json = numbersAsTexts(&c.fed)
	}
	c.fed.value = value
	if c.json.Decode(into) == nil {
		return nil
	}
	err := numbersAsTexts(bytes.NewReader(value)).Decode(into) // for an offset that counts from the value
	return c.explain(err, c.offset()-int64(len(value)))
}

func numbersAsTexts(r io.Reader) *json.Decoder {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	return decoder
}

// fed hands values to a decoder, one by one and whatever separates them.
type fed struct{ value []byte }

// Read implements io.Reader.
func (f *fed) Read(p []byte) (int, error) {
	if len(f.value) == 0 {
		return copy(p, "\n"), nil // the end of a number shows in what follows
	}
	n := copy(p, f.value)
	f.value = f.value[n:]
	return n, nil
}

// begins tells by its first byte what the next value is.
func (c *cursor) begins() (byte, error) {
	c.mark()
	first, err := c.next()
	if err != nil {
		return 0, c.explain(err, 0)
	}
	return first, nil
}

// mark tells the input what has been read.
func (c *cursor) mark() { c.input.consumed = c.offset() }

// skip passes the next value without holding more of it than one of its members.
func (c *cursor) skip() error {
	first, err := c.begins()
	switch {
	case err != nil:
		return err
	case first == '{':
		c.at++
		return c.each(func(string) error { return c.pass() })
	case first == '[':
		c.at++
		return c.elements(c.pass)
	}
	return c.pass()
}

// pass is read for a value that nobody wants.
func (c *cursor) pass() error {
	_, err := c.read()
	return err
}

// end makes sure that nothing follows the document.
func (c *cursor) end() error {
	c.mark()
	c.keep = c.at
	switch _, err := c.peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return c.invalid("something follows the end of the report; deliver one report at a time")
	default:
		return c.explain(err, 0)
	}
}
