package match

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

// fingerprintVersion begins every fingerprint, so that another algorithm can follow without making all findings new: Compare
// also recognises fingerprints of older versions.
const fingerprintVersion = "v2:"

// identity is a finding independent of its place: its rule and the code that it points at.
type identity [sha256.Size]byte

// identityOf omits the file, because files are renamed. Of code with several lines it uses only the first, because the
// others are often edited while the finding stays; surroundings tell such findings apart. White space does not count.
//
// The identity of a secret whose hash is known is that hash. Without code, the identity is the message (see plainMessage) and the resource that it is about, or the mask of a secret. The
// identity of a vulnerable package is its advisory, because the text of the advisory changes. The tool's own fingerprint is
// no part of it: it may change while the finding stays.
func identityOf(f *core.Finding, rule string) identity {
	switch code := firstLine(f.Snippet); {
	case secretHashOf(f.SecretHash).known():
		return hash(rule, "secret", f.SecretHash)
	case isAdvisory(f) && f.About.Package != "":
		return hash(rule, "advisory", plainPackage(f.About.Package))
	case isAdvisory(f):
		return hash(rule, "advisory")
	case code != "":
		return hash(rule, "code", code)
	}
	return hash(rule, "message", cmp.Or(f.About.Resource, maskOf(f)), plainMessage(f.Message))
}

// maskOf is what the tool's fingerprint of a secret was replaced by, or empty: secrets without code are told apart by it.
func maskOf(f *core.Finding) string {
	if strings.HasPrefix(f.PartialFingerprint, secrets.Prefix) {
		return f.PartialFingerprint
	}
	return ""
}

func hash(parts ...string) identity { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

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

// isAdvisory tells whether a finding is a vulnerable package, whose text and place in the manifest change while it stays.
func isAdvisory(f *core.Finding) bool {
	return f.About.Package != "" || core.VulnerabilityID(f.RuleID) != ""
}

// plainPackage is a package without its version and what qualifies that, and in one case.
func plainPackage(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if strings.HasPrefix(name, "pkg:") {
		name = name[:strings.IndexAny(name+"?", "?#")]
		if at := strings.LastIndexByte(name, '@'); at > strings.LastIndexByte(name, '/') {
			name = name[:at]
		}
	}
	return name
}
