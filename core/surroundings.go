package core

import (
	"strings"
	"unicode"
)

// reach is how many lines count as the surroundings of a finding, on either side.
const reach = 3

// Surroundings are the digests of the nearest lines around a finding that say something: those before it, then those
// after it, the nearest first; 0 where there is none or none is known. They tell findings in equal lines apart. Digests
// are short, so that no guess of a secret that stands beside a finding can be tested with them.
type Surroundings [2 * reach]uint16

// DigestLine is the digest of a line of code regardless of white space; 0 for a line without letters and digits, such
// as a closing brace, which stands everywhere.
func DigestLine(line string) uint16 {
	if !strings.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return 0
	}
	return digestWords(line)
}

// digestWords is the digest of a text regardless of white space; 0 for a text without any other.
func digestWords(text string) uint16 {
	const offset, prime = 2166136261, 16777619 // FNV-1a
	hash, said := uint32(offset), false
	for word := range strings.FieldsSeq(text) {
		said = true
		for i := range len(word) {
			hash = (hash ^ uint32(word[i])) * prime
		}
	}
	if !said {
		return 0
	}
	return max(uint16(hash>>16)^uint16(hash&0xffff), 1)
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
