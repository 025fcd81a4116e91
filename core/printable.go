package core

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes are the sequences by which programs steer a terminal: colours, titles, links.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x{9b}[0-?]*[ -/]*[@-~]`)

// WithoutEscapes is what a program has printed without what it told the terminal.
func WithoutEscapes(text string) string {
	if !strings.ContainsAny(text, "\x1b\u009b") {
		return text
	}
	return escapes.ReplaceAllString(text, "")
}

// Printable makes text from outside fit to be stored and shown: valid UTF-8 without characters that steer a terminal or
// make text look other than it is. White space stays, line breaks as \n; anything else is replaced by U+FFFD, one for
// one, so that what was no secret or no name does not become one.
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
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || isHidden(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// isHidden tells line breaks that only some programs take for such, and tags, which nobody sees but a machine reads.
func isHidden(r rune) bool { return r == '\u2028' || r == '\u2029' || 0xE0000 <= r && r <= 0xE007F }

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
