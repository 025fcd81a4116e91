package core

import (
	"slices"
	"strings"
	"unicode"
)

// plainMessage is a message without what may change while the finding stays the same: white space, and the positions
// that some tools repeat in it, which move with the code.
func plainMessage(message string) string { return collapse(dropPositions(message)) }

func collapse(text string) string { return strings.Join(strings.Fields(text), " ") }

// dropPositions leaves out the numbers behind a colon or a word for a line or column.
func dropPositions(text string) string {
	var kept strings.Builder
	from := 0
	for at := 0; at < len(text); at++ {
		if !isDigit(text[at]) || at > 0 && isDigit(text[at-1]) || !isPosition(text[:at]) {
			continue
		}
		kept.WriteString(text[from:at])
		for at < len(text) && isDigit(text[at]) {
			at++
		}
		from = at
	}
	return kept.String() + text[from:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPosition tells whether the number after text is one of a line or column.
func isPosition(text string) bool {
	if strings.HasSuffix(text, ":") {
		return true
	}
	text = strings.TrimRight(text, " :")
	word := text[strings.LastIndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })+1:]
	return slices.Contains([]string{"line", "lines", "column", "columns", "col"}, strings.ToLower(word))
}
