package platforms

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
)

const (
	// maxListedCommits is how many commits GitHub puts into one push at most.
	maxListedCommits = 2048
	// maxListedFiles is how many files GitHub lists for one commit at most.
	maxListedFiles = 3000
	// maxCountedFiles is how many files of a push are counted; above it, the platform is asked for the number.
	maxCountedFiles = 50_000
)

// PushPayload is what the payload of a push has on every platform. Those of the platforms embed it.
type PushPayload struct {
	Ref     Text    `json:"ref"`
	Before  Text    `json:"before"`
	After   Text    `json:"after"`
	Commits Commits `json:"commits"`
}

// Push is one to the project, of total commits (empty where the payload does not tell). The commit to scan is the first of the
// texts, and after, that is a commit id.
func (p PushPayload) Push(project core.Project, total Number, commit ...Text) core.Push {
	return core.Push{
		Project:   project,
		Ref:       string(p.Ref),
		Before:    CommitID(p.Before),
		After:     CommitID(p.After),
		CommitSHA: firstCommit(append(commit, p.After)...),
		Files:     CountFiles(p.Commits, total.Int()),
	}
}

// CommitInfo is what a payload says of a commit. Embedded, it has the field names of all platforms.
type CommitInfo struct {
	ID      Text `json:"id"`
	Message Line `json:"message"`
	Author  struct {
		Name Line `json:"name"`
	} `json:"author"`
}

// Info is it for a commit with an id, and nothing for another one.
func (c CommitInfo) Info(id string) core.CommitInfo {
	if id == "" || string(c.ID) != id {
		return core.CommitInfo{}
	}
	return core.CommitInfo{Title: string(c.Message), Author: string(c.Author.Name)}
}

// CompletePush applies the rules that are the same on every platform: zero ids mean creation and deletion, a deleted ref
// has no commit and no files whatever else the payload says, and refs that are neither branch nor tag are ignored. For a
// push without a full ref or without a commit the error wraps core.ErrInvalid.
func CompletePush(push core.Push) (core.Event, error) {
	push.Created = push.Created || core.IsZeroSHA(push.Before)
	push.Deleted = push.Deleted || core.IsZeroSHA(push.After)
	if push.Deleted {
		push.CommitSHA, push.Files = "", core.ChangedFiles{}
	}
	switch {
	case !strings.HasPrefix(push.Ref, "refs/"):
		return nil, fmt.Errorf("%w: the push has no full ref such as refs/heads/main", core.ErrInvalid)
	case push.Branch() == "" && push.Tag() == "":
		return core.Ignored{Reason: push.Ref + " is neither a branch nor a tag"}, nil
	case push.CommitSHA == "" && !push.Deleted:
		return nil, fmt.Errorf("%w: the push of %s names no commit", core.ErrInvalid, push.Ref)
	}
	return push, nil
}

// CommitID is a commit id of a payload, all zeros included, or empty where the text is not one.
func CommitID(text Text) string {
	if id := string(text); core.IsZeroSHA(id) || core.IsCommitSHA(id) {
		return id
	}
	return ""
}

// firstCommit is the first of the texts that is a commit id, or empty.
func firstCommit(texts ...Text) string {
	for _, text := range texts {
		if core.IsCommitSHA(string(text)) {
			return string(text)
		}
	}
	return ""
}

// Commit is a commit in the payload of a push, with lists of its files. A list is nil where it was not sent.
type Commit struct {
	CommitInfo
	Added    []string `json:"added"`
	Modified []string `json:"modified"`
	Removed  []string `json:"removed"`
}

func (c Commit) hasLists() bool { return c.Added != nil || c.Modified != nil || c.Removed != nil }

// listed is the number of listed files; GitHub leaves all lists empty for commits that are too large.
func (c Commit) listed() int { return len(c.Added) + len(c.Modified) + len(c.Removed) }

func (c Commit) whole() bool { return c.listed() > 0 && c.listed() < maxListedFiles }

// CountFiles counts the distinct files of a push. Commits is nil where the payload has no such list. Total is the number
// of commits that the push really has, or 0 where the payload does not tell.
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

// Commits are the commits of a push. Of an oversized list only the beginning is read, because three bytes of a payload
// can take a hundred in memory.
type Commits []Commit

// Shape implements jsonscan.Shaper.
func (Commits) Shape() any { return []Commit(nil) }

// UnmarshalJSON never fails.
func (c *Commits) UnmarshalJSON(data []byte) error {
	if plain, is := readPlain[Commit](data); is {
		*c = plain
		return nil
	}
	if !isList(data) {
		return nil
	}
	files := 0
	*c = []Commit{}
	for text := range jsonscan.Elements(data) {
		if len(*c) == maxListedCommits || files > maxCountedFiles {
			*c = append(*c, Commit{}) // stands for the rest
			return nil
		}
		var commit boundedCommit
		_ = commit.UnmarshalJSON(text)
		files += Commit(commit).listed()
		*c = append(*c, Commit(commit))
	}
	return nil
}

// boundedCommit is a Commit that reads no more files than a platform lists.
type boundedCommit Commit

// UnmarshalJSON never fails.
func (c *boundedCommit) UnmarshalJSON(data []byte) error {
	var lists struct {
		CommitInfo
		Added, Modified, Removed boundedList
	}
	_ = json.Unmarshal(data, &lists)
	c.CommitInfo = lists.CommitInfo
	c.Added, c.Modified, c.Removed = lists.Added, lists.Modified, lists.Removed
	return nil
}

type boundedList []string

// UnmarshalJSON never fails.
func (l *boundedList) UnmarshalJSON(data []byte) error {
	if !isList(data) {
		return nil
	}
	*l = []string{}
	for text := range jsonscan.Elements(data) {
		var file string
		if len(*l) == maxListedFiles || json.Unmarshal(text, &file) != nil {
			break
		}
		*l = append(*l, file)
	}
	return nil
}

// FilesUpTo is a number of files from a platform that lists at most limit of them.
func FilesUpTo(limit, listed int) core.ChangedFiles {
	return core.ChangedFiles{Count: &listed, Truncated: listed >= limit}
}
