package github_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestGitHubDescribesTheTokenInHeaders(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	for _, path := range []string{"/rate_limit", "/user"} {
		p.TokenIs(time.Time{})
		response, _ := p.Call(t, http.MethodGet, path, "")
		if _, shown := response.Header["X-Oauth-Scopes"]; shown || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v", path, response.StatusCode, response.Header)
		}
		p.TokenIs(forgetest.Now, "gist", "repo")
		response, _ = p.Call(t, http.MethodGet, path, "")
		until := response.Header.Get("GitHub-Authentication-Token-Expiration")
		if response.Header.Get("X-OAuth-Scopes") != "gist, repo" || until != "2026-05-04 12:00:00 UTC" {
			t.Errorf("%s: %v", path, response.Header)
		}
	}
}

// TestGitHubEventsFitThePublishedSchemas compares with the schemas of octokit/webhooks, which allow no unknown field.
func TestGitHubEventsFitThePublishedSchemas(t *testing.T) {
	t.Parallel()
	dir := platformtest.RecordedPath(t, "octokit__webhooks/payload-schemas/api.github.com")
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	ids := p.History(t)
	for name, spec := range map[string]fakeforge.PushSpec{
		"moved":   {Ref: "refs/heads/main", Before: ids["first"]},
		"created": {Ref: "refs/heads/feature/move"},
		"tag":     {Ref: "refs/tags/v1"},
		"deleted": {Ref: "refs/heads/gone", Before: ids["head"], After: strings.Repeat("0", 40)},
	} {
		spec.Project = p.Project
		d, err := p.BuildPush(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, dir, "push/event").Validate(any(forgetest.Decode(t, d.Body))); err != nil {
			t.Errorf("push, %s: %v", name, err)
		}
	}
	runs := map[string]string{"completed": "completed", "in_progress": "in_progress", "queued": "requested"}
	for status, file := range runs {
		spec := fakeforge.PipelineSpec{Project: p.Project, SHA: ids["head"], Status: status, Attempt: 2, Duration: time.Minute}
		d, err := p.BuildPipeline(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, dir, "workflow_run/"+file).Validate(any(forgetest.Decode(t, d.Body))); err != nil {
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
	document := forgetest.ReadJSON(t, file)
	delete(document, "$id")
	if err := compiler.AddResource(address, any(document)); err != nil {
		t.Fatal(err)
	}
}

func TestGitHubAnswersFitTheAPIDescription(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromFile(platformtest.RecordedPath(t, "openapi/github/api.github.com.subset.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	_, status := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`)
	if _, err := p.BuildPipeline(t.Context(), fakeforge.PipelineSpec{
		Project: p.Project, SHA: p.Sample.Head, ID: 5, Artifacts: []int64{1},
	}); err != nil {
		t.Fatal(err)
	}
	_, limits := p.Call(t, http.MethodGet, "/rate_limit", "")
	_, artifacts := p.Call(t, http.MethodGet, "/repos/"+p.Project+"/actions/runs/5/artifacts", "")
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
