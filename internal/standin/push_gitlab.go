package standin

import "time"

// gitlabPushEvent bears the field names of GitLab's push and tag push events.
type gitlabPushEvent struct {
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
	Commits      []gitlabCommit `json:"commits"`
	TotalCommits int            `json:"total_commits_count"`
	PushOptions  struct{}       `json:"push_options"`
	Repository   map[string]any `json:"repository"`
}

type gitlabCommit struct {
	ID        string    `json:"id"`
	Message   string    `json:"message"`
	Title     string    `json:"title"`
	Timestamp time.Time `json:"timestamp"`
	URL       string    `json:"url"`
	Author    person    `json:"author"`
	Added     []string  `json:"added"`
	Modified  []string  `json:"modified"`
	Removed   []string  `json:"removed"`
}

func (s *Server) gitlabPush(m move) gitlabPushEvent {
	kind := "push"
	if m.isTag() {
		kind = "tag_push"
	}
	event := gitlabPushEvent{
		ObjectKind: kind, EventName: kind, Ref: m.Ref, Before: m.Before, After: m.After,
		RefProtected: m.Ref == "refs/heads/"+m.repo.DefaultBranch,
		Message:      nullable(m.note),
		UserID:       personID, UserName: personName, UserUsername: personLogin, UserEmail: personEmail,
		ProjectID: m.repo.ID, Project: s.gitlabProject(m.repo), Repository: s.gitlabRepository(m.repo),
		Commits: make([]gitlabCommit, 0, len(m.commits)), TotalCommits: m.total,
	}
	if m.head != nil {
		event.CheckoutSHA = &m.head.ID
	}
	for _, c := range m.commits {
		event.Commits = append(event.Commits, gitlabCommit{
			ID: c.ID, Message: c.Message, Title: c.title(), Timestamp: c.AuthoredAt, Author: c.Author,
			URL:   s.Base() + "/" + m.repo.Project + "/-/commit/" + c.ID,
			Added: c.Added, Modified: c.Modified, Removed: c.Removed,
		})
	}
	return event
}

// gitlabRepository is the deprecated block that GitLab still sends.
func (s *Server) gitlabRepository(r Repository) map[string]any {
	return map[string]any{
		"name": r.name(), "url": s.sshURL(r), "description": "", "homepage": s.Base() + "/" + r.Project,
		"git_http_url": s.CloneURL(r.Project), "git_ssh_url": s.sshURL(r), "visibility_level": 0,
	}
}
