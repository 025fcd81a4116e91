package core

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sort"
	"strconv"
)

// positionsV1 are the places inside a message where a tool repeats line numbers.
var positionsV1 = regexp.MustCompile(`(?i)\b(lines?|columns?|col)[ :]*\d+|:\d+`)

// printsV1 are the fingerprints that the first version gave to findings, which a baseline of its time has: rule, file,
// the whole code context and the index among equals, by line.
func printsV1(side []candidate, from source) []string {
	byLine := make([]int, len(side))
	for i := range byLine {
		byLine[i] = i
	}
	sort.SliceStable(byLine, func(a, b int) bool { return side[byLine[a]].line < side[byLine[b]].line })

	prints := make([]string, len(side))
	seen := make(map[string]int, len(side))
	var scratch Finding
	for _, i := range byLine {
		same := sameV1(*from(i, &scratch))
		sum := sha256.Sum256([]byte(same + "\x00" + strconv.Itoa(seen[same])))
		seen[same]++
		prints[i] = "v1:" + hex.EncodeToString(sum[:16])
	}
	return prints
}

func sameV1(f Finding) string {
	context := collapse(f.Snippet)
	if context == "" {
		context = f.PartialFingerprint + "\x00" + collapse(positionsV1.ReplaceAllString(f.Message, ""))
	}
	return f.RuleID + "\x00" + f.File + "\x00" + context
}
