package core

import (
	"hash/fnv"
	"strings"
	"unicode"
)

// reach is how many lines count as the surroundings of a finding, on either side.
const reach = 3

// Surroundings are the digests of the nearest lines around a finding that say something: those before it, then those
// after it, the nearest first; 0 where there is none or none is known. They tell findings in equal lines apart. Digests
// are short, so that no guess of a secret that stands beside a finding can be tested with them.
type Surroundings [2 * reach]uint16

// DigestLine is the digest of a line of code regardless of white space; 0 for a line without letters and digits, such as
// a closing brace, which stands everywhere.
func DigestLine(line string) uint16 {
	said := false
	hash := fnv.New32a()
	for word := range strings.FieldsSeq(line) {
		_, _ = hash.Write([]byte(word))
		said = said || strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	}
	if !said {
		return 0
	}
	sum := hash.Sum32()
	return max(uint16(sum>>16)^uint16(sum), 1) //nolint:gosec // both halves are folded on purpose
}

// Between makes Surroundings of the digests of the lines before and after a finding, both in the order of the file and
// without zeros.
func Between(before, after []uint16) Surroundings {
	var s Surroundings
	for i := range min(reach, len(before)) {
		s[i] = before[len(before)-1-i]
	}
	copy(s[reach:], after[:min(reach, len(after))])
	return s
}

// known tells whether anything was there to look at.
func (s Surroundings) known() bool { return s != Surroundings{} }

// common counts the lines that both have, wherever they stand.
func (s Surroundings) common(other Surroundings) (lines int) {
	for _, digest := range s {
		for i, match := range other {
			if digest != 0 && digest == match {
				other[i] = 0
				lines++
				break
			}
		}
	}
	return lines
}

// belowFirst are the surroundings that a report gives along: the further lines of its snippet.
func belowFirst(code string) Surroundings {
	var digests []uint16
	for line := range strings.Lines(code) {
		if digest := DigestLine(line); digest != 0 {
			digests = append(digests, digest)
		}
		if len(digests) > reach {
			break
		}
	}
	if len(digests) == 0 {
		return Surroundings{}
	}
	return Between(nil, digests[1:])
}
