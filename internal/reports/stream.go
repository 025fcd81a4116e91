package reports

import (
	"errors"
	"fmt"
	"io"
)

// windowSize is how much of a document is read at once, in bytes; values that are larger make the window grow.
const windowSize = 128 << 10

// stream reads a JSON document value by value. It accepts what encoding/json accepts and checks each byte once, in a
// window that is moved along the document.
type stream struct {
	reader io.Reader
	window []byte
	at     int   // index of the next byte
	keep   int   // index of the first byte that is still needed
	base   int64 // offset of the window in the document
	failed error // of reader
}

// offset of the next byte.
func (s *stream) offset() int64 { return s.base + int64(s.at) }

// fill reads on; false at the end, or when the reader has failed.
func (s *stream) fill() bool {
	if s.keep > 0 {
		s.window = append(s.window[:0], s.window[s.keep:]...)
		s.base += int64(s.keep)
		s.at, s.keep = s.at-s.keep, 0
	}
	if len(s.window) == cap(s.window) {
		s.window = append(make([]byte, 0, max(2*cap(s.window), windowSize)), s.window...)
	}
	for s.failed == nil {
		n, err := s.reader.Read(s.window[len(s.window):cap(s.window)])
		s.window = s.window[:len(s.window)+n]
		s.failed = err
		if n > 0 {
			return true
		}
	}
	return false
}

// missing is the error for a document that ends too early.
func (s *stream) missing() error {
	if errors.Is(s.failed, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return s.failed
}

// head returns the first bytes of the document, size of them unless it is shorter.
func (s *stream) head(size int) ([]byte, error) {
	for len(s.window) < size && s.fill() {
		continue
	}
	if s.failed != nil && !errors.Is(s.failed, io.EOF) {
		return nil, s.failed
	}
	return s.window[:min(size, len(s.window))], nil
}

// peek passes white space and returns the byte behind it; io.EOF at the end of the document.
func (s *stream) peek() (byte, error) {
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

// need is peek where the document must not end.
func (s *stream) need() (byte, error) {
	c, err := s.peek()
	if err != nil {
		return 0, s.missing()
	}
	return c, nil
}

// next passes white space between two values, which is not needed any more.
func (s *stream) next() (byte, error) {
	s.keep = s.at
	return s.need()
}

// punctuation passes a byte that must come next.
func (s *stream) punctuation(want byte, where string) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	if c != want {
		return s.unexpected(where)
	}
	s.at++
	return nil
}

// syntaxError says what is wrong with the byte at an offset.
type syntaxError struct {
	offset  int64
	problem string
}

func (e *syntaxError) Error() string { return e.problem }

// unexpected is the error for the next byte.
func (s *stream) unexpected(where string) error {
	return &syntaxError{s.offset(), fmt.Sprintf("invalid character %q %s", s.window[s.at], where)}
}
