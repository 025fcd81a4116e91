package standin

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/scanhook/scanhook/core"
)

// declarations are the commits that exist because a test said so.
type declarations struct {
	mu      sync.Mutex
	commits map[commitKey]commit
}

// Declare makes the platform know a commit without asking git: its API takes statuses of it, and a push of it is built
// without a process, so that a test can have tens of thousands. Only what git holds as well can be fetched.
func (s *Server) Declare(project, sha string) error {
	repo, err := s.find(project)
	if err != nil {
		return err
	}
	if !core.IsCommitSHA(sha) {
		return fmt.Errorf("%w: %q is not a full commit id", core.ErrInvalid, sha)
	}
	now := s.cfg.Now().UTC()
	author := person{personName, personEmail}
	s.declared.mu.Lock()
	defer s.declared.mu.Unlock()
	if s.declared.commits == nil {
		s.declared.commits = map[commitKey]commit{}
	}
	s.declared.commits[keyOf(repo.Project, sha)] = commit{
		ID: sha, Tree: sha, Author: author, Committer: author, AuthoredAt: now, CommittedAt: now,
		Message: "Change " + core.ShortSHA(sha), Parents: []string{},
		Added: []string{}, Modified: []string{"README.md"}, Removed: []string{},
	}
	return nil
}

func (s *Server) declaredCommit(repo Repository, sha string) (commit, bool) {
	s.declared.mu.Lock()
	defer s.declared.mu.Unlock()
	c, ok := s.declared.commits[keyOf(repo.Project, sha)]
	return c, ok
}

// knows tells whether sha is the full id of a commit of the project.
func (s *Server) knows(ctx context.Context, repo Repository, sha string) (bool, error) {
	if _, ok := s.declaredCommit(repo, sha); ok {
		return true, nil
	}
	return repo.hasCommit(ctx, sha)
}

func (s *Server) commitOf(ctx context.Context, repo Repository, sha string) (commit, error) {
	if c, ok := s.declaredCommit(repo, sha); ok {
		return c, nil
	}
	return repo.commit(ctx, sha)
}

// declared is the move of a branch by one declared commit.
func (m move) declared(head commit) move {
	if m.Before == "" {
		m.Before = strings.Repeat("0", len(head.ID))
	}
	m.head, m.commits, m.total = &head, []commit{head}, 1
	return m
}
