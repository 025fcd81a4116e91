package core

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// anchor is what it takes to recognise a finding in another commit, apart from where it stands. It is stored with the
// finding, as text that begins with the version.
type anchor struct {
	key     uint64 // of its identity
	rule    uint16
	message uint16 // 0 where there is none, as for tool
	tool    uint16 // the tool's own fingerprint
	around  Surroundings
}

const anchorSize = 8 + 3*2 + 2*2*reach // bytes

func anchorOf(f *Finding, id identity) anchor {
	a := anchor{
		key: id.key(), rule: digestWords(f.RuleID), message: digestWords(dropPositions(f.Message)),
		tool: digestWords(f.PartialFingerprint), around: f.Surroundings,
	}
	if !a.around.known() {
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

// parseAnchor reads an anchor of today's version; ok is false for anything else.
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

// likeness rates how much of two anchors with one key agrees, from 0; ok is false where both know their surroundings
// and nothing in them agrees: then an equal line went away here and came there.
func (a anchor) likeness(b anchor) (rate int, ok bool) {
	lines := a.around.common(b.around)
	if lines == 0 && a.around.known() && b.around.known() {
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
