package standin_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/standin"
)

// A pipeline of a merge request takes statuses by its number, and none that names the branch: that gets another one.
func TestGitLabMergeRequestPipelines(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab, Token: token})
	merge, err := p.AddPipeline(p.project, p.sample.Head, standin.MergeRequestRef(1, false))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		post  string
		code  int
		merge bool
	}{
		{fmt.Sprintf(`{"state":"running","ref":"main","pipeline_id":%d}`, merge), http.StatusNotFound, false},
		{fmt.Sprintf(`{"state":"running","pipeline_id":%d}`, merge), http.StatusCreated, true},
		{`{"state":"success"}`, http.StatusCreated, true},
		{`{"state":"running","ref":"main"}`, http.StatusCreated, false},
	} {
		response, body := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), test.post)
		if response.StatusCode != test.code || (body["pipeline_id"] == float64(merge)) != test.merge {
			t.Errorf("%s was answered %d %v, want %d, in the merge request's: %t", test.post, response.StatusCode, body,
				test.code, test.merge)
		}
	}
}

func TestGitLabTellsOfTheMergeRequest(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab})
	d, err := p.BuildPipeline(t.Context(), standin.PipelineSpec{
		Project: p.project, SHA: p.sample.Head, Branch: "feature", MergeRequest: 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	event := decode(t, d.Body)
	run, request := event["object_attributes"].(map[string]any), event["merge_request"].(map[string]any)
	if run["source"] != "merge_request_event" || run["ref"] != "feature" || request["iid"] != 7.0 {
		t.Errorf("event = %v of %v", run, request)
	}
}
