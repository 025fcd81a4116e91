package collect

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

// Clean makes a text storable and showable, and at most limit bytes long.
func Clean(text string, limit int) string { return core.Clip(core.Printable(text), limit) }

// WebAddress lets only links pass that are safe to click on.
func WebAddress(address string, limit int) string {
	parsed, err := url.Parse(strings.TrimSpace(address))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || len(address) > limit {
		return ""
	}
	return parsed.String()
}

// Unmasked is a secret, or empty for one that the scanner masked: all of those look alike.
func Unmasked(secret string) string {
	if secrets.IsMasked(secret) {
		return ""
	}
	return secret
}

// numbered is a line of source code with its number before it: "12: code", "12 code".
var numbered = regexp.MustCompile(`^\s*(\d+):?[ \t]?(.*)$`)

// Unnumbered cuts the lines from start to end out of source code whose lines bear their numbers, because numbers change
// when code moves. Code without numbers stays as it is.
func Unnumbered(code string, start, end int) string {
	var kept []string
	for line := range strings.Lines(code) {
		parts := numbered.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if parts == nil {
			if strings.TrimSpace(line) != "" {
				return code
			}
			continue
		}
		if number, err := strconv.Atoi(parts[1]); err == nil && number >= start && number <= max(start, end) {
			kept = append(kept, parts[2])
		}
	}
	return strings.Join(kept, "\n")
}

var (
	// unread matches warnings that a file was not searched, or not whole: those that Semgrep and others do not call errors.
	unread = regexp.MustCompile(`(?i)(syntax|pars(e|er|ing)|lexical)[ -]?(error|fail)|(could not|cannot|failed to|unable to) (be )?pars|` +
		`partial ?pars|time(d )?[ -]?out|out of memory`)

	// placed finds the file in the first line of Semgrep's: "Syntax error at line src/a.js:3:", "Timeout when running x on a.js:".
	placed = regexp.MustCompile(`^[^\n]*?\b(?:at line|on) ([^\n]+?)(?::\d+)?:[ \t]*(?:\n|$)`)
)

// SaysUnread tells whether a warning says that something was not searched, or not whole.
func SaysUnread(text string) bool { return unread.MatchString(text) }

// FileIn is the file that a warning is about, or empty.
func FileIn(text string) string {
	if found := placed.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
