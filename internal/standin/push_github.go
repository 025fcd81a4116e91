package standin

import (
	"time"

	"github.com/scanhook/scanhook/core"
)

// githubPushEvent bears the field names of GitHub's push event.
type githubPushEvent struct {
	Ref        string         `json:"ref"`
	Before     string         `json:"before"`
	After      string         `json:"after"`
	Created    bool           `json:"created"`
	Deleted    bool           `json:"deleted"`
	Forced     bool           `json:"forced"`
	BaseRef    *string        `json:"base_ref"`
	Compare    string         `json:"compare"`
	Commits    []githubCommit `json:"commits"`
	HeadCommit *githubCommit  `json:"head_commit"`
	Repository map[string]any `json:"repository"`
	Pusher     person         `json:"pusher"`
	Sender     map[string]any `json:"sender"`
}

type githubCommit struct {
	ID        string    `json:"id"`
	TreeID    string    `json:"tree_id"`
	Distinct  bool      `json:"distinct"`
	Message   string    `json:"message"`
	Timestamp time.Time `json:"timestamp"`
	URL       string    `json:"url"`
	Author    person    `json:"author"`
	Committer person    `json:"committer"`
	Added     []string  `json:"added"`
	Removed   []string  `json:"removed"`
	Modified  []string  `json:"modified"`
}

func (s *Server) githubPush(m move) githubPushEvent {
	event := githubPushEvent{
		Ref: m.Ref, Before: m.Before, After: m.After,
		Created: m.created(), Deleted: m.deleted(), Forced: m.forced,
		Compare:    s.compareURL(m),
		Commits:    make([]githubCommit, 0, len(m.commits)),
		Repository: s.githubRepository(m.repo, unixTime),
		Pusher:     person{Name: personLogin, Email: personEmail},
		Sender:     s.githubUser(personLogin, personID, "User"),
	}
	for _, c := range m.commits {
		event.Commits = append(event.Commits, s.githubCommit(m.repo, c))
	}
	if m.head != nil {
		head := s.githubCommit(m.repo, *m.head)
		event.HeadCommit = &head
	}
	return event
}

func (s *Server) compareURL(m move) string {
	project := s.Base() + "/" + m.repo.Project
	if m.created() {
		return project + "/compare/" + shortRef(m.Ref)
	}
	return project + "/compare/" + m.Before[:12] + "..." + m.After[:12]
}

func (s *Server) githubCommit(r Repository, c commit) githubCommit {
	return githubCommit{
		ID: c.ID, TreeID: c.Tree, Distinct: true, Message: c.Message, Timestamp: c.CommittedAt,
		URL:    s.Base() + "/" + r.Project + "/commit/" + c.ID,
		Author: c.Author, Committer: c.Committer,
		Added: c.Added, Removed: c.Removed, Modified: c.Modified,
	}
}

// shortRef is what people call a ref by.
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
