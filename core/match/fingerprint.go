package match

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

// fingerprintVersion begins every fingerprint and anchor, so that another algorithm can follow without making all findings
// new: Compare also recognises fingerprints of older versions.
const fingerprintVersion = "v2:"

// advisory matches rule ids that are a known vulnerability of a dependency.
var advisory = regexp.MustCompile(`(?i)^((CVE|GO|GMS|PYSEC|RUSTSEC|RHSA|ELSA|ALAS)-\d{4}|(GHSA|SNYK|DSA|DLA|USN)-)`)

// identity is a finding independent of its place: its rule and the code that it points at.
type identity [sha256.Size]byte

// identityOf omits the file, because files are renamed. Of code with several lines it uses only the first, because the
// others are often edited while the finding stays; surroundings tell such findings apart. White space does not count.
//
// Without code, the identity is the message (see plainMessage) together with the tool's own fingerprint, which is not
// reliable alone: some tools write the same constant everywhere. The identity of a vulnerable dependency is its advisory,
// because the text of the advisory changes.
func identityOf(f *core.Finding) identity {
	about := "code\x00" + firstLine(f.Snippet)
	switch {
	case advisory.MatchString(f.RuleID):
		about = "advisory"
	case about == "code\x00":
		about = "message\x00" + f.PartialFingerprint + "\x00" + plainMessage(f.Message)
	}
	return sha256.Sum256([]byte(f.RuleID + "\x00" + about))
}

// imprint is a fingerprint without its version.
type imprint [16]byte

// imprint makes the fingerprint of the n-th finding, from 0, of an identity in a file.
func (id *identity) imprint(file string, n int) imprint {
	var space [256]byte
	text := append(append(append(space[:0], id[:]...), file...), 0)
	sum := sha256.Sum256(strconv.AppendInt(text, int64(n), 10))
	return imprint(sum[:16])
}

func (p imprint) append(text []byte) []byte {
	return hex.AppendEncode(append(text, fingerprintVersion...), p[:])
}

func (p imprint) String() string { return string(p.append(nil)) }

func (id identity) key() uint64 { return binary.BigEndian.Uint64(id[:]) }

// firstLine is the first line of code with letters or digits, or else the first one.
func firstLine(code string) string {
	first := ""
	for line := range strings.Lines(code) {
		line = collapse(line)
		if DigestLine(line) != 0 {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}

// positionsV1 are the places inside a message where a tool repeats line numbers.
var positionsV1 = regexp.MustCompile(`(?i)\b(lines?|columns?|col)[ :]*\d+|:\d+`)

// printsV1 are the fingerprints of the first version, which old baselines have: a hash of rule, file, the whole code and
// the index among equal findings, by line.
func printsV1(side []candidate, from source) []string {
	byLine := make([]int, len(side))
	for i := range byLine {
		byLine[i] = i
	}
	sort.SliceStable(byLine, func(a, b int) bool { return side[byLine[a]].line < side[byLine[b]].line })

	prints := make([]string, len(side))
	seen := make(map[string]int, len(side))
	var scratch core.Finding
	for _, i := range byLine {
		same := sameV1(*from(i, &scratch))
		sum := sha256.Sum256([]byte(same + "\x00" + strconv.Itoa(seen[same])))
		seen[same]++
		prints[i] = "v1:" + hex.EncodeToString(sum[:16])
	}
	return prints
}

func sameV1(f core.Finding) string {
	context := collapse(f.Snippet)
	if context == "" {
		context = f.PartialFingerprint + "\x00" + collapse(positionsV1.ReplaceAllString(f.Message, ""))
	}
	return f.RuleID + "\x00" + f.File + "\x00" + context
}

// plainMessage is a message without what changes while the finding stays the same: white space, and positions, which move
// with the code.
func plainMessage(message string) string { return collapse(dropPositions(message)) }

func collapse(text string) string { return strings.Join(strings.Fields(text), " ") }

// dropPositions removes numbers after a colon or a word for a line or column.
func dropPositions(text string) string {
	var kept strings.Builder
	from := 0
	for at := 0; at < len(text); at++ {
		if !isDigit(text[at]) || at > 0 && isDigit(text[at-1]) || !isPosition(text[:at]) {
			continue
		}
		kept.WriteString(text[from:at])
		for at < len(text) && isDigit(text[at]) {
			at++
		}
		from = at
	}
	return kept.String() + text[from:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPosition tells whether the number after text is one of a line or column.
func isPosition(text string) bool {
	if strings.HasSuffix(text, ":") {
		return true
	}
	text = strings.TrimRight(text, " :")
	word := text[strings.LastIndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })+1:]
	return slices.Contains([]string{"line", "lines", "column", "columns", "col"}, strings.ToLower(word))
}

// source returns the i-th finding. It writes into scratch what it cannot point at.
type source func(i int, scratch *core.Finding) *core.Finding

// place is a line of a file.
type place struct {
	file string
	line int
}

// candidate is a finding, of the report or an earlier one, as the matcher needs it.
type candidate struct {
	place
	commit   string // of a finding in history, or empty
	severity core.Severity
	anchor   anchor
	ended    bool // it has its partner, or cannot have one
	foreign  bool // an older version of Scanhook stored its fingerprint and no anchor
}

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
