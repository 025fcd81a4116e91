package match

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

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
	version  version // of an earlier finding
	ended    bool    // it has its partner, or cannot have one
	absolute bool    // see core.About
	renamed  bool    // its rule had other ids before
	masked   bool    // it had other masks while these had no key
}

// Findings whose code is a secret are the same only if their keyed hashes are equal: everything else that is kept of a secret has so
// few digits that somebody can make another text with the same ones. A hash of the secret itself also joins findings in lines that
// were edited, or that are elsewhere now.

// secretHash is core.Finding.SecretHash: a sign of what it is a hash of, and the hash. It is zero where none is known.
type secretHash [1 + 12]byte

func secretHashOf(text string) (h secretHash) {
	if len(text) != 1+hex.EncodedLen(len(h)-1) {
		return secretHash{}
	}
	if _, err := hex.Decode(h[1:], []byte(text[1:])); err != nil {
		return secretHash{}
	}
	h[0] = text[0]
	return h
}

func (h secretHash) known() bool { return h != secretHash{} }

// exact tells whether it is a hash of the secret alone.
func (h secretHash) exact() bool { return h[0] == core.HashOfSecret }

// anchor is what the matcher needs to recognise a finding in another commit, besides its place. It is stored with the
// finding as text that begins with the version.
type anchor struct {
	key     uint64 // of the identity; of an advisory that of its package
	rule    uint16 // digests of texts, 0 for an empty one
	message uint16
	kind    kind
	shape   uint32            // of the flagged expression; 0 where that is not known
	prints  [maxPrints]uint32 // of the tool's own fingerprints, 0 for none
	around  core.Surroundings // of an advisory, the digests of its ids
	secret  secretHash        // stored beside it
}

// kind tells what an anchor is of.
type kind uint8

const (
	ofCode     kind = 1 << iota // the code is known
	ofAdvisory                  // a vulnerable package
	ofSecret                    // the code is masked
	packaged                    // not stored: the fingerprint is the name of a package, and parts
	ofMuch                      // the code has enough letters and digits to be found again by them alone
	ofMost                      // it has enough for all files
)

// Letters and digits of such code. Git's blame asks for as many, of lines that were moved in a file and between files.
const (
	minMuch = 20
	minMost = 40
)

const anchorSize = 8 + 2*2 + 1 + 4 + 2*2*reach // bytes, without the tool's fingerprints

// reportedAnchor is the anchor of a finding of a report.
func reportedAnchor(f *core.Finding, id identity) anchor { return anchorOf(f, id, f.RuleID) }

func anchorOf(f *core.Finding, id identity, rule string) anchor {
	a := anchor{key: id.key(), rule: digestWords(rule), message: digestWords(dropPositions(f.Message)), around: f.Surroundings}
	a.secret = secretHashOf(f.SecretHash)
	if isAdvisory(f) && !a.secret.known() {
		a.kind, a.key, a.around = ofAdvisory, packageKey(f.About.Package), idsOf(f)
		return a
	}
	if strings.Contains(f.Snippet, secrets.Prefix) || maskOf(f) != "" {
		a.kind |= ofSecret
	}
	if f.Snippet != "" {
		a.kind |= ofCode
	}
	if a.kind == ofCode {
		a.kind |= tellingOf(firstLine(f.Snippet))
	}
	a.shape, a.prints = f.Shape, printsOf(f)
	if !hasLines(a.around) {
		a.around = belowFirst(f.Snippet)
	}
	return a
}

