package standin_test

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scanhook/scanhook/internal/standin"
)

// TestGitHubEventsFitThePublishedSchemas compares with the schemas of octokit/webhooks, which allow no unknown field.
func TestGitHubEventsFitThePublishedSchemas(t *testing.T) {
	t.Parallel()
	dir := recorded(t, "octokit__webhooks/payload-schemas/api.github.com")
	p := start(t, standin.Config{Kind: standin.GitHub})
	ids := history(t, p)
	for name, spec := range map[string]standin.PushSpec{
		"moved":   {Ref: "refs/heads/main", Before: ids["first"]},
		"created": {Ref: "refs/heads/feature/move"},
		"tag":     {Ref: "refs/tags/v1"},
		"deleted": {Ref: "refs/heads/gone", Before: ids["head"], After: zeros},
	} {
		spec.Project = p.project
		d, err := p.BuildPush(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, dir, "push/event").Validate(any(decode(t, d.Body))); err != nil {
			t.Errorf("push, %s: %v", name, err)
		}
	}
	runs := map[string]string{"completed": "completed", "in_progress": "in_progress", "queued": "requested"}
	for status, file := range runs {
		spec := standin.PipelineSpec{Project: p.project, SHA: ids["head"], Status: status, Attempt: 2, Duration: time.Minute}
		d, err := p.BuildPipeline(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, dir, "workflow_run/"+file).Validate(any(decode(t, d.Body))); err != nil {
			t.Errorf("workflow_run %s: %v", status, err)
		}
	}
}

// schema compiles one event's schema; the schemas name each other by $id, which is no file name.
func schema(t *testing.T, dir, event string) *jsonschema.Schema {
	t.Helper()
	const root = "https://schemas.example/"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	// The library's own check knows no operators ({/number}), which every recorded payload has too.
	compiler.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(any) error { return nil }})
	common, err := filepath.Glob(filepath.Join(dir, "common", "*.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range common {
		add(t, compiler, root+"common/"+filepath.Base(file), file)
	}
	add(t, compiler, root+"event", filepath.Join(dir, filepath.FromSlash(event)+".schema.json"))
	compiled, err := compiler.Compile(root + "event")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func add(t *testing.T, compiler *jsonschema.Compiler, address, file string) {
	t.Helper()
	document := readJSON(t, file)
	delete(document, "$id")
	if err := compiler.AddResource(address, any(document)); err != nil {
		t.Fatal(err)
	}
}

// TestGitLabEventsHaveTheRecordedFields wants every field that GitLab's documentation shows, at every depth.
func TestGitLabEventsHaveTheRecordedFields(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab})
	push, err := p.BuildPush(t.Context(), standin.PushSpec{Project: p.project, Ref: "refs/heads/main"})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := p.BuildPush(t.Context(), standin.PushSpec{Project: p.project, Ref: "refs/tags/v1", After: p.sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	pipeline, err := p.BuildPipeline(t.Context(), standin.PipelineSpec{Project: p.project, SHA: p.sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	for file, d := range map[string]standin.Delivery{"push": push, "tag_push": tag, "pipeline": pipeline} {
		want := readJSON(t, recorded(t, "gitlab-docs/current/"+file+".json"))
		delete(want, "source_pipeline") // only child pipelines have one
		if lost := missing("", want, decode(t, d.Body)); len(lost) > 0 {
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

func TestGitHubAnswersFitTheAPIDescription(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromFile(recorded(t, "openapi/github/api.github.com.subset.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	_, status := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success"}`)
	if _, err := p.BuildPipeline(t.Context(), standin.PipelineSpec{
		Project: p.project, SHA: p.sample.Head, ID: 5, Artifacts: []int64{1},
	}); err != nil {
		t.Fatal(err)
	}
	_, limits := p.call(t, http.MethodGet, "/rate_limit", "")
	_, artifacts := p.call(t, http.MethodGet, "/repos/"+p.project+"/actions/runs/5/artifacts", "")
	paths := document.Paths
	for name, check := range map[string]struct {
		responses *openapi3.Responses
		status    int
		body      map[string]any
	}{
		"status":    {paths.Find("/repos/{owner}/{repo}/statuses/{sha}").Post.Responses, 201, status},
		"limits":    {paths.Find("/rate_limit").Get.Responses, 200, limits},
		"artifacts": {paths.Find("/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts").Get.Responses, 200, artifacts},
	} {
		media := check.responses.Status(check.status).Value.Content.Get("application/json")
		if err := media.Schema.Value.VisitJSON(check.body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitLabAnswersFitTheAPIDescription(t *testing.T) {
	t.Parallel()
	document := readJSON(t, recorded(t, "openapi/gitlab/gitlab-api-v4.subset.json"))
	p := start(t, standin.Config{Kind: standin.GitLab, Token: token})
	_, status := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success"}`)
	_, commit := p.call(t, http.MethodGet, "/projects/77/repository/commits/"+p.sample.Head, "")
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
