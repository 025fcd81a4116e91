package standin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// What the platforms list of a push at most, the newest commits.
const (
	githubCommits = 2048
	gitlabCommits = 20
)

// PushSpec is a ref that moved. Everything else in the event is read from the repository.
type PushSpec struct {
	Project string
	Ref     string // full: refs/heads/main, refs/tags/v1
	Before  string // object id; empty or zeros: the ref was created
	After   string // object id, of the tag object for an annotated tag; empty: where Ref points now; zeros: deleted
}

// move is a push with what git says about it.
type move struct {
	PushSpec
	repo    Repository
	head    *commit  // nil when the ref was deleted
	commits []commit // oldest first, the newest that the platform lists
	total   int      // how many there really are
	note    string   // the message of an annotated tag
	forced  bool
}

func (m move) created() bool { return core.IsZeroSHA(m.Before) }
func (m move) deleted() bool { return core.IsZeroSHA(m.After) }
func (m move) isTag() bool   { return strings.HasPrefix(m.Ref, "refs/tags/") }

// Push tells hookURL about a push as the platform would, and returns what was sent and what the receiver said.
// An answer of any status is no error; errors are core.ErrNotFound for an unknown project, git's, and the network's.
func (s *Server) Push(ctx context.Context, hookURL string, spec PushSpec) (Delivery, error) {
	delivery, err := s.BuildPush(ctx, spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildPush makes the delivery of a push without sending it.
func (s *Server) BuildPush(ctx context.Context, spec PushSpec) (Delivery, error) {
	m, err := s.read(ctx, spec)
	if err != nil {
		return Delivery{}, fmt.Errorf("building push of %s: %w", spec.Ref, err)
	}
	switch {
	case s.cfg.Kind == GitHub:
		return s.seal("push", m.repo, s.githubPush(m))
	case m.isTag():
		return s.seal("Tag Push Hook", m.repo, s.gitlabPush(m))
	}
	return s.seal("Push Hook", m.repo, s.gitlabPush(m))
}

// read asks git for everything that an event says about a push.
func (s *Server) read(ctx context.Context, spec PushSpec) (move, error) {
	repo, err := s.find(spec.Project)
	if err != nil {
		return move{}, err
	}
	m := move{PushSpec: spec, repo: repo}
	if head, declared := s.declaredCommit(repo, spec.After); declared {
		return m.declared(head), nil
	}
	if err := m.settleEnds(ctx); err != nil || m.deleted() {
		return m, err
	}
	if m.note, err = m.tagMessage(ctx); err != nil {
		return m, err
	}
	head, err := repo.commit(ctx, m.After)
	if err != nil {
		return m, err
	}
	m.head = &head
	if m.forced, err = m.rewrites(ctx); err != nil {
		return m, err
	}
	return m, m.readCommits(ctx, s.cfg.Kind)
}

// settleEnds fills in and checks Before and After.
func (m *move) settleEnds(ctx context.Context) (err error) {
	if m.After == "" {
		if m.After, err = git(ctx, m.repo.Dir, "rev-parse", "--verify", "--end-of-options", m.Ref); err != nil {
			return err
		}
	}
	m.Before = cmp.Or(m.Before, strings.Repeat("0", len(m.After)))
	for _, id := range []string{m.Before, m.After} {
		if !core.IsZeroSHA(id) && !core.IsCommitSHA(id) {
			return fmt.Errorf("%w: %q is not a full object id", core.ErrInvalid, id)
		}
	}
	return nil
}

// rewrites tells whether the push left commits of the ref behind.
func (m *move) rewrites(ctx context.Context) (bool, error) {
	if m.created() {
		return false, nil
	}
	_, err := git(ctx, m.repo.Dir, "merge-base", "--is-ancestor", m.Before, m.After)
	if exitCode(err) == 1 {
		return true, nil
	}
	return false, err
}

func (m *move) tagMessage(ctx context.Context) (string, error) {
	kind, err := git(ctx, m.repo.Dir, "cat-file", "-t", m.After)
	if err != nil || kind != "tag" {
		return "", err
	}
	object, err := git(ctx, m.repo.Dir, "cat-file", "tag", m.After)
	_, message, _ := strings.Cut(object, "\n\n")
	return message, err
}

func (m *move) readCommits(ctx context.Context, kind Kind) (err error) {
	limit := githubCommits
	if kind == GitLab {
		limit = gitlabCommits
		if m.isTag() {
			return nil
		}
	}
	revisions, err := m.revisions(ctx, kind)
	if err != nil {
		return err
	}
	if m.total, err = m.repo.size(ctx, revisions...); err != nil {
		return err
	}
	m.commits, err = m.repo.log(ctx, append([]string{fmt.Sprintf("-%d", limit)}, revisions...)...)
	slices.Reverse(m.commits)
	return err
}

// revisions select the commits that count as pushed. On a new ref, GitHub leaves out what any other branch has, GitLab
// what the default branch has.
func (m *move) revisions(ctx context.Context, kind Kind) ([]string, error) {
	branch := strings.TrimPrefix(m.Ref, "refs/heads/")
	if !m.created() {
		return []string{m.After, "^" + m.Before}, nil
	}
	if kind == GitHub {
		return []string{m.After, "--not", "--exclude=" + branch, "--branches"}, nil
	}
	base := "refs/heads/" + m.repo.DefaultBranch
	_, err := git(ctx, m.repo.Dir, "rev-parse", "--verify", "--quiet", base)
	switch {
	case m.Ref == base || gitFails(err):
		return []string{m.After}, nil
	case err != nil:
		return nil, err
	}
	return []string{m.After, "^" + base}, nil
}
