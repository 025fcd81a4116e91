package fakeforge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// PushSpec is a ref that moved. Everything else in the event is read from the repository.
type PushSpec struct {
	Project string
	Ref     string // full: refs/heads/main, refs/tags/v1
	Before  string // object id; empty or zeros: the ref was created
	After   string // object id, of the tag object for an annotated tag; empty: where Ref points now; zeros: deleted
}

// Push is a ref that moved, with what git knows about it.
type Push struct {
	PushSpec
	Repository Repository
	Head       *gitrepo.Commit  // nil when the ref was deleted
	Commits    []gitrepo.Commit // oldest first, the newest ones that the forge lists
	Total      int              // how many there really are
	TagMessage string           // of an annotated tag
	Forced     bool
}

// Created tells whether the ref is new.
func (p Push) Created() bool { return core.IsZeroSHA(p.Before) }

// Deleted tells whether the ref is gone.
func (p Push) Deleted() bool { return core.IsZeroSHA(p.After) }

// IsTag tells whether the ref is a tag.
func (p Push) IsTag() bool { return strings.HasPrefix(p.Ref, "refs/tags/") }

// SinceDefaultBranch are git revisions that select the commits of the ref without those of the default branch.
func (p Push) SinceDefaultBranch(ctx context.Context) ([]string, error) {
	base := "refs/heads/" + p.Repository.DefaultBranch
	if known, err := p.Repository.Git().HasRef(ctx, base); err != nil || !known || p.Ref == base {
		return []string{p.After}, err
	}
	return []string{p.After, "^" + base}, nil
}

// Push sends a push to hookURL as the forge would, and returns what was sent and what the receiver answered.
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
	push, err := s.readPush(ctx, spec)
	if err != nil {
		return Delivery{}, fmt.Errorf("building push of %s: %w", spec.Ref, err)
	}
	event, payload := s.forge.Push(push)
	return s.Build(event, push.Repository, payload)
}

// Announce sends a push to all webhooks that subscribe to it, as the forge does, and returns how it went.
func (s *Server) Announce(ctx context.Context, spec PushSpec) ([]Attempt, error) {
	delivery, err := s.BuildPush(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.AnnounceDelivery(ctx, spec.Project, delivery)
}

func (s *Server) readPush(ctx context.Context, spec PushSpec) (Push, error) {
	repo, err := s.Find(spec.Project)
	if err != nil {
		return Push{}, err
	}
	p := Push{PushSpec: spec, Repository: repo}
	if head, declared := s.declaredCommit(repo, spec.After); declared {
		return p.ofDeclared(head), nil
	}
	if err := p.read(ctx); err != nil || p.Deleted() {
		return p, err
	}
	revisions, err := s.forge.NewCommits(ctx, p)
	if err != nil || len(revisions) == 0 {
		return p, err
	}
	return p, p.readCommits(ctx, s.forge.MaxCommits, revisions)
}

// ofDeclared is the move of a branch by one declared commit.
func (p Push) ofDeclared(head gitrepo.Commit) Push {
	p.Before = cmp.Or(p.Before, strings.Repeat("0", len(head.ID)))
	p.Head, p.Commits, p.Total = &head, []gitrepo.Commit{head}, 1
	return p
}

// read asks git for everything but the commits. It fills in and checks Before and After first.
func (p *Push) read(ctx context.Context) (err error) {
	git := p.Repository.Git()
	if p.After == "" {
		if p.After, err = git.Output(ctx, "rev-parse", "--verify", "--end-of-options", p.Ref); err != nil {
			return err
		}
	}
	p.Before = cmp.Or(p.Before, strings.Repeat("0", len(p.After)))
	for _, id := range []string{p.Before, p.After} {
		if !core.IsZeroSHA(id) && !core.IsCommitSHA(id) {
			return fmt.Errorf("%w: %q is not a full object id", core.ErrInvalid, id)
		}
	}
	if p.Deleted() {
		return nil
	}
	if p.TagMessage, err = p.tagMessage(ctx); err != nil {
		return err
	}
	head, err := git.Commit(ctx, p.After)
	if err != nil {
		return err
	}
	p.Head = &head
	p.Forced, err = p.rewrites(ctx)
	return err
}

func (p *Push) tagMessage(ctx context.Context) (string, error) {
	kind, err := p.Repository.Git().Output(ctx, "cat-file", "-t", p.After)
	if err != nil || kind != "tag" {
		return "", err
	}
	object, err := p.Repository.Git().Output(ctx, "cat-file", "tag", p.After)
	_, message, _ := strings.Cut(object, "\n\n")
	return message, err
}

// rewrites tells whether the push removed commits from the ref.
func (p *Push) rewrites(ctx context.Context) (bool, error) {
	if p.Created() {
		return false, nil
	}
	_, err := p.Repository.Git().Output(ctx, "merge-base", "--is-ancestor", p.Before, p.After)
	if gitrepo.ExitCode(err) == 1 {
		return true, nil
	}
	return false, err
}

// readCommits reads the newest commits, at most limit, that revisions select.
func (p *Push) readCommits(ctx context.Context, limit int, revisions []string) (err error) {
	if p.Total, err = p.Repository.Git().Count(ctx, revisions...); err != nil {
		return err
	}
	p.Commits, err = p.Repository.Git().Log(ctx, append([]string{fmt.Sprintf("-%d", limit)}, revisions...)...)
	slices.Reverse(p.Commits)
	return err
}

// PipelineSpec is one state of one run of a CI pipeline.
type PipelineSpec struct {
	Project      string
	ID           int64  // 0: the next free one
	Attempt      int    // GitHub: 1 and one more for each re-run; 0 is 1
	Name         string // of the workflow or pipeline; empty: CI
	Branch       string // short; empty: the default branch
	SHA          string // full id of the commit
	Before       string // GitLab: before_sha; empty: zeros
	Source       string // GitHub: event; GitLab: source; empty: push
	Status       string // GitHub: queued, in_progress, completed; GitLab: pending, running, success…; empty: finished well
	Conclusion   string // GitHub: success, failure…; empty: success when completed, else null
	CreatedAt    time.Time
	Queued       time.Duration // from creation to start
	Duration     time.Duration // from start to end; sent only when finished
	MergeRequest int64         // GitLab: number of the one that it runs for, from Branch; 0: none
	Artifacts    []int64       // sizes in bytes; GitLab sends them, GitHub answers them when asked for the run's artifacts
}

// StartedAt is when the run left the queue.
func (p PipelineSpec) StartedAt() time.Time { return p.CreatedAt.Add(p.Queued) }

// EndedAt is when the run finished.
func (p PipelineSpec) EndedAt() time.Time { return p.StartedAt().Add(p.Duration) }

// Pipeline sends the state of a pipeline to hookURL as the forge would; see Push for what comes back.
func (s *Server) Pipeline(ctx context.Context, hookURL string, spec PipelineSpec) (Delivery, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildPipeline makes the delivery of a pipeline event without sending it.
func (s *Server) BuildPipeline(ctx context.Context, spec PipelineSpec) (Delivery, error) {
	repo, err := s.Find(spec.Project)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline: %w", err)
	}
	head, err := s.Commit(ctx, repo, spec.SHA)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline of %s: %w", spec.SHA, err)
	}
	if spec.ID == 0 {
		spec.ID = s.NextID()
	}
	spec.complete(repo, s.cfg.Now())
	event, payload := s.forge.Pipeline(spec, repo, head)
	return s.Build(event, repo, payload)
}

