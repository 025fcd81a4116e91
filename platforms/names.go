package platforms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

const (
	maxProject = 500 // bytes of a project's full path
	maxKey     = 200 // bytes of a delivery key
)

// CheckProject makes sure that a full path such as group/sub/project is safe in an address and in a log, because the
// addresses to clone and to call are built from it. The error wraps core.ErrInvalid.
func CheckProject(path string) error {
	if path == "" || len(path) > maxProject {
		return fmt.Errorf("%w: the path of the project has %d bytes, 1 to %d are allowed",
			core.ErrInvalid, len(path), maxProject)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, isUnsafe) {
			return fmt.Errorf("%w: %q is no path of a project: letters, digits, '.', '_', '-' between single slashes",
				core.ErrInvalid, Clean(path))
		}
	}
	return nil
}

func isUnsafe(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
}

// DeliveryKey joins parts to a delivery key; one that is too long or not plain ASCII is replaced by its hash.
func DeliveryKey(parts ...string) string {
	key := strings.Join(parts, "/")
	plain := !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
	if plain && len(key) <= maxKey {
		return key
	}
	return HashKey(key, nil)
}

// HashKey is the delivery key of a call that has no id of its own.
func HashKey(event string, body []byte) string {
	hash := sha256.New()
	hash.Write([]byte(event + "\n"))
	hash.Write(body)
	return "sha256/" + hex.EncodeToString(hash.Sum(nil))
}
