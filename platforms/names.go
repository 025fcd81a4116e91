package platforms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

const (
	maxProject = 500 // bytes of a project's full path
	maxKey     = 200 // bytes of a delivery key
)

// CheckProject makes sure that a full path such as group/sub/project is safe in an address and in a log, because what
// is cloned and called is built from it. The error wraps core.ErrInvalid.
func CheckProject(path string) error {
	if path == "" || len(path) > maxProject {
		return fmt.Errorf("%w: the path of the project has %d bytes, 1 to %d are allowed",
			core.ErrInvalid, len(path), maxProject)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, isOdd) {
			return fmt.Errorf("%w: %q is no path of a project: letters, digits, '.', '_', '-' between single slashes",
				core.ErrInvalid, Clean(path))
		}
	}
	return nil
}

func isOdd(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
}

// DeliveryKey joins parts to a delivery key; what is too long or not plain ASCII is replaced by its hash.
func DeliveryKey(parts ...string) string {
	key := strings.Join(parts, "/")
	plain := !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
	if plain && len(key) <= maxKey {
		return key
	}
	return HashKey(key, nil)
}

// HashKey is the delivery key of a call that bears no id of its own.
func HashKey(event string, body []byte) string {
	hash := sha256.New()
	hash.Write([]byte(event + "\n"))
	hash.Write(body)
	return "sha256/" + hex.EncodeToString(hash.Sum(nil))
}

// ParseBase reads a configured address: http(s), a host, perhaps a sub-path, and nothing else. The error repeats the
// address only where it cannot hold a password.
func ParseBase(address string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, fmt.Errorf("%w: the address cannot be read: write it as https://host/path", core.ErrInvalid)
	}
	if base.User != nil {
		return nil, fmt.Errorf("%w: the address holds a user or password: configure a token instead", core.ErrInvalid)
	}
	if !isWeb(base) || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("%w: the address %q is not of the form https://host/path", core.ErrInvalid, address)
	}
	return base, nil
}

// WebAddress is the address for people that a payload states, or fallback where it is not a plain http(s) address.
func WebAddress(stated Text, fallback string) string {
	address, err := url.Parse(string(stated))
	if err != nil || !isWeb(address) || address.User != nil {
		return fallback
	}
	return string(stated)
}

func isWeb(address *url.URL) bool {
	return (address.Scheme == "http" || address.Scheme == "https") && address.Host != ""
}
