package gitea_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// Gitea needs the type of a webhook, shows no secret, and old ones have no workflow runs.
func TestHooks(t *testing.T) {
	t.Parallel()
	taped, platform := newTape(t)
	if hook := hookOf(t, platform); hook.Broken || len(hook.Faults) > 0 || hook.Hidden == "" {
		t.Errorf("hook: %+v", hook)
	}
	if err := platform.AddHook(t.Context(), core.HookTarget{Scope: core.ScopeProject, Owner: "acme/widgets"}, hookAddress); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "gitea", "active": true, "events": []any{"push", "workflow_run", "status", "repository", "pull_request", "create", "delete", "pull_request_sync"},
		"config": map[string]any{
			"url": hookAddress, "content_type": "json", "insecure_ssl": "0", "secret": platformtest.Secret,
		},
	}
	if diff := cmp.Diff(want, taped.body); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// A PATCH would reset the branches and the header, and keep the secret.
func TestRepairReplacesHook(t *testing.T) {
	t.Parallel()
	taped, platform := newTape(t)
	hook := hookOf(t, platform)
	taped.calls = nil
	if err := platform.RepairHook(t.Context(), hook, hookAddress); err != nil {
		t.Fatal(err)
	}
	const hooks = "/api/v1/repos/acme/widgets/hooks"
	want := []string{"GET " + hooks + "/1", "POST " + hooks, "DELETE " + hooks + "/1"}
	if diff := cmp.Diff(want, taped.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if taped.body["branch_filter"] != "main" || taped.body["authorization_header"] != "Bearer x" {
		t.Errorf("sent %v", taped.body)
	}
}

func TestHooksOfOrganisations(t *testing.T) {
	t.Parallel()
	taped, platform := newTape(t)
	for _, target := range platform.HookTargets("acme/widgets") {
		if _, err := platform.Hooks(t.Context(), target, hookAddress); err != nil {
			t.Fatal(err)
		}
	}
	const page = "?limit=50&page=1"
	want := []string{"GET /api/v1/repos/acme/widgets/hooks" + page, "GET /api/v1/orgs/acme/hooks" + page}
	if diff := cmp.Diff(want, taped.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	odd := core.HookTarget{Scope: core.ScopeGroup, Owner: "../acme"}
	if _, err := platform.Hooks(t.Context(), odd, hookAddress); !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("%s: got %v, want ErrRefused", odd, err)
	}
}

// What Gitea does not have is known without a call.
func TestDeliveriesAreNotAskedFor(t *testing.T) {
	t.Parallel()
	taped, platform := newTape(t)
	hook := platforms.Hook{HookTarget: ofWidgets, ID: 1}
	_, listed := platform.Attempts(t.Context(), hook, noon)
	again := platform.Redeliver(t.Context(), hook, platforms.Attempt{ID: 1})
	tested := platform.TestHook(t.Context(), hook)
	for _, err := range []error{listed, again, tested} {
		if !errors.Is(err, platforms.ErrNoHookAccess) {
			t.Errorf("got %v, want ErrNoHookAccess", err)
		}
	}
	if len(taped.calls) > 0 {
		t.Errorf("calls: %q", taped.calls)
	}
}
