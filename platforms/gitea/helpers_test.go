package gitea_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

const (
	hookAddress = "https://scan.example.com/webhooks/gitea"
	theToken    = "the-token"
)

var (
	noon      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ofWidgets = core.HookTarget{Scope: core.ScopeProject, Owner: "acme/widgets"}
)

func newPlatform(t testing.TB, config platforms.Config) *gitea.Platform {
	t.Helper()
	config.Name = "gitea"
	config.Now = func() time.Time { return noon }
	if config.URL == "" {
		config.URL = "https://git.example.com"
	}
	platform, err := gitea.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return platform
}

func headerOf(event string) http.Header {
	return http.Header{"Content-Type": {"application/json"}, "X-Gitea-Event": {event}}
}

// tape is a Gitea 1.26 with one webhook, and the calls that it got. Its answers are those of the real one, which
// make e2e-gitea asks.
type tape struct {
	mu    sync.Mutex
	calls []string
	body  map[string]any // of the last POST
}

func (g *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, r.Method+" "+r.URL.RequestURI())
	hook := `{"id":1,"type":"gitea","active":true,"events":["push","issues","pull_request","pull_request_sync"],
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

func newTape(t *testing.T) (*tape, *gitea.Platform) {
	t.Helper()
	taped := &tape{}
	server := httptest.NewServer(taped)
	t.Cleanup(server.Close)
	return taped, newPlatform(t, platforms.Config{
		URL: server.URL, Token: theToken, WebhookSecrets: []string{platformtest.Secret},
	})
}

func hookOf(t *testing.T, platform *gitea.Platform) platforms.Hook {
	t.Helper()
	hooks, err := platform.Hooks(t.Context(), ofWidgets, hookAddress)
	if err != nil || len(hooks) != 1 {
		t.Fatalf("hooks %+v, %v, want one", hooks, err)
	}
	return hooks[0]
}
