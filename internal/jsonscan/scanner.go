package jsonscan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
)

const (
	windowSize = 128 << 10 // bytes of a document that are read at once; a larger value makes the window grow
	maxDepth   = 10_000    // levels of nesting, as in encoding/json
)

// Where an unexpected byte was found, in the words of encoding/json.
const (
	atValue     = "looking for beginning of value"
	atKey       = "looking for beginning of object key string"
	afterKey    = "after object key"
	afterMember = "after object key:value pair"
	afterItem   = "after array element"
	inString    = "in string literal"
	inEscape    = "in string escape code"
	inNumber    = "in numeric literal"
	inLiteral   = "in literal"
	tooDeep     = "exceeded max depth"
)

// Scanner reads a JSON document value by value. It accepts what encoding/json accepts and checks each byte once, in a
// window that is moved along the document.
type Scanner struct {
	reader io.Reader
	window []byte
	at     int   // index of the next byte
	keep   int   // index of the first byte that is still needed
	base   int64 // offset of the window in the document
	failed error // of reader
}

// NewScanner returns a Scanner of the document in r.
func NewScanner(r io.Reader) *Scanner { return &Scanner{reader: r} }

// scannerOf returns a Scanner of a document in memory, which it leaves as it is.
func scannerOf(document []byte) Scanner { return Scanner{window: document, failed: io.EOF} }

// Elements are the elements of a list, each as its text without a copy; what is not a list has none. They end before an error.
func Elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s := scannerOf(list)
		if c, err := s.Next(); err != nil || c != '[' {
			return
		}
		s.at++
		for first := true; s.nextElement(first); first = false {
			begin := s.at
			if s.scan(1) != nil || !yield(s.window[begin:s.at:s.at]) {
				return
			}
		}
	}
}

// nextElement goes on to the next element of a list, if there is one.
func (s *Scanner) nextElement(first bool) bool {
	c, err := s.need()
	if err != nil {
		return false
	}
	if done, err := s.separate(c, ']', first); done || err != nil {
		return false
	}
	_, err = s.need()
	return err == nil
}

// Offset of the next byte.
func (s *Scanner) Offset() int64 { return s.base + int64(s.at) }

// Head returns the first bytes of the document, size of them unless it is shorter.
func (s *Scanner) Head(size int) ([]byte, error) {
	for len(s.window) < size && s.fill() {
		continue
	}
	if s.failed != nil && !errors.Is(s.failed, io.EOF) {
		return nil, s.failed
	}
	return s.window[:min(size, len(s.window))], nil
}

// Peek passes white space and returns the byte behind it; io.EOF at the end of the document.
func (s *Scanner) Peek() (byte, error) {
	for {
		for ; s.at < len(s.window); s.at++ {
			switch c := s.window[s.at]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return c, nil
			}
		}
		if !s.fill() {
			return 0, s.failed
		}
	}
}

// Next passes white space between two values, which is not needed any more.
func (s *Scanner) Next() (byte, error) {
	s.keep = s.at
	return s.need()
}

// need is Peek where the document must not end.
func (s *Scanner) need() (byte, error) {
	c, err := s.Peek()
	if err != nil {
		return 0, s.missing()
	}
	return c, nil
}

// Value reads the next value whole; it is valid until the stream is read again.
func (s *Scanner) Value() ([]byte, error) {
	if _, err := s.Next(); err != nil {
		return nil, err
	}
	s.keep = s.at
	if err := s.scan(0); err != nil {
		return nil, err
	}
	return s.window[s.keep:s.at], nil
}

