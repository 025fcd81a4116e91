package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	maxDiscussionPages = 10
	threadsBegin       = "<!-- scanhook thread "
	threadsBeginEnd    = " -->\n"
)

// KeepThreads begins threads on the lines of a merge request's change, resolves those of ours whose findings do not count any more, and
// opens again those that it has resolved. What people resolved stays so. A line that is not in the change gets none.
func (p *Platform) KeepThreads(ctx context.Context, project core.Project, request int64, head string, threads platforms.Threads) error {
	if err := p.checkAccess(project); err != nil {
		return err
	}
	if project.Ref == "" {
		ctx = platforms.WithoutRedirects(ctx)
	}
	k := threadsOf{thread: thread{p, numberOrPath(project), int(request)}, head: head, shown: map[string]*gogitlab.Discussion{}}
	if err := k.keep(ctx, threads); err != nil {
		return fmt.Errorf("keeping threads of merge request %d of %s: %w", request, project.Name, err)
	}
	return nil
}

// threadsOf are the threads of ours on a merge request.
type threadsOf struct {
	thread
	head  string
	me    int
	shown map[string]*gogitlab.Discussion // by key, the oldest
}

func (k *threadsOf) keep(ctx context.Context, threads platforms.Threads) error {
	if err := k.list(ctx); err != nil {
		return err
	}
	var fresh []platforms.Thread
	for _, one := range threads.Wanted {
		if k.shown[one.Key] == nil {
			fresh = append(fresh, one)
		}
	}
	for key, shown := range k.shown {
		still := threads.Still[key]
		if !still && !threads.All {
			continue // it may be one that was not read
		}
		if err := k.settle(ctx, shown, still); err != nil {
			return err
		}
	}
	return k.begin(ctx, fresh)
}

// list finds the threads that this token has begun: others can copy what is in them.
func (k *threadsOf) list(ctx context.Context) error {
	user, answer, err := k.api.Users.CurrentUser(gogitlab.WithContext(ctx))
	if err := k.commentError(answer, err); err != nil {
		return err
	}
	if user == nil || user.ID == 0 {
		return fmt.Errorf("%w: it does not say whose the token is", platforms.ErrUnreadable)
	}
	k.me = user.ID
	for page, pages := 1, 0; page > 0 && pages < maxDiscussionPages; pages++ {
		found, answer, err := k.api.Discussions.ListMergeRequestDiscussions(k.project, k.request,
			&gogitlab.ListMergeRequestDiscussionsOptions{Page: page, PerPage: notesPerPage}, gogitlab.WithContext(ctx))
		if err = k.commentError(answer, err); err == nil && found == nil {
			err = platforms.ErrUnreadable
		}
		if err != nil {
			return err
		}
		for _, discussion := range found {
			k.recognise(discussion)
		}
		page = answer.NextPage
	}
	return nil
}

func (k *threadsOf) recognise(discussion *gogitlab.Discussion) {
	if discussion == nil || len(discussion.Notes) == 0 || discussion.Notes[0] == nil || discussion.Notes[0].Author.ID != k.me {
		return
	}
	rest, ours := strings.CutPrefix(discussion.Notes[0].Body, threadsBegin)
	key, _, ended := strings.Cut(rest, strings.TrimSpace(threadsBeginEnd))
	if key = strings.TrimSpace(key); ours && ended && k.shown[key] == nil {
		k.shown[key] = discussion
	}
}

// settle resolves a thread whose finding does not count any more, or opens it again where it was resolved by us.
func (k *threadsOf) settle(ctx context.Context, shown *gogitlab.Discussion, still bool) error {
	first := shown.Notes[0]
	if !first.Resolvable || first.Resolved != still || still && first.ResolvedBy.ID != k.me {
		return nil
	}
	_, answer, err := k.api.Discussions.ResolveMergeRequestDiscussion(k.project, k.request, shown.ID,
		&gogitlab.ResolveMergeRequestDiscussionOptions{Resolved: gogitlab.Ptr(!still)}, gogitlab.WithContext(ctx))
	if answered(answer, http.StatusNotFound) {
		return nil // somebody has deleted it since
	}
	return k.commentError(answer, err)
}

// begin begins threads on the newest version of the change, which must be that of the head.
func (k *threadsOf) begin(ctx context.Context, fresh []platforms.Thread) error {
	if len(fresh) == 0 {
		return nil
	}
	versions, answer, err := k.api.MergeRequests.GetMergeRequestDiffVersions(k.project, k.request,
		&gogitlab.GetMergeRequestDiffVersionsOptions{PerPage: 1}, gogitlab.WithContext(ctx))
	if err := k.commentError(answer, err); err != nil {
		return err
	}
	if len(versions) == 0 || versions[0].HeadCommitSHA != k.head {
		return fmt.Errorf("%w: GitLab has not compared the head of the request yet", platforms.ErrTooEarly)
	}
	for _, one := range fresh {
		_, answer, err := k.api.Discussions.CreateMergeRequestDiscussion(k.project, k.request, &gogitlab.CreateMergeRequestDiscussionOptions{
			Body: gogitlab.Ptr(threadsBegin + one.Key + threadsBeginEnd + one.Text), Position: positionOf(versions[0], one),
		}, gogitlab.WithContext(ctx))
		if answered(answer, http.StatusBadRequest, http.StatusUnprocessableEntity) {
			continue // the line is not in the change: the note has the finding
		}
		if err := k.commentError(answer, err); err != nil {
			return err
		}
	}
	return nil
}

func positionOf(version *gogitlab.MergeRequestDiffVersion, one platforms.Thread) *gogitlab.PositionOptions {
	return &gogitlab.PositionOptions{
		BaseSHA: &version.BaseCommitSHA, StartSHA: &version.StartCommitSHA, HeadSHA: &version.HeadCommitSHA, PositionType: gogitlab.Ptr("text"),
		OldPath: &one.File, NewPath: &one.File, NewLine: &one.Line,
	}
}
