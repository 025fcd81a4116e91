package standin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Repository is a project of the platform, backed by a git repository on disk that the server only reads.
type Repository struct {
	Project       string // owner/name, group/sub/name
	ID            int64  // 0: the next free one
	Dir           string // bare or not
	DefaultBranch string // empty: main
}

// owner is everything before the last slash of the project's path.
func (r Repository) owner() string { return r.Project[:max(0, strings.LastIndexByte(r.Project, '/'))] }

func (r Repository) name() string { return r.Project[strings.LastIndexByte(r.Project, '/')+1:] }

// AddRepository makes a repository known, in place of one with the same project.
func (s *Server) AddRepository(r Repository) {
	if r.ID == 0 {
		r.ID = s.nextID()
	}
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories = slices.DeleteFunc(s.repositories, func(old Repository) bool { return old.Project == r.Project })
	s.repositories = append(s.repositories, r)
}

// CloneURL is where git fetches a project from, without credentials.
func (s *Server) CloneURL(project string) string { return s.Base() + "/" + project + ".git" }

// repository finds a project by its path, in any case as on the real platforms, or by its id in decimal digits.
func (s *Server) repository(key string) (Repository, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repositories {
		if strings.EqualFold(r.Project, key) || strconv.FormatInt(r.ID, 10) == key {
			return r, true
		}
	}
	return Repository{}, false
}

func (s *Server) find(project string) (Repository, error) {
	if r, ok := s.repository(project); ok {
		return r, nil
	}
	return Repository{}, fmt.Errorf("%w: no project %q here; add it with AddRepository", core.ErrNotFound, project)
}

// hasCommit tells whether sha is the full id of a commit, and not of a tag object, a tree or nothing.
func (r Repository) hasCommit(ctx context.Context, sha string) (bool, error) {
	if !core.IsCommitSHA(sha) {
		return false, nil
	}
	kind, err := git(ctx, r.Dir, "cat-file", "-t", sha)
	if gitFails(err) {
		return false, nil
	}
	return kind == "commit", err
}

// branchWith is the first branch that contains sha, or empty.
func (r Repository) branchWith(ctx context.Context, sha string) (string, error) {
	refs, err := git(ctx, r.Dir, "for-each-ref", "--format=%(refname:lstrip=2)", "--contains="+sha, "refs/heads")
	first, _, _ := strings.Cut(refs, "\n")
	return first, err
}
