package gitlab_test

import (
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/standin"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// mergeWorld is a GitLab with a commit that has pipelines.
type mergeWorld struct {
	*standin.Server
	*gitlab.Platform
	sha string
	ids []int64 // of the pipelines, after a 0
}

// startMergeWorld makes pipelines for the refs, in their order.
func startMergeWorld(t *testing.T, sample standin.Checkout, refs ...string) mergeWorld {
	t.Helper()
	server := standin.New(standin.Config{Kind: standin.GitLab, Token: "the-token"})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	server.AddRepository(standin.Repository{Project: "acme/widgets", Dir: sample.Dir, DefaultBranch: "main"})
	w := mergeWorld{server, newPlatform(t, gitlab.Config{URL: listener.URL, Token: "the-token"}), sample.Head, []int64{0}}
	for _, ref := range refs {
		id, err := server.AddPipeline("acme/widgets", w.sha, ref, "build")
		if err != nil {
			t.Fatal(err)
		}
		w.ids = append(w.ids, id)
	}
	return w
}

// Both states of a status land in the pipeline that the merge request shows, in whichever order pipelines were made.
func TestPostStatusFindsTheMergeRequest(t *testing.T) {
	t.Parallel()
	head, merged := standin.MergeRequestRef(1, false), standin.MergeRequestRef(1, true)
	sample, err := standin.SampleRepository(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		refs []string // of the commit's pipelines
		told int      // which of them events told of as a merge request's, from 1 on; 0: none
		gone bool     // events told of one that was deleted
		want int
	}{
		"only a merge request's": {refs: []string{head}, want: 1},
		"of merged results":      {refs: []string{merged}, want: 1},
		"before a branch's":      {refs: []string{head, "main"}, want: 1},
		"after a branch's":       {refs: []string{"main", head}, want: 2},
		"the newer of two":       {refs: []string{head, head, "main"}, want: 2},
		"only a branch's":        {refs: []string{"side", "main"}, want: 2},
		"told of":                {refs: []string{head, "main"}, told: 1, want: 1},
		"told of, gone":          {refs: []string{head, "main"}, gone: true, want: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startMergeWorld(t, sample, test.refs...)
			status := platformtest.Status(core.StatusPending)
			status.CommitSHA, status.MergePipeline = w.sha, w.ids[test.told]
			if test.gone {
				status.MergePipeline = 999
			}
			posted, err := w.PostStatus(t.Context(), status)
			if want := strconv.FormatInt(w.ids[test.want], 10); err != nil || posted.PipelinePin != want {
				t.Fatalf("posted to %s, %v; want %s", posted.PipelinePin, err, want)
			}
			status.PostedState, status.PipelinePin, status.State = status.State, posted.PipelinePin, core.StatusFailure
			seen, err := w.LatestStatus(t.Context(), status)
			if err != nil || seen.ID != posted.ID {
				t.Errorf("seen %+v, %v; want number %d", seen, err, posted.ID)
			}
			if final, err := w.PostStatus(t.Context(), status); err != nil || final != posted {
				t.Errorf("the final state: %+v, %v; want it to end %+v", final, err, posted)
			}
		})
	}
}

// What began in the branch's pipeline ends there, or it would stand there as running for ever; then it may move.
func TestPostStatusEndsBeforeItMoves(t *testing.T) {
	t.Parallel()
	sample, err := standin.SampleRepository(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := startMergeWorld(t, sample, "main")
	status := platformtest.Status(core.StatusPending)
	status.CommitSHA = w.sha
	posted, err := w.PostStatus(t.Context(), status)
	if err != nil {
		t.Fatal(err)
	}
	if status.MergePipeline, err = w.AddPipeline("acme/widgets", w.sha, standin.MergeRequestRef(1, false)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{posted.PipelinePin, strconv.FormatInt(status.MergePipeline, 10)} {
		status.PostedState, status.PipelinePin, status.State = status.State, posted.PipelinePin, core.StatusSuccess
		if posted, err = w.PostStatus(t.Context(), status); err != nil || posted.PipelinePin != want {
			t.Errorf("posted to %s, %v; want %s", posted.PipelinePin, err, want)
		}
	}
}
