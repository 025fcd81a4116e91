package core

import (
	"strconv"
	"strings"
	"time"
)

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// BranchOf is the short name of the branch that a full name means, or empty for anything else.
func BranchOf(ref string) string { return shortRef(ref, branchPrefix) }

// TagOf is the short name of the tag that a full name means, or empty for anything else.
func TagOf(ref string) string { return shortRef(ref, tagPrefix) }

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

// Ref is a branch, a tag or the head of a request of a project, and the commit where it stands. Its db tags are the columns of the table refs.
type Ref struct {
	ProjectID int64     `db:"project_id"`
	Name      string    `db:"name"`       // full: refs/heads/main, refs/tags/v1
	SHA       string    `db:"sha"`        // the commit, also where an annotated tag leads to it
	BeforeSHA string    `db:"before_sha"` // where it stood before; empty for a new one
	MovedAt   time.Time `db:"moved_at"`   // when it was first known to stand there
}

// Short is the short name of the branch or tag; empty for the head of a request.
func (r Ref) Short() string { return BranchOf(r.Name) + TagOf(r.Name) }

// BranchRef is the full name of a branch, or empty where there is none. CI names the head of a request from a fork by its full name.
func BranchRef(branch string) string {
	if branch == "" || IsRequestRef(branch) {
		return branch
	}
	return branchPrefix + branch
}

// TagRef is the full name of a tag, or empty where there is none.
func TagRef(tag string) string {
	if tag == "" {
		return ""
	}
	return tagPrefix + tag
}

// queuePrefix begins the branches in which GitHub's merge queue tries commits: gh-readonly-queue/main/pr-7-<commit>.
const queuePrefix = "gh-readonly-queue/"

// QueueTarget is the branch for which a merge queue made a branch; ok is false for any other branch.
func QueueTarget(branch string) (target string, ok bool) {
	rest, ok := strings.CutPrefix(branch, queuePrefix)
	if end := strings.LastIndexByte(rest, '/'); ok && end > 0 {
		return rest[:end], true
	}
	return "", false
}

// requestRefs begin the refs of requests' heads: refs/pull/7/head, refs/merge-requests/7/head.
var requestRefs = []string{"refs/pull/", "refs/merge-requests/"}

// RequestOf is the number of the request whose head a ref is; ok is false for any other ref.
func RequestOf(ref string) (number int64, ok bool) {
	for _, prefix := range requestRefs {
		rest, begins := strings.CutPrefix(ref, prefix)
		digits, ends := strings.CutSuffix(rest, "/head")
		number, err := strconv.ParseInt(digits, 10, 64)
		if begins && ends && err == nil && number > 0 && strconv.FormatInt(number, 10) == digits {
			return number, true
		}
	}
	return 0, false
}

// IsRequestRef tells whether a ref is the head of a request.
func IsRequestRef(ref string) bool {
	_, is := RequestOf(ref)
	return is
}

// IsForkBranch tells whether CI gave the branch of a request from a fork: owner/name:branch, which no branch can be called, or the
// ref of the request's head.
func IsForkBranch(branch string) bool { return strings.Contains(branch, ":") || IsRequestRef(branch) }

// Changes are the differences between two commits, from git's diff.
type Changes struct {
	Base  string       // the older commit's id
	Files []FileChange // every file that differs
}

// FileChange is a file that differs between two commits.
type FileChange struct {
	Old, New  string // paths; Old is empty for a file that was added, New for one that was deleted
	Hunks     []Hunk // in the order of the file, without lines of context
	Opaque    bool   // it is unknown which lines are the same
	Reordered bool   // the lines that were removed are those that were added
}

// Hunk is a run of lines that were replaced by others. As in a diff, a count of 0 means that the line stands before the gap.
type Hunk struct{ OldLine, OldCount, NewLine, NewCount int }