// AnnouncePipeline sends a pipeline to all webhooks that subscribe to it.
func (s *Server) AnnouncePipeline(ctx context.Context, spec PipelineSpec) ([]Attempt, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.AnnounceDelivery(ctx, spec.Project, delivery)
}

// complete fills in the fields whose default is the same on all forges.
func (p *PipelineSpec) complete(r Repository, now time.Time) {
	if p.CreatedAt.IsZero() {
		p.CreatedAt = now.Add(-p.Queued - p.Duration)
	}
	p.Attempt = cmp.Or(p.Attempt, 1)
	p.Name = cmp.Or(p.Name, "CI")
	p.Branch = cmp.Or(p.Branch, r.DefaultBranch)
}

// AddPipeline makes a CI pipeline of the project exist for a commit, with the names of its own jobs, and returns its id.
// It is 0, and nothing happens, where the forge keeps commit statuses apart from pipelines.
func (s *Server) AddPipeline(project, sha, ref string, jobs ...string) (int64, error) {
	repo, err := s.Find(project)
	if err != nil || s.forge.AddPipeline == nil {
		return 0, err
	}
	return s.forge.AddPipeline(repo, sha, ref, jobs), nil
}

// AddCheck gives a project a check by another program, which its requests wait for, and returns the check's id. It is 0, and nothing
// happens, where the forge has no such checks.
func (s *Server) AddCheck(project, name string) (int64, error) {
	repo, err := s.Find(project)
	if err != nil || s.forge.AddCheck == nil {
		return 0, err
	}
	return s.forge.AddCheck(repo, name), nil
}

// SendRequest sends the state of a request to hookURL as the forge would; see Push for what comes back.
func (s *Server) SendRequest(ctx context.Context, hookURL string, spec RequestSpec) (Delivery, error) {
	delivery, err := s.BuildRequest(spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildRequest makes the delivery of an event of a request without sending it. From then on the API knows the request.
func (s *Server) BuildRequest(spec RequestSpec) (Delivery, error) {
	base, err := s.Find(spec.Project)
	if err != nil {
		return Delivery{}, fmt.Errorf("building request: %w", err)
	}
	head, err := s.Find(cmp.Or(spec.From, spec.Project))
	if err != nil {
		return Delivery{}, fmt.Errorf("building request: %w", err)
	}
	spec.Target = cmp.Or(spec.Target, base.DefaultBranch)
	if spec.At.IsZero() {
		spec.At = s.cfg.Now()
	}
	s.keep(spec)
	event, payload := s.forge.Request(spec, base, head)
	return s.Build(event, base, payload)
}