// tellingOf tells how far a line of code is found again by itself.
func tellingOf(line string) (telling kind) {
	n := 0
	for _, r := range line {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	if n >= minMuch {
		telling |= ofMuch
	}
	if n >= minMost {
		telling |= ofMost
	}
	return telling
}

func (a anchor) String() string {
	raw := make([]byte, 0, anchorSize+4*maxPrints)
	raw = binary.BigEndian.AppendUint64(raw, a.key)
	raw = binary.BigEndian.AppendUint16(raw, a.rule)
	raw = binary.BigEndian.AppendUint16(raw, a.message)
	raw = binary.BigEndian.AppendUint32(append(raw, byte(a.kind)), a.shape)
	for _, part := range a.around {
		raw = binary.BigEndian.AppendUint16(raw, part)
	}
	for _, one := range a.prints {
		if one != 0 {
			raw = binary.BigEndian.AppendUint32(raw, one)
		}
	}
	return anchorVersion + hex.EncodeToString(raw)
}

// parseAnchor reads an anchor of the current version; ok is false for anything else.
func parseAnchor(text string) (a anchor, ok bool) {
	encoded, ours := strings.CutPrefix(text, anchorVersion)
	var space [anchorSize + 4*maxPrints]byte
	prints := hex.DecodedLen(len(encoded)) - anchorSize
	if !ours || prints < 0 || prints > 4*maxPrints || prints%4 != 0 || len(encoded)%2 != 0 {
		return anchor{}, false
	}
	if _, err := hex.Decode(space[:], []byte(encoded)); err != nil {
		return anchor{}, false
	}
	raw := space[:]
	a = anchor{
		key: binary.BigEndian.Uint64(raw), rule: binary.BigEndian.Uint16(raw[8:]), message: binary.BigEndian.Uint16(raw[10:]),
		kind: kind(raw[12]) &^ packaged, shape: binary.BigEndian.Uint32(raw[13:]),
	}
	for i := range a.around {
		a.around[i] = binary.BigEndian.Uint16(raw[17+2*i:])
	}
	for i := range prints / 4 {
		a.prints[i] = binary.BigEndian.Uint32(raw[anchorSize+4*i:])
	}
	return a, true
}

// likeness is how much two anchors with the same key agree, from 0. ok is false if both surroundings are known and have
// no line in common: then an equal line was removed here and added there.
func (a anchor) likeness(b anchor) (rate int, ok bool) {
	lines := commonLines(a.around, b.around)
	if lines == 0 && hasLines(a.around) && hasLines(b.around) || a.parted(b) {
		return 0, false
	}
	rate = 2 * lines
	if a.message == b.message {
		rate++
	}
	if a.sharesPrint(b) {
		rate++
	}
	return rate, true
}

// parted tells whether an anchor is of another secret than an earlier one, or of another package. Those of the second version know a
// package only as the tool's fingerprint.
func (a anchor) parted(b anchor) bool {
	return b.secret.known() && a.secret != b.secret || a.kind&packaged != 0 && a.prints[0] != b.prints[0]
}

func (a anchor) sharesPrint(b anchor) bool {
	for _, one := range a.prints {
		if one != 0 && slices.Contains(b.prints[:], one) {
			return true
		}
	}
	return false
}

// printedApart tells whether nothing is known of the code of either anchor, and the tool's fingerprints of both have none in common.
func (a anchor) printedApart(b anchor) bool {
	var unknown [maxPrints]uint32
	blind := (a.kind|b.kind)&ofCode == 0 && !hasLines(a.around) && !hasLines(b.around)
	return blind && a.prints != unknown && b.prints != unknown && !a.sharesPrint(b)
}

const (
	maxPrints = 3 // fingerprints of the tool that are kept
	minPrint  = 8 // bytes; a shorter value occurs by chance
)

// printsOf are the digests of the tool's fingerprints that can identify a finding.
func printsOf(f *core.Finding) (digests [maxPrints]uint32) {
	n := 0
	for line := range strings.Lines(f.PartialFingerprint) {
		if value := unnumbered(printValue(strings.TrimSpace(line))); n < maxPrints && identifies(value, f.File) {
			digests[n] = digest32(value)
			n++
		}
	}
	return digests
}

// printValue is a fingerprint without its name, which a single one does not have.
func printValue(text string) string {
	name, value, _ := strings.Cut(text, "=")
	if padding := strings.Trim(value, "=") == ""; padding || strings.ContainsAny(name, " \t") {
		return text
	}
	return value
}

// numberedHash is a hash that several findings can have, and which one of them it is.
var numberedHash = regexp.MustCompile(`^([0-9a-fA-F]{8,})[:_][0-9]{1,4}$`)

// unnumbered is a fingerprint without that number, which another finding gets when one before it is gone.
func unnumbered(value string) string { return numberedHash.ReplaceAllString(value, "$1") }

// identifies tells whether a fingerprint can be that of one finding: tools write columns, places, and the same sentence for
// all of their findings. That of a secret is masked.
func identifies(value, file string) bool {
	return len(value) >= minPrint && strings.ContainsAny(value, "0123456789") && !strings.ContainsAny(value, " \t") &&
		!strings.HasPrefix(value, secrets.Prefix) && (file == "" || !strings.Contains(value, path.Base(file)))
}

// digest32 is the FNV-1a digest of a text, never 0.
func digest32(text string) uint32 {
	const offset, prime = 2166136261, 16777619
	hash := uint32(offset)
	for i := range len(text) {
		hash = (hash ^ uint32(text[i])) * prime
	}
	return max(hash, 1)
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

// maxIDs is how many ids of one advisory are kept.
const maxIDs = len(core.Surroundings{}) / 2

// idsOf are the digests of an advisory's ids, two halves of each: CVEs first, which most lists name.
func idsOf(f *core.Finding) (digests core.Surroundings) {
	ids := []string{cmp.Or(core.VulnerabilityID(f.RuleID), strings.ToUpper(f.RuleID))}
	for _, text := range append(strings.Fields(f.About.Aliases), f.CVEID) {
		if id := core.VulnerabilityID(text); id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = withoutBulletins(slices.Compact(ids))
	byList := func(id string) int {
		if strings.HasPrefix(id, "CVE-") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ids, func(a, b string) int { return byList(a) - byList(b) })
	for i, id := range ids[:min(len(ids), maxIDs)] {
		digest := digest32(id)
		digests[2*i], digests[2*i+1] = uint16(digest>>16), uint16(digest)
	}
	return digests
}

// bulletin matches the ids under which distributions fix several vulnerabilities of a package at once.
var bulletin = regexp.MustCompile(`^(RHSA|RHBA|RHEA|ELSA|ALAS[0-9A-Z]*|DSA|DLA|USN|SUSE|OPENSUSE)-`)

// withoutBulletins leaves out bulletins where the vulnerability itself has an id: another one of the package may be in the same.
func withoutBulletins(ids []string) []string {
	own := func(id string) bool { return strings.HasPrefix(id, "CVE-") || strings.HasPrefix(id, "GHSA-") }
	if !slices.ContainsFunc(ids, own) {
		return ids
	}
	return slices.DeleteFunc(ids, bulletin.MatchString)
}

// ids are what idsOf made.
func (a anchor) ids() (list []uint32) {
	for i := range maxIDs {
		if id := uint32(a.around[2*i])<<16 | uint32(a.around[2*i+1]); id != 0 {
			list = append(list, id)
		}
	}
	return list
}

// packageKey is 0 for a package that the report does not name.
func packageKey(name string) uint64 {
	if name = plainPackage(name); name == "" {
		return 0
	}
	id := hash("package", name)
	return id.key()
}

// version says how an earlier finding was stored: Compare recognises those of all versions, so that an upgrade makes nothing
// new.
type version uint8

const (
	firstVersion   version = iota // a fingerprint alone
	secondVersion                 // an anchor without what the third has; the tool's fingerprint is a part of its key
	keylessVersion                // the current one, of a finding whose masks had no key
	currentVersion                // see anchor
)

const (
	anchorVersion       = "v3:"
	secondAnchorVersion = "v2:"
	secondAnchorSize    = 8 + 3*2 + 2*2*reach // bytes
)

// readAnchor reads an anchor of any version.
func readAnchor(text string) (anchor, version) {
	if a, ok := parseAnchor(text); ok {
		return a, currentVersion
	}
	if a, ok := parseSecond(text); ok {
		return a, secondVersion
	}
	return anchor{}, firstVersion
}

func parseSecond(text string) (a anchor, ok bool) {
	encoded, ours := strings.CutPrefix(text, secondAnchorVersion)
	var raw [secondAnchorSize]byte
	if !ours || len(encoded) != hex.EncodedLen(len(raw)) {
		return anchor{}, false
	}
	if _, err := hex.Decode(raw[:], []byte(encoded)); err != nil {
		return anchor{}, false
	}
	part := func(i int) uint16 { return binary.BigEndian.Uint16(raw[8+2*i:]) }
	a = anchor{key: binary.BigEndian.Uint64(raw[:]), rule: part(0), message: part(1)}
	a.prints[0] = uint32(part(2))
	for i := range a.around {
		a.around[i] = part(3 + i)
	}
	return a, true
}

// advisoryV2 matches the rule ids that the second version took for a known vulnerability of a dependency.
var advisoryV2 = regexp.MustCompile(`(?i)^((CVE|GO|GMS|PYSEC|RUSTSEC|RHSA|ELSA|ALAS)-\d{4}|(GHSA|SNYK|DSA|DLA|USN)-)`)

// secondIdentityOf is the identity that the second version gave a finding.
func secondIdentityOf(f *core.Finding, rule string) identity {
	switch code := firstLine(f.Snippet); {
	case advisoryV2.MatchString(rule):
		return hash(rule, "advisory")
	case code != "":
		return hash(rule, "code", code)
	}
	return hash(rule, "message", f.PartialFingerprint, plainMessage(f.Message))
}

// secondAnchorOf is the anchor that the second version, whose masks had no key, made of a finding.
func secondAnchorOf(f *core.Finding, rule string) anchor {
	f = f.Formerly()
	id := secondIdentityOf(f, rule)
	a := anchor{key: id.key(), rule: digestWords(rule), message: digestWords(dropPositions(f.Message)), around: f.Surroundings}
	a.prints[0] = uint32(digestWords(f.PartialFingerprint))
	switch {
	case f.About.Package != "" && a.prints[0] != 0:
		a.kind = packaged
	case f.Snippet != "":
		a.kind = ofCode
	}
	if !hasLines(a.around) {
		a.around = belowFirst(f.Snippet)
	}
	return a
}
