package platforms

import "github.com/scanhook/scanhook/core"

const (
	// maxListedCommits is how many commits GitHub puts into one push at most.
	maxListedCommits = 2048
	// maxListedFiles is how many files GitHub lists for one commit at most.
	maxListedFiles = 3000
)

// Commit is what the payload of a push says of the files of one commit. A nil list is one that was not sent.
type Commit struct {
	Added    []string `json:"added"`
	Modified []string `json:"modified"`
	Removed  []string `json:"removed"`
}

func (c Commit) hasLists() bool { return c.Added != nil || c.Modified != nil || c.Removed != nil }

// listed is the number of files of the commit; GitHub leaves all lists empty for commits that are too large.
func (c Commit) listed() int { return len(c.Added) + len(c.Modified) + len(c.Removed) }

func (c Commit) whole() bool { return c.listed() > 0 && c.listed() < maxListedFiles }

// CountFiles counts the distinct files of a push. Commits is nil where the payload has no such list, and total is the
// number of commits that the push really has, or 0 where the payload does not tell.
func CountFiles(commits []Commit, total int64) core.ChangedFiles {
	files := make(map[string]struct{})
	known := commits != nil && len(commits) == 0
	truncated := total > int64(len(commits)) || len(commits) >= maxListedCommits
	for _, commit := range commits {
		known = known || commit.hasLists()
		truncated = truncated || !commit.whole()
		for _, list := range [][]string{commit.Added, commit.Modified, commit.Removed} {
			for _, file := range list {
				files[file] = struct{}{}
			}
		}
	}
	if !known {
		return core.ChangedFiles{}
	}
	count := len(files)
	return core.ChangedFiles{Count: &count, Truncated: truncated}
}
