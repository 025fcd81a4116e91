package match

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

// anchor is what the matcher needs to recognise a finding in another commit, besides its place. It is stored with the
// finding as text that begins with the version.
type anchor struct {
	key     uint64 // of the identity
	rule    uint16 // digests of texts, 0 for an empty one
	message uint16
	tool    uint16 // of the tool's own fingerprint
	around  core.Surroundings
}

const anchorSize = 8 + 3*2 + 2*2*reach // bytes

func anchorOf(f *core.Finding, id identity) anchor {
	a := anchor{
		key: id.key(), rule: digestWords(f.RuleID), message: digestWords(dropPositions(f.Message)),
		tool: digestWords(f.PartialFingerprint), around: f.Surroundings,
	}
	if !hasLines(a.around) {
		a.around = belowFirst(f.Snippet)
	}
	return a
}

func (a anchor) String() string {
	raw := make([]byte, 0, anchorSize)
	raw = binary.BigEndian.AppendUint64(raw, a.key)
	for _, part := range [...]uint16{a.rule, a.message, a.tool} {
		raw = binary.BigEndian.AppendUint16(raw, part)
	}
	for _, part := range a.around {
		raw = binary.BigEndian.AppendUint16(raw, part)
	}
	return fingerprintVersion + hex.EncodeToString(raw)
}

// parseAnchor reads an anchor of the current version; ok is false for anything else.
func parseAnchor(text string) (a anchor, ok bool) {
	encoded, ours := strings.CutPrefix(text, fingerprintVersion)
	var raw [anchorSize]byte
	if !ours || len(encoded) != hex.EncodedLen(len(raw)) {
		return anchor{}, false
	}
	if _, err := hex.Decode(raw[:], []byte(encoded)); err != nil {
		return anchor{}, false
	}
	part := func(i int) uint16 { return binary.BigEndian.Uint16(raw[8+2*i:]) }
	a = anchor{key: binary.BigEndian.Uint64(raw[:]), rule: part(0), message: part(1), tool: part(2)}
	for i := range a.around {
		a.around[i] = part(3 + i)
	}
	return a, true
}

// likeness is how much two anchors with the same key agree, from 0. ok is false if both surroundings are known and have
// no line in common: then an equal line was removed here and added there.
func (a anchor) likeness(b anchor) (rate int, ok bool) {
	lines := commonLines(a.around, b.around)
	if lines == 0 && hasLines(a.around) && hasLines(b.around) {
		return 0, false
	}
	rate = 2 * lines
	if a.message == b.message {
		rate++
	}
	if a.tool == b.tool && a.tool != 0 {
		rate++
	}
	return rate, true
}

// reach is how many lines count as the surroundings of a finding, on either side.
const reach = len(core.Surroundings{}) / 2

// DigestLine is the digest of a line of code without white space; 0 for a line without letters and digits, such as a
// closing brace, because such lines are everywhere.
func DigestLine(line string) uint16 {
	if !strings.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return 0
	}
	return digestWords(line)
}

// digestWords is the digest of a text without white space; 0 for an empty one.
func digestWords(text string) uint16 {
	const offset, prime = 2166136261, 16777619 // FNV-1a
	hash, empty := uint32(offset), true
	for word := range strings.FieldsSeq(text) {
		empty = false
		for i := range len(word) {
			hash = (hash ^ uint32(word[i])) * prime
		}
	}
	if empty {
		return 0
	}
	return max(uint16(hash>>16)^uint16(hash&0xffff), 1)
}

// SurroundingsOf are the surroundings from the digests of the lines before and after a finding, both in the order of the file
// and without zeros.
func SurroundingsOf(before, after []uint16) core.Surroundings {
	var s core.Surroundings
	for i := range min(reach, len(before)) {
		s[i] = before[len(before)-1-i]
	}
	copy(s[reach:], after[:min(reach, len(after))])
	return s
}

// hasLines tells whether any line around the finding is known.
func hasLines(s core.Surroundings) bool { return s != core.Surroundings{} }

// commonLines counts the lines that both have, in any order.
func commonLines(s, other core.Surroundings) (lines int) {
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

// belowFirst are the surroundings that a snippet contains: its lines after the first one.
func belowFirst(code string) core.Surroundings {
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
		return core.Surroundings{}
	}
	return SurroundingsOf(nil, digests[1:])
}
