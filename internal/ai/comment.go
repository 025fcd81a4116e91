package ai

import (
	"regexp"
	"strings"
)

// maxPlaces is how many places of a quote are looked at; so often nothing worth quoting occurs.
const maxPlaces = 100

var (
	commentLine = regexp.MustCompile(`^\s*(#|//|/\*|\*\s|<!--|--\s|;|%\s|(?i:rem)\s)`)
	commentTail = regexp.MustCompile(`(^|[^:])//|(^|\s)#|/\*|<!--|\s--\s`)
)

// blocks are the ends of comments over several lines; Python's are texts that nobody reads.
var blocks = []struct{ begin, end string }{{"/*", "*/"}, {"<!--", "-->"}, {`"""`, `"""`}, {"'''", "'''"}}

// inCode tells whether a quote stands somewhere else than in a comment. What a comment says is its author's claim, and
// no evidence. Languages are not told apart: what looks like a comment in one of them counts as one.
func inCode(source, quote string) bool {
	for at, places := 0, 0; places < maxPlaces; places++ {
		next := strings.Index(source[at:], quote)
		if next < 0 {
			return false
		}
		if at += next; !inComment(source, at+leadingSpace(quote)) {
			return true
		}
		at++
	}
	return false
}

func leadingSpace(text string) int { return len(text) - len(strings.TrimLeft(text, " \t\n")) }

func inComment(source string, at int) bool {
	begin := strings.LastIndexByte(source[:at], '\n') + 1
	line, _, _ := strings.Cut(source[begin:], "\n")
	before, from := source[begin:at], source[at:begin+len(line)]
	if commentLine.MatchString(line) || commentTail.MatchString(before) || commentLine.MatchString(from) {
		return true
	}
	for _, block := range blocks {
		open := strings.LastIndex(source[:at], block.begin) > strings.LastIndex(source[:at], block.end)
		if block.begin == block.end {
			open = strings.Count(source[:at], block.begin)%2 == 1
		}
		if open {
			return true
		}
	}
	return false
}
