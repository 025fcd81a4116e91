package secrets

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// KeySize is how many random bytes a key has.
const KeySize = 32

const hashSize = 12 // bytes, besides the sign of what it is a hash of

// Key makes masks and hashes of secrets: nobody without it can test a guess of a secret. Each installation has one. It is
// neither printed nor encoded.
type Key struct {
	bytes   [KeySize]byte
	keyless bool
}

// Keyless makes the masks of before there were keys, by which findings of that time are recognised. It makes no hashes.
var Keyless = Key{keyless: true}

// NewKey is the key of these random bytes.
func NewKey(random [KeySize]byte) Key { return Key{bytes: random} }

const concealed = "[secret key]"

// String conceals the key.
func (Key) String() string { return concealed }

// GoString conceals the key.
func (Key) GoString() string { return concealed }

// MarshalText conceals the key.
func (Key) MarshalText() ([]byte, error) { return []byte(concealed), nil }

// ID tells keys apart.
func (k Key) ID() string { return hex.EncodeToString(k.sum("id", "")[:4]) }

// Mask replaces a secret. Its four digits show people that two secrets differ. They are too few to tell secrets apart, which is
// what hashes are for: whoever sees masks can make a text with the same one by trying some ten thousand. Text that is masked
// already stays as it is.
func (k Key) Mask(secret string) string {
	if IsMasked(secret) {
		return secret
	}
	secret = withoutSpace(secret)
	if k.keyless {
		sum := sha256.Sum256([]byte(secret))
		return Prefix + hex.EncodeToString(sum[:2])
	}
	return Prefix + hex.EncodeToString(k.sum("mask", secret)[:2])
}

// Hash tells a secret from all others, for core.Finding.SecretHash.
func (k Key) Hash(secret string) string { return k.hash(core.HashOfSecret, secret) }

// HashLines tells a text in which a secret is somewhere from all others, for core.Finding.SecretHash. White space does not count.
func (k Key) HashLines(text string) string {
	var all strings.Builder
	for line := range strings.Lines(text) {
		all.WriteString(k.HashLine(line))
	}
	return k.JoinLines(all.String())
}

// HashLine is the part that a line has in a hash of lines; empty for a blank one.
func (k Key) HashLine(line string) string {
	if line = withoutSpace(line); line == "" {
		return ""
	}
	return string(k.sum("line", line)[:hashSize])
}

// JoinLines makes the hash of lines from their parts; empty where there are none.
func (k Key) JoinLines(parts string) string { return k.hash(core.HashOfLines, parts) }

func (k Key) hash(of rune, text string) string {
	if text == "" || k.keyless {
		return ""
	}
	return string(of) + hex.EncodeToString(k.sum(string(of), text)[:hashSize])
}

// sum is different for each purpose.
func (k Key) sum(purpose, text string) []byte {
	mac := hmac.New(sha256.New, k.bytes[:])
	_, _ = mac.Write([]byte(purpose + "\x00" + text)) // a hash takes everything
	return mac.Sum(nil)
}

func withoutSpace(text string) string { return strings.Join(strings.Fields(text), "") }

// MaskPattern matches each Mask.
const MaskPattern = Prefix + `[0-9a-f]{4}`

var anyMask = regexp.MustCompile(MaskPattern)

// MaskIn is the first mask in a text; empty without one.
func MaskIn(text string) string { return anyMask.FindString(text) }
