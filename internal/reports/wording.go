package reports

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// stated translates a tool's word for a severity. A finding without one, or with a word that nobody knows, is Medium,
// as a SARIF result without a level is.
func stated(severity any) core.Severity {
	word := strings.ToLower(strings.TrimSpace(strings.Join(words(severity), " ")))
	switch word {
	case "undefined", "experimental", "experiment", "inventory":
		return core.Low
	}
	if severity, ok := core.SeverityFromWord(word); ok {
		return severity
	}
	return core.Medium
}

// dependency is a vulnerable package.
type dependency struct{ name, version string }

// String is the package as people write it: lodash@4.17.20.
func (d dependency) String() string {
	if d.version == "" {
		return d.name
	}
	return d.name + "@" + d.version
}

// title puts the package before what is wrong with it.
func (d dependency) title(what string) string {
	if d.name == "" || strings.Contains(what, d.String()) {
		return what
	}
	return strings.TrimSuffix(d.String()+": "+what, ": ")
}

// fixedIn is the advice for a vulnerable package, empty where no fixed version is known.
func fixedIn(versions ...string) string {
	fixed := strings.Trim(strings.Join(versions, ", "), ", ")
	if fixed == "" {
		return ""
	}
	return "Fixed in " + fixed + "."
}

// because is a pointer to the reason for which a tool hides a finding.
func because(reason string) *string { return &reason }

// numbered is a line of source code with its number before it: "12: code", "12 code".
var numbered = regexp.MustCompile(`^\s*(\d+):?[ \t]?(.*)$`)

// masked is the mask of a secret, empty for one that the scanner has masked: all of those look alike.
func masked(secret string) string {
	if core.IsMasked(secret) {
		return ""
	}
	return core.Mask(secret)
}

// unnumbered cuts the lines from start to end out of source code whose lines bear their numbers, because numbers change
// when code moves. Code without numbers stays as it is.
func unnumbered(code string, start, end int) string {
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
