package github

import (
	"context"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
)

// pushEvent has the field names of GitHub's push event.
type pushEvent struct {
	Ref        string           `json:"ref"`
	Before     string           `json:"before"`
	After      string           `json:"after"`
	Created    bool             `json:"created"`
	Deleted    bool             `json:"deleted"`
	Forced     bool             `json:"forced"`
	BaseRef    *string          `json:"base_ref"`
	Compare    string           `json:"compare"`
	Commits    []pushedCommit   `json:"commits"`
	HeadCommit *pushedCommit    `json:"head_commit"`
	Repository map[string]any   `json:"repository"`
	Pusher     fakeforge.Person `json:"pusher"`
	Sender     map[string]any   `json:"sender"`
}

type pushedCommit struct {
	ID        string           `json:"id"`
	TreeID    string           `json:"tree_id"`
	Distinct  bool             `json:"distinct"`
	Message   string           `json:"message"`
	Timestamp time.Time        `json:"timestamp"`
	URL       string           `json:"url"`
	Author    fakeforge.Person `json:"author"`
	Committer fakeforge.Person `json:"committer"`
	Added     []string         `json:"added"`
	Removed   []string         `json:"removed"`
	Modified  []string         `json:"modified"`
}

// push is the event of a push.
func (f *forge) push(p fakeforge.Push) (event string, payload any) {
	push := pushEvent{
		Ref: p.Ref, Before: p.Before, After: p.After,
		Created: p.Created(), Deleted: p.Deleted(), Forced: p.Forced,
		Compare:    f.compareURL(p),
		Commits:    make([]pushedCommit, 0, len(p.Commits)),
		Repository: f.repository(p.Repository, unixTime),
		Pusher:     fakeforge.Person{Name: fakeforge.Pusher.Login, Email: fakeforge.Pusher.Email},
		Sender:     f.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User"),
	}
	for _, c := range p.Commits {
		push.Commits = append(push.Commits, f.pushedCommit(p.Repository, c))
	}
	if p.Head != nil {
		head := f.pushedCommit(p.Repository, *p.Head)
		push.HeadCommit = &head
	}
	return "push", push
}

func (f *forge) compareURL(p fakeforge.Push) string {
	project := f.Base() + "/" + p.Repository.Project
	if p.Created() {
		return project + "/compare/" + shortRef(p.Ref)
	}
	return project + "/compare/" + p.Before[:12] + "..." + p.After[:12]
}

func (f *forge) pushedCommit(r fakeforge.Repository, c fakeforge.Commit) pushedCommit {
	return pushedCommit{
		ID: c.ID, TreeID: c.Tree, Distinct: true, Message: c.Message, Timestamp: c.CommittedAt,
		URL:    f.Base() + "/" + r.Project + "/commit/" + c.ID,
		Author: c.Author, Committer: c.Committer,
		Added: c.Added, Removed: c.Removed, Modified: c.Modified,
	}
}

// shortRef is the name of a branch or tag.
func shortRef(ref string) string {
	push := core.Push{Ref: ref}
	if tag := push.Tag(); tag != "" {
		return tag
	}
	if branch := push.Branch(); branch != "" {
		return branch
	}
	return ref
}

// newCommits selects the commits that count as pushed. On a new ref, GitHub leaves out those of all other branches.
func newCommits(_ context.Context, p fakeforge.Push) ([]string, error) {
	if !p.Created() {
		return []string{p.After, "^" + p.Before}, nil
	}
	branch := strings.TrimPrefix(p.Ref, "refs/heads/")
	return []string{p.After, "--not", "--exclude=" + branch, "--branches"}, nil
}
