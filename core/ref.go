package core

import "strings"

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

// IsZeroSHA tells whether id is git's "no commit": 40 zeros, or 64 on SHA-256 repositories.
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
