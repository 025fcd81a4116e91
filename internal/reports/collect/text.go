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
