package gitea_test

import (
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
)

const secret = "the secret"

// start connects the adapter, which is tested with a real Gitea, to a fake one.
func start(t *testing.T) (forgetest.Forge, *gitea.Platform) {
	t.Helper()
	forge := forgetest.Start(t, forgetest.Gitea, fakeforge.Config{Token: forgetest.Token, Secret: secret})
	adapter, err := gitea.New(platforms.Config{
		Name: "gitea", URL: forge.Base(), Token: forgetest.Token, WebhookSecrets: []string{secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	return forge, adapter
}

func TestAdapterTakesEvents(t *testing.T) {
	t.Parallel()
	forge, adapter := start(t)
	push, err := forge.BuildPush(t.Context(), fakeforge.PushSpec{
		Project: forge.Project, Ref: "refs/heads/main", Before: forge.Sample.Before, After: forge.Sample.Head,
	})
	if err != nil {
		t.Fatal(err)
	}
	run, err := forge.BuildPipeline(t.Context(), fakeforge.PipelineSpec{Project: forge.Project, SHA: forge.Sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []fakeforge.Delivery{push, run} {
		if _, err := adapter.Verify(call.Header, call.Body); err != nil {
			t.Errorf("%s: %v", call.Event, err)
		}
		parsed, err := adapter.Parse(call.Header, call.Body)
		if err != nil {
			t.Fatalf("%s: %v", call.Event, err)
		}
		switch event := parsed.Event.(type) {
		case core.Push:
			if event.CommitSHA != forge.Sample.Head || event.Before != forge.Sample.Before || event.Project.Ref != "77" {
				t.Errorf("push = %+v", event)
			}
		case core.Pipeline:
			if event.CommitSHA != forge.Sample.Head || event.Conclusion != "success" || event.Branch != "main" {
				t.Errorf("pipeline = %+v", event)
			}
		default:
			t.Errorf("%s became %T", call.Event, event)
		}
	}
}

func TestAdapterPostsAndReadsStatuses(t *testing.T) {
	t.Parallel()
	forge, adapter := start(t)
	status := core.Status{
		ProjectName: forge.Project, ProjectRef: "77", CommitSHA: forge.Sample.Head, Context: "scanhook",
		State: core.StatusFailure, Description: "2 new",
	}
	if _, err := adapter.PostStatus(t.Context(), status); err != nil {
		t.Fatal(err)
	}
	if err := forge.Overwrite(fakeforge.Status{
		Project: forge.Project, SHA: forge.Sample.Head, Context: "scanhook", State: "success", Creator: "ci-bot",
	}); err != nil {
		t.Fatal(err)
	}
	seen, err := adapter.LatestStatus(t.Context(), status)
	if err != nil || seen.State != core.StatusSuccess || seen.Creator != "ci-bot" {
		t.Errorf("latest = %+v, %v, want that of ci-bot", seen, err)
	}
	for body, want := range map[string]int{
		`{"state":"running"}`:                        http.StatusUnprocessableEntity,
		`{"state":"success","target_url":"ftp://x"}`: http.StatusUnprocessableEntity,
		`{"state":"warning"}`:                        http.StatusCreated,
	} {
		if answer, _ := forge.Call(t, http.MethodPost, forge.StatusPath(forge.Sample.Head), body); answer.StatusCode != want {
			t.Errorf("%s was answered %d, want %d", body, answer.StatusCode, want)
		}
	}
}

func TestAdapterManagesHooks(t *testing.T) {
	t.Parallel()
	forge, adapter := start(t)
	target := adapter.HookTargets(forge.Project)[0]
	const address = "https://scan.example.com/webhooks/gitea"
	if err := adapter.AddHook(t.Context(), target, address); err != nil {
		t.Fatal(err)
	}
	found, err := adapter.Hooks(t.Context(), target, address)
	if err != nil || len(found) != 1 || found[0].State != platforms.HookActive {
		t.Fatalf("hooks = %+v, %v, want an active one", found, err)
	}
	if kept := forge.Hooks(); len(kept) != 1 || kept[0].Secret != secret || kept[0].Form {
		t.Errorf("kept = %+v", kept)
	}
}

func TestAdapterFindsMergeBases(t *testing.T) {
	t.Parallel()
	forge, adapter := start(t)
	base, err := adapter.MergeBase(t.Context(), forge.Project, "main", forge.Sample.Before)
	if err != nil || base != forge.Sample.Before {
		t.Errorf("merge base = %s, %v, want %s", base, err, forge.Sample.Before)
	}
}