// scan passes the value that begins at the next byte.
func (s *Scanner) scan(depth int) error {
	switch c := s.window[s.at]; c {
	case '{', '[':
		if depth >= maxDepth {
			return s.unexpected(tooDeep)
		}
		s.at++
		if c == '{' {
			return s.scanElements(depth+1, '}')
		}
		return s.scanElements(depth+1, ']')
	case '"':
		s.at++
		return s.scanString()
	case 't':
		return s.scanLiteral("true")
	case 'f':
		return s.scanLiteral("false")
	case 'n':
		return s.scanLiteral("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.scanNumber()
	}
	return s.unexpected(atValue)
}

// scanElements passes the members of an object, or the items of an array, up to its end.
func (s *Scanner) scanElements(depth int, end byte) error {
	for first := true; ; first = false {
		c, err := s.need()
		if err != nil {
			return err
		}
		if done, err := s.separate(c, end, first); done || err != nil {
			return err
		}
		if end == '}' {
			if err := s.scanKey(); err != nil {
				return err
			}
		}
		if _, err := s.need(); err != nil {
			return err
		}
		if err := s.scan(depth); err != nil {
			return err
		}
	}
}

// separate passes the comma between two elements, or the end of the array or object.
func (s *Scanner) separate(c, end byte, first bool) (done bool, err error) {
	switch {
	case c == end:
		s.at++
		return true, nil
	case first:
	case c == ',':
		s.at++
	case end == '}':
		return false, s.unexpected(afterMember)
	default:
		return false, s.unexpected(afterItem)
	}
	return false, nil
}

func (s *Scanner) scanKey() error {
	c, err := s.need()
	if err != nil {
		return err
	}
	if c != '"' {
		return s.unexpected(atKey)
	}
	s.at++
	if err := s.scanString(); err != nil {
		return err
	}
	return s.scanColon()
}

func (s *Scanner) scanColon() error {
	c, err := s.need()
	if err != nil {
		return err
	}
	if c != ':' {
		return s.unexpected(afterKey)
	}
	s.at++
	return nil
}

// scanString passes the rest of a string.
func (s *Scanner) scanString() error {
	for {
		s.at += PlainPrefix(s.window[s.at:])
		if s.at == len(s.window) {
			if !s.fill() {
				return s.missing()
			}
			continue
		}
		switch s.window[s.at] {
		case '"':
			s.at++
			return nil
		case '\\':
			s.at++
			if err := s.scanEscape(); err != nil {
				return err
			}
		default:
			return s.unexpected(inString)
		}
	}
}

func (s *Scanner) scanEscape() error {
	hex := 0
	switch s.here() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
	case 'u':
		hex = 4
	default:
		return s.wrong(inEscape)
	}
	s.at++
	for range hex {
		if c := s.here(); (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return s.wrong(inEscape)
		}
		s.at++
	}
	return nil
}

// here is the next byte, or 0 at the end; a document without errors has no byte 0.
func (s *Scanner) here() byte {
	if s.at == len(s.window) && !s.fill() {
		return 0
	}
	return s.window[s.at]
}

// wrong is the error for what here returned.
func (s *Scanner) wrong(where string) error {
	if s.at == len(s.window) {
		return s.missing()
	}
	return s.unexpected(where)
}

func (s *Scanner) scanLiteral(word string) error {
	for i := range len(word) {
		if s.here() != word[i] {
			return s.wrong(inLiteral + " " + word)
		}
		s.at++
	}
	return nil
}

func (s *Scanner) scanNumber() error {
	if s.here() == '-' {
		s.at++
	}
	if s.here() == '0' {
		s.at++
	} else if !s.scanDigits() {
		return s.wrong(inNumber)
	}
	if s.here() == '.' {
		if s.at++; !s.scanDigits() {
			return s.wrong(inNumber)
		}
	}
	if s.here()|0x20 != 'e' {
		return nil
	}
	s.at++
	if c := s.here(); c == '+' || c == '-' {
		s.at++
	}
	if !s.scanDigits() {
		return s.wrong(inNumber)
	}
	return nil
}

func (s *Scanner) scanDigits() (some bool) {
	for c := s.here(); c >= '0' && c <= '9'; c = s.here() {
		s.at++
		some = true
	}
	return some
}

// PlainPrefix counts the bytes of a string before the first one that ends or interrupts it: a quote, a backslash or a
// control character. It reads eight bytes at a time.
func PlainPrefix(text []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		word := binary.LittleEndian.Uint64(text[n:])
		quote, backslash := word^ones*'"', word^ones*'\\'
		found := (word-ones*' ')&^word | (quote-ones)&^quote | (backslash-ones)&^backslash
		if found &= tops; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for ; n < len(text); n++ {
		if c := text[n]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return n
}

// fill reads more of the document. It returns false at the end, or when the reader has failed.
func (s *Scanner) fill() bool {
	if s.failed != nil {
		return false
	}
	if s.keep > 0 {
		s.window = append(s.window[:0], s.window[s.keep:]...)
		s.base += int64(s.keep)
		s.at, s.keep = s.at-s.keep, 0
	}
	if len(s.window) == cap(s.window) {
		s.window = append(make([]byte, 0, max(2*cap(s.window), windowSize)), s.window...)
	}
	for {
		n, err := s.reader.Read(s.window[len(s.window):cap(s.window)])
		s.window = s.window[:len(s.window)+n]
		s.failed = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
}

// missing is the error for a document that ends too early.
func (s *Scanner) missing() error {
	if errors.Is(s.failed, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return s.failed
}

// SyntaxError says what is wrong with the byte at an offset.
type SyntaxError struct {
	Offset  int64
	problem string
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.problem }

// unexpected is the error for the next byte.
func (s *Scanner) unexpected(where string) error {
	return &SyntaxError{s.Offset(), fmt.Sprintf("invalid character %q %s", s.window[s.at], where)}
}
