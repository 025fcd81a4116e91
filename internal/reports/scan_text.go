package reports

import (
	"encoding/binary"
	"math/bits"
)

// scanString passes the rest of a string.
func (s *stream) scanString() error {
	for {
		s.at += ordinary(s.window[s.at:])
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

func (s *stream) scanEscape() error {
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

// here is the next byte, or 0 at the end, where 0 may stand nowhere.
func (s *stream) here() byte {
	if s.at == len(s.window) && !s.fill() {
		return 0
	}
	return s.window[s.at]
}

// wrong is the error for what here returned.
func (s *stream) wrong(where string) error {
	if s.at == len(s.window) {
		return s.missing()
	}
	return s.unexpected(where)
}

func (s *stream) scanLiteral(word string) error {
	for i := range len(word) {
		if s.here() != word[i] {
			return s.wrong(inLiteral + " " + word)
		}
		s.at++
	}
	return nil
}

func (s *stream) scanNumber() error {
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

func (s *stream) scanDigits() (some bool) {
	for c := s.here(); c >= '0' && c <= '9'; c = s.here() {
		s.at++
		some = true
	}
	return some
}

// ordinary counts the bytes before the first that ends or interrupts a string: a quote, a backslash, a control
// character.
func ordinary(text []byte) int {
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
