package core

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What text from outside may not hold: PostgreSQL stores no NUL, and nothing but UTF-8.
const (
	holdsNUL   = "a NUL character"
	holdsBytes = "bytes that are not UTF-8"
	holdsHalf  = `half a character (\ud800 to \udfff without the other half)`
)

// CheckText is ErrInvalid for text that cannot be stored as it is; what names it for people.
func CheckText(what, text string) error {
	switch {
	case strings.IndexByte(text, 0) >= 0:
		return fmt.Errorf("%w: %s holds %s", ErrInvalid, what, holdsNUL)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: %s holds %s", ErrInvalid, what, holdsBytes)
	}
	return nil
}

// JSONFault finds in a JSON document what decoders silently replace or databases refuse: it returns the offset of the
// first such byte or escape and what it is, or an empty fault. The document need not be valid otherwise.
func JSONFault(document []byte) (at int, fault string) {
	if at := bytes.IndexByte(document, 0); at >= 0 {
		return at, holdsNUL
	}
	if !utf8.Valid(document) {
		return invalidUTF8(document), holdsBytes
	}
	for at < len(document) {
		next := bytes.IndexByte(document[at:], '\\')
		if next < 0 {
			break
		}
		at += next
		size, fault := escapeFault(document[at:])
		if fault != "" {
			return at, fault
		}
		at += size
	}
	return 0, ""
}

func invalidUTF8(document []byte) (at int) {
	for at < len(document) {
		r, size := utf8.DecodeRune(document[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// escapeFault reads the escape at the beginning of text, which stands for one character or for half of one.
func escapeFault(text []byte) (size int, fault string) {
	first, ok := unicodeEscape(text)
	switch {
	case !ok:
		return 2, "" // the backslash, and what it is for
	case first == 0:
		return 0, holdsNUL
	case !utf16.IsSurrogate(first):
		return 6, ""
	}
	if second, ok := unicodeEscape(text[6:]); ok && utf16.DecodeRune(first, second) != utf8.RuneError {
		return 12, ""
	}
	return 0, holdsHalf
}

// unicodeEscape is the number of an escape like \u00e9.
func unicodeEscape(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	number, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(number), err == nil
}
