package reports

import (
	"crypto/sha256"
	"encoding/hex"
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

var (
	// secretRule matches the rules that report secrets: the code that they point at is the secret.
	secretRule = regexp.MustCompile(`(?i)secret|passw|credential|api[-_]?key|private[-_]?key|access[-_]?token`)

	// numbered is a line of source code with its number before it: "12: code", "12 code".
	numbered = regexp.MustCompile(`^\s*(\d+):?[ \t]?(.*)$`)
)

// isSecret tells whether the source code of a finding must not be kept, because it holds a secret.
func isSecret(f core.Finding) bool {
	switch f.CWE {
	case "CWE-259", "CWE-321", "CWE-522", "CWE-798":
		return true
	}
	return secretRule.MatchString(f.RuleID)
}

// masked stands for a secret. It tells two secrets in one file apart; 16 bits are too few to test a guess with.
func masked(secret string) string {
	if strings.Trim(secret, "*") == "" || strings.HasPrefix(secret, "REDACTED") {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return "REDACTED-" + hex.EncodeToString(sum[:2])
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
