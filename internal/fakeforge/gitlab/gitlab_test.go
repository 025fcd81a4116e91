package gitlab_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestGitLabDescribesItsToken(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	_, got := p.Call(t, http.MethodGet, "/personal_access_tokens/self", "")
	if diff := cmp.Diff([]any{"api"}, got["scopes"]); diff != "" || got["expires_at"] != nil || got["active"] != true {
		t.Errorf("at first: %v", got)
	}
	p.TokenIs(forgetest.Now.AddDate(0, 0, 3), "read_api")
	_, got = p.Call(t, http.MethodGet, "/personal_access_tokens/self", "")
	if diff := cmp.Diff([]any{"read_api"}, got["scopes"]); diff != "" || got["expires_at"] != "2026-05-07" {
		t.Errorf("later: %v", got)
	}
	if response, user := p.Call(t, http.MethodGet, "/user", ""); response.StatusCode != http.StatusOK || user["username"] == nil {
		t.Errorf("its owner: %d %v", response.StatusCode, user)
	}
}

// TestGitLabEventsHaveTheRecordedFields wants every field that GitLab's documentation shows, at every depth.
func TestGitLabEventsHaveTheRecordedFields(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	push, err := p.BuildPush(t.Context(), fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main"})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := p.BuildPush(t.Context(), fakeforge.PushSpec{Project: p.Project, Ref: "refs/tags/v1", After: p.Sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	pipeline, err := p.BuildPipeline(t.Context(), fakeforge.PipelineSpec{Project: p.Project, SHA: p.Sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	for file, d := range map[string]fakeforge.Delivery{"push": push, "tag_push": tag, "pipeline": pipeline} {
		want := forgetest.ReadJSON(t, platformtest.RecordedPath(t, "gitlab-docs/current/"+file+".json"))
		delete(want, "source_pipeline") // only child pipelines have one
		if lost := missing("", want, forgetest.Decode(t, d.Body)); len(lost) > 0 {
			t.Errorf("%s lacks %v", file, lost)
		}
	}
}

// missing lists the fields of want that got lacks; what is null on either side is not looked into.
func missing(path string, want, got any) (lost []string) {
	switch want := want.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if _, ok := have[key]; !ok {
				lost = append(lost, path+"."+key)
			}
			lost = append(lost, missing(path+"."+key, want[key], have[key])...)
		}
	case []any:
		if have, ok := got.([]any); ok && len(want) > 0 && len(have) > 0 {
			return missing(path+"[]", want[0], have[0])
		}
	}
	return lost
}

func TestGitLabAnswersFitTheAPIDescription(t *testing.T) {
	t.Parallel()
	document := forgetest.ReadJSON(t, platformtest.RecordedPath(t, "openapi/gitlab/gitlab-api-v4.subset.json"))
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	_, status := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`)
	_, commit := p.Call(t, http.MethodGet, "/projects/77/repository/commits/"+p.Sample.Head, "")
	pipeline, _ := commit["last_pipeline"].(map[string]any)
	for entity, body := range map[string]map[string]any{
		"API_Entities_CommitStatus": status, "API_Entities_CommitDetail": commit, "API_Entities_Ci_PipelineBasic": pipeline,
	} {
		definition := document["definitions"].(map[string]any)[entity].(map[string]any)
		known := definition["properties"].(map[string]any)
		got := slices.DeleteFunc(slices.Sorted(maps.Keys(body)), func(field string) bool { return known[field] != nil })
		if diff := cmp.Diff([]string{}, got); diff != "" {
			t.Errorf("%s has fields that GitLab's has not (-want +got):\n%s", entity, diff)
		}
	}
}
