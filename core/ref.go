package core

import (
	"strings"
	"time"
)

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// Branch is the short name of the branch that moved, or empty for anything else.
func (p Push) Branch() string { return shortRef(p.Ref, branchPrefix) }

// Tag is the short name of the tag that moved, or empty for anything else.
func (p Push) Tag() string { return shortRef(p.Ref, tagPrefix) }

func shortRef(ref, prefix string) string {
	if name, ok := strings.CutPrefix(ref, prefix); ok {
		return name
	}
	return ""
}

// IsZeroSHA tells whether id is git's value for "no commit": 40 zeros, or 64 in SHA-256 repositories.
func IsZeroSHA(id string) bool {
	return (len(id) == 40 || len(id) == 64) && strings.Trim(id, "0") == ""
}

// IsCommitSHA tells whether id is a full, non-zero SHA-1 or SHA-256 commit id in hexadecimal.
func IsCommitSHA(id string) bool {
	if len(id) != 40 && len(id) != 64 || IsZeroSHA(id) {
		return false
	}
	return strings.Trim(id, "0123456789abcdefABCDEF") == ""
}

// ShortSHA is the form in which people read a commit id.
func ShortSHA(id string) string {
	if len(id) > 7 {
		return id[:7]
	}
	return id
}

// OriginReconcile is the origin of a scan whose push no webhook announced, and the event name in the log of deliveries.
const OriginReconcile = "recover"

// Head is the commit at which a branch or tag stands. Its db tags are the columns of the table ref_heads.
type Head struct {
	Ref    string    `db:"ref"`     // full: refs/heads/main, refs/tags/v1
	SHA    string    `db:"sha"`     // the commit, also where an annotated tag leads to it
	SeenAt time.Time `db:"seen_at"` // when it was first seen there
}

// Name is the short name of the branch or tag.
func (h Head) Name() string { return shortRef(h.Ref, branchPrefix) + shortRef(h.Ref, tagPrefix) }

// Origin is the origin of scans that the delivery starts.
func (d Delivery) Origin() string {
	if d.Name == OriginReconcile {
		return OriginReconcile
	}
	return "push"
}
