package core

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
)

// fingerprintVersion stands in front of every fingerprint and anchor made today, so that a better algorithm can live
// beside this one without reopening everything: Compare knows the older ones too.
const fingerprintVersion = "v2:"

// advisory begins the rule ids that name a known vulnerability of a dependency.
var advisory = regexp.MustCompile(`(?i)^((CVE|GO|GMS|PYSEC|RUSTSEC|RHSA|ELSA|ALAS)-\d{4}|(GHSA|SNYK|DSA|DLA|USN)-)`)

// identity is what a finding is about, wherever it stands: its rule and the code it points at.
type identity [sha256.Size]byte

// identityOf leaves the file out, because files are renamed, and of code over several lines all but the first one,
// because the others are edited more often than the finding goes away; Surroundings tell such findings apart. White
// space does not count.
//
// Without code it is the message (see plainMessage), together with the tool's own fingerprint: alone that cannot be
// trusted, for some tools write one constant everywhere. A vulnerable dependency is its advisory, whatever the database
// says of it today.
func identityOf(f *Finding) identity {
	about := "code\x00" + firstLine(f.Snippet)
	switch {
	case advisory.MatchString(f.RuleID):
		about = "advisory"
	case about == "code\x00":
		about = "message\x00" + f.PartialFingerprint + "\x00" + plainMessage(f.Message)
	}
	return sha256.Sum256([]byte(f.RuleID + "\x00" + about))
}

// imprint is what a fingerprint of today's version says.
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

// firstLine is the first line of code that says something, or the first one at all.
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
