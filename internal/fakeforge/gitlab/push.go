package gitlab

import (
	"context"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// pushEvent has the field names of GitLab's push and tag push events.
type pushEvent struct {
	ObjectKind   string         `json:"object_kind"`
	EventName    string         `json:"event_name"`
	Before       string         `json:"before"`
	After        string         `json:"after"`
	Ref          string         `json:"ref"`
	RefProtected bool           `json:"ref_protected"`
	CheckoutSHA  *string        `json:"checkout_sha"`
	Message      *string        `json:"message"`
	UserID       int64          `json:"user_id"`
	UserName     string         `json:"user_name"`
	UserUsername string         `json:"user_username"`
	UserEmail    string         `json:"user_email"`
	UserAvatar   *string        `json:"user_avatar"`
	ProjectID    int64          `json:"project_id"`
	Project      map[string]any `json:"project"`
	Commits      []pushedCommit `json:"commits"`
	TotalCommits int            `json:"total_commits_count"`
	PushOptions  struct{}       `json:"push_options"`
	Repository   map[string]any `json:"repository"`
}

type pushedCommit struct {
	ID        string           `json:"id"`
	Message   string           `json:"message"`
	Title     string           `json:"title"`
	Timestamp time.Time        `json:"timestamp"`
	URL       string           `json:"url"`
	Author    fakeforge.Person `json:"author"`
	Added     []string         `json:"added"`
	Modified  []string         `json:"modified"`
	Removed   []string         `json:"removed"`
}

// push is the event of a push of a branch or a tag.
func (f *forge) push(p fakeforge.Push) (event string, payload any) {
	kind, event := "push", "Push Hook"
	if p.IsTag() {
		kind, event = "tag_push", "Tag Push Hook"
	}
	push := pushEvent{
		ObjectKind: kind, EventName: kind, Ref: p.Ref, Before: p.Before, After: p.After,
		RefProtected: p.Ref == "refs/heads/"+p.Repository.DefaultBranch,
		Message:      fakeforge.Nullable(p.TagMessage),
		UserID:       fakeforge.Pusher.ID, UserName: fakeforge.Pusher.Name, UserUsername: fakeforge.Pusher.Login,
		UserEmail: fakeforge.Pusher.Email,
		ProjectID: p.Repository.ID, Project: f.project(p.Repository), Repository: f.repository(p.Repository),
		Commits: make([]pushedCommit, 0, len(p.Commits)), TotalCommits: p.Total,
	}
	if p.Head != nil {
		push.CheckoutSHA = &p.Head.ID
	}
	for _, c := range p.Commits {
		push.Commits = append(push.Commits, pushedCommit{
			ID: c.ID, Message: c.Message, Title: c.Title(), Timestamp: c.AuthoredAt, Author: c.Author,
			URL:   f.Base() + "/" + p.Repository.Project + "/-/commit/" + c.ID,
			Added: c.Added, Modified: c.Modified, Removed: c.Removed,
		})
	}
	return event, push
}

// repository is the deprecated block that GitLab still sends.
func (f *forge) repository(r fakeforge.Repository) map[string]any {
	return map[string]any{
		"name": r.Name(), "url": f.SSHURL(r), "description": "", "homepage": f.Base() + "/" + r.Project,
		"git_http_url": f.CloneURL(r.Project), "git_ssh_url": f.SSHURL(r), "visibility_level": 0,
	}
}

// newCommits selects the commits that count as pushed. On a new branch, GitLab leaves out those of the default branch. A
// tag has none.
func newCommits(ctx context.Context, p fakeforge.Push) ([]string, error) {
	switch {
	case p.IsTag():
		return nil, nil
	case !p.Created():
		return []string{p.After, "^" + p.Before}, nil
	}
	base := "refs/heads/" + p.Repository.DefaultBranch
	if known, err := p.Repository.HasRef(ctx, base); err != nil || !known || p.Ref == base {
		return []string{p.After}, err
	}
	return []string{p.After, "^" + base}, nil
}
