package core

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// fingerprintVersion is stored in front of every fingerprint, so that a better algorithm can live beside this one
// without reopening everything.
const fingerprintVersion = "v1:"

// positions are the places inside a message where a tool repeats line numbers; they move with the code.
var positions = regexp.MustCompile(`(?i)\b(lines?|columns?|col)[ :]*\d+|:\d+`)

// Fingerprint fills the Fingerprint of each finding of one scanner's report, in place.
//
// Findings are the same when rule, file and code context are: the snippet, or where the report has none, its own partial
// fingerprint and message together, because some tools write one constant partial fingerprint everywhere. White space
// does not count, so that moved and re-indented code stays the same finding. The occurrence index among equals, by line,
// keeps N hits of one rule in one file N findings.
func Fingerprint(findings []Finding) {
	byLine := make([]int, len(findings))
	for i := range byLine {
		byLine[i] = i
	}
	sort.SliceStable(byLine, func(a, b int) bool { return findings[byLine[a]].Line < findings[byLine[b]].Line })

	seen := make(map[string]int, len(findings))
	for _, i := range byLine {
		identity := identityOf(findings[i])
		sum := sha256.Sum256([]byte(identity + "\x00" + strconv.Itoa(seen[identity])))
		seen[identity]++
		findings[i].Fingerprint = fingerprintVersion + hex.EncodeToString(sum[:16])
	}
}

func identityOf(f Finding) string {
	context := collapse(f.Snippet)
	if context == "" {
		context = f.PartialFingerprint + "\x00" + collapse(positions.ReplaceAllString(f.Message, ""))
	}
	return f.RuleID + "\x00" + f.File + "\x00" + context
}

func collapse(text string) string { return strings.Join(strings.Fields(text), " ") }
