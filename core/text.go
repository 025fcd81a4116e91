package core

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Faults of text from outside: PostgreSQL stores neither NUL nor text that is not UTF-8.
const (
	holdsNUL   = "a NUL character"
	holdsBytes = "bytes that are not UTF-8"
	holdsHalf  = `half a character (\ud800 to \udfff without the other half)`
)

// CheckText is ErrInvalid for text that cannot be stored; what names the text for people.
func CheckText(what, text string) error {
	switch {
	case strings.IndexByte(text, 0) >= 0:
		return fmt.Errorf("%w: %s holds %s", ErrInvalid, what, holdsNUL)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: %s holds %s", ErrInvalid, what, holdsBytes)
	}
	return nil
}

// JSONFault finds what JSON decoders replace without an error, or databases refuse. It returns the offset of the first such
// byte or escape and what it is, or an empty fault. The document need not be valid otherwise.
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

// escapeFault reads the escape at the beginning of text, which is one character or half of one.
func escapeFault(text []byte) (size int, fault string) {
	first, ok := unicodeEscape(text)
	switch {
	case !ok:
		return 2, "" // the backslash and the character that it escapes
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

// escapes are sequences that control a terminal: colours, titles, links.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x{9b}[0-?]*[ -/]*[@-~]`)

// WithoutEscapes is the output of a program without sequences that control a terminal.
func WithoutEscapes(text string) string {
	if !strings.ContainsAny(text, "\x1b\u009b") {
		return text
	}
	return escapes.ReplaceAllString(text, "")
}

// Printable makes text from outside safe to store and show: valid UTF-8 without characters that control a terminal or make
// text look other than it is. White space stays, and line breaks become \n. Every other such character is replaced by
// U+FFFD, not removed, so that no secret or name results that was not there before.
func Printable(text string) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return printable(text)
		}
	}
	return text
}

func printable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r) && unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || isHidden(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// isHidden is true for what nobody sees, but what programs or AI models read: line breaks that only some programs know, text
// direction, tags and other format characters. Those that shape visible letters, as within emoji, are allowed.
func isHidden(r rune) bool {
	switch r {
	case '\u2028', '\u2029':
		return true
	case '\u00ad', '\u200c', '\u200d': // soft hyphen, zero-width non-joiner and joiner
		return false
	}
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// Line is Printable on one line: line breaks and tabs become blanks.
func Line(text string) string {
	text = Printable(text)
	if !strings.ContainsAny(text, "\n\t") {
		return text
	}
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(text)
}

// Plural is a number with its noun: 1 finding, 2 findings.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Clip cuts a text to at most limit bytes, between two characters, with an ellipsis in place of the rest.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	end := max(limit-len(mark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if limit < len(mark) {
		return strings.Clone(text[:end]) // a copy, so that the rest does not stay in memory
	}
	return text[:end] + mark
}

// MaxDescription is the longest status text that every platform accepts, in characters (GitHub answers 422 above it).
const MaxDescription = 140

// Truncate shortens text to MaxDescription characters.
func Truncate(text string) string {
	if utf8.RuneCountInString(text) <= MaxDescription {
		return text
	}
	return string([]rune(text)[:MaxDescription-1]) + "…"
}

// AppendReason adds a reason to a summary. Where both are too long for a status text, the summary is cut.
func AppendReason(summary, reason string) string {
	if reason == "" {
		return summary
	}
	limit := MaxDescription - utf8.RuneCountInString(reason) - len(", ")
	if utf8.RuneCountInString(summary) > limit {
		summary = string([]rune(summary)[:max(limit-1, 0)]) + "…"
	}
	return summary + ", " + reason
}

// OnlyBMP replaces characters above U+FFFF, such as emoji: GitHub refuses statuses with such characters, and Gitea on an
// old MySQL fails.
func OnlyBMP(text string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xFFFF {
			return '?'
		}
		return r
	}, text)
}

// checkText refuses NUL, which no database stores, and texts above the limit.
func checkText(name, text string, limit int) error {
	switch {
	case len(text) > limit:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are kept", ErrInvalid, name, len(text), limit)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("%w: %s contains a NUL character", ErrInvalid, name)
	}
	return nil
}

// Change leaves a field as it is, sets it or empties it. The zero value leaves it as it is.
type Change[T comparable] struct {
	Set   bool
	Value *T // nil empties the field
}

// SetTo sets a field to value.
func SetTo[T comparable](value T) Change[T] { return Change[T]{Set: true, Value: &value} }

// equalValues compares pointers by what they point at.
func equalValues[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
