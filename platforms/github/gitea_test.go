package github_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// giteaTape is a Gitea 1.26 with one webhook, and what it was told. Its answers are those of the real one, which
// make e2e-gitea asks.
type giteaTape struct {
	mu    sync.Mutex
	calls []string
	body  map[string]any // of the last POST
}

func (g *giteaTape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, r.Method+" "+r.URL.RequestURI())
	hook := `{"id":1,"type":"gitea","active":true,"events":["push","issues"],
		"branch_filter":"main","authorization_header":"Bearer x",
		"config":{"content_type":"json","url":"` + hookAddress + `"}}`
	switch r.Method {
	case http.MethodPost:
		text, _ := io.ReadAll(r.Body)
		g.body = nil
		_ = json.Unmarshal(text, &g.body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, hook)
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("X-Total-Count", "1")
		if strings.HasSuffix(r.URL.Path, "/hooks") {
			hook = "[" + hook + "]"
		}
		_, _ = io.WriteString(w, hook)
	}
}

func gitea(t *testing.T) (*giteaTape, *github.Platform) {
	t.Helper()
	tape := &giteaTape{}
	server := httptest.NewServer(tape)
	t.Cleanup(server.Close)
	return tape, newPlatform(t, github.Config{
		URL: server.URL, APIURL: server.URL + "/api/v1", Token: theToken, WebhookSecrets: []string{platformtest.Secret},
	})
}

// Gitea wants to be told the kind of webhook, shows no secret, and old ones have no workflow runs.
func TestHooksOnGitea(t *testing.T) {
	t.Parallel()
	tape, platform := gitea(t)
	if hook := hooksOf(t, platform, ofWidgets)[0]; hook.Broken || len(hook.Faults) > 0 || hook.Hidden == "" {
		t.Errorf("hook: %+v", hook)
	}
	if err := platform.AddHook(t.Context(), "acme/widgets", hookAddress); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "gitea", "active": true, "events": []any{"push", "workflow_run", "status"},
		"config": map[string]any{
			"url": hookAddress, "content_type": "json", "insecure_ssl": "0", "secret": platformtest.Secret,
		},
	}
	if diff := cmp.Diff(want, tape.body); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// A PATCH would forget the branches and the header, and keep the secret.
func TestMendReplacesHookOnGitea(t *testing.T) {
	t.Parallel()
	tape, platform := gitea(t)
	hook := hooksOf(t, platform, ofWidgets)[0]
	tape.calls = nil
	if err := platform.RepairHook(t.Context(), hook, hookAddress); err != nil {
		t.Fatal(err)
	}
	const hooks = "/api/v1/repos/acme/widgets/hooks"
	want := []string{"GET " + hooks + "/1", "POST " + hooks, "DELETE " + hooks + "/1"}
	if diff := cmp.Diff(want, tape.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if tape.body["branch_filter"] != "main" || tape.body["authorization_header"] != "Bearer x" {
		t.Errorf("sent %v", tape.body)
	}
}

// What Gitea has not is known without asking.
func TestGiteaIsNotAskedForDeliveries(t *testing.T) {
	t.Parallel()
	tape, platform := gitea(t)
	hook := platforms.Hook{HookTarget: ofWidgets, ID: 1}
	_, listed := platform.Attempts(t.Context(), hook, noon)
	again := platform.Redeliver(t.Context(), hook, platforms.Attempt{ID: 1})
	tested := platform.TestHook(t.Context(), hook)
	for _, err := range []error{listed, again, tested} {
		if !errors.Is(err, platforms.ErrNoHookAccess) {
			t.Errorf("got %v, want ErrNoHookAccess", err)
		}
	}
	if len(tape.calls) > 0 {
		t.Errorf("calls: %q", tape.calls)
	}
}

// Compared with the number that a post was answered with, our own status would look like a stranger's.
func TestStatusEventOfGiteaHasNoNumber(t *testing.T) {
	t.Parallel()
	_, platform := gitea(t)
	delivery, err := platform.Parse(headerOf("status"), []byte(`{"id":57,"sha":"`+platformtest.SHA+
		`","context":"scanhook","state":"pending","repository":{"full_name":"acme/widgets"},"sender":{"login":"scanhook"}}`))
	seen, used := delivery.Event.(core.StatusSeen)
	if err != nil || !used || seen.ID != 0 || seen.State != core.StatusPending || delivery.Project != "acme/widgets" {
		t.Errorf("delivery %+v, %v", delivery, err)
	}
}

// A project that was renamed gets its statuses at the address that Gitea leads to.
func TestStatusFollowsRenamedProjectOnGitea(t *testing.T) {
	t.Parallel()
	var called []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		called = append(called, r.Method+" "+r.Header.Get("Authorization")+" "+string(body[:min(len(body), 9)]))
		if len(called) == 1 {
			http.Redirect(w, r, strings.Replace(r.URL.Path, "widgets", "gadgets", 1), http.StatusMovedPermanently)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":3}`)
	}))
	defer server.Close()
	platform := newPlatform(t, github.Config{URL: server.URL, APIURL: server.URL + "/api/v1", Token: theToken})
	status := platformtest.Status(core.StatusSuccess)
	status.ProjectRef = "7" // without a number it would not be followed
	posted, err := platform.PostStatus(t.Context(), status)
	if err != nil || posted.ID != 3 || len(called) != 2 || called[0] != called[1] {
		t.Errorf("posted %+v, %v; calls %q", posted, err, called)
	}
}
