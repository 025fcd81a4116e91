package github_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newPlatform(t testing.TB, config platforms.Config) *github.Platform {
	t.Helper()
	config.Name = "github"
	config.Now = func() time.Time { return noon }
	platform, err := github.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return platform
}

func sign(call platformtest.Call, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(call.Body))
	call.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

func headerOf(event string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-GitHub-Event", event)
	return header
}

func privateKey(t testing.TB) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// appServer is a GitHub on which the App is installed as 55; renew answers the call for an installation token.
func appServer(t testing.TB, description platformtest.Description, renew http.HandlerFunc) *platformtest.Server {
	return description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/installation"):
			if strings.Contains(r.URL.Path, "elsewhere") {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write([]byte(`{"id":55,"permissions":{"contents":"write","issues":"write","metadata":"read","pull_requests":"write","statuses":"write"}}`))
		case strings.HasSuffix(r.URL.Path, "/access_tokens"):
			renew(w, r)
		default:
			if got := r.Header.Get("Authorization"); got != "token installation-token" {
				t.Errorf("authorization: got %q", got)
			}
			w.WriteHeader(http.StatusCreated)
		}
	})
}

func newApp(t testing.TB, server *platformtest.Server) *github.Platform {
	return newPlatform(t, platforms.Config{
		URL: server.URL + "/sub", Token: "not used", App: &platforms.App{ID: 4, PrivateKey: privateKey(t)},
	})
}

func serve(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// forge is a GitHub with the project acme/widgets, whose every call the official description judges where it knows it.
func forge(t *testing.T, judged bool) (*fakeforge.Server, *github.Platform) {
	t.Helper()
	server := fakegithub.New(fakeforge.Config{Token: theToken, Now: func() time.Time { return noon }})
	var url string
	if judged {
		url = describe(t).Serve(t, server.ServeHTTP).URL
	} else {
		web := httptest.NewServer(server)
		t.Cleanup(web.Close)
		url = web.URL
	}
	if err := server.SetBase(url + "/sub"); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	return server, newPlatform(t, platforms.Config{
		URL: url + "/sub", Token: theToken, WebhookSecrets: []string{"the secret", "an older one"},
	})
}

func hooksOf(t *testing.T, platform *github.Platform, place core.HookTarget) []platforms.Hook {
	t.Helper()
	hooks, err := platform.Hooks(t.Context(), place, hookAddress)
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

// complete fills in what a hook of a test leaves open; the secret - is none.
func complete(hook fakeforge.Hook) fakeforge.Hook {
	hook.Project = "acme/widgets"
	if hook.URL == "" {
		hook.URL = hookAddress
	}
	if hook.Secret == "" {
		hook.Secret = "another secret"
	}
	hook.Secret = strings.TrimPrefix(hook.Secret, "-")
	if hook.Events == nil {
		hook.Events = []string{"push", "workflow_run", "status", "repository", "pull_request"}
	}
	return hook
}

// appForge is a GitHub that lets everybody in, with an App installed on acme/widgets. comments are on or off.
func appForge(t *testing.T, comments bool) (*fakeforge.Server, *github.Platform) {
	t.Helper()
	server := fakegithub.New(fakeforge.Config{Now: func() time.Time { return noon }})
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	if err := server.SetBase(web.URL); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	return server, newPlatform(t, platforms.Config{
		URL: web.URL, WebhookSecrets: []string{"the secret"}, App: &platforms.App{ID: 4, PrivateKey: privateKey(t)}, Comments: comments,
	})
}

// receiverOf is a receiver of webhooks that answers what code holds.
func receiverOf(t *testing.T, code *atomic.Int32) string {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(code.Load()))
	}))
	t.Cleanup(receiver.Close)
	return receiver.URL + "/webhooks/github"
}

func pushOf(sha string) fakeforge.PushSpec {
	return fakeforge.PushSpec{Project: "acme/widgets", Ref: "refs/heads/main", After: sha}
}

func attemptsOf(t *testing.T, platform *github.Platform, hook platforms.Hook, since time.Time) []platforms.Attempt {
	t.Helper()
	attempts, err := platform.Attempts(t.Context(), hook, since)
	if err != nil {
		t.Fatal(err)
	}
	return attempts
}

// describe is the official description of the API, as an Enterprise Server below a sub-path has it.
func describe(t testing.TB) platformtest.Description {
	return platformtest.Describe(t, "openapi/github/api.github.com.subset.json", "/sub/api/v3")
}

// reply is an answer to a question after a credential.
type reply struct {
	code   int
	body   string
	header map[string]string
}

func (r reply) write(w http.ResponseWriter) {
	for name, value := range r.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.code)
	_, _ = w.Write([]byte(r.body))
}

// judged looks for the error of a check, and whether a person has to change something for it.
func judged(t *testing.T, err error, says string, denied bool) {
	t.Helper()
	if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Errorf("want an error with %q, got %v", says, err)
	}
	if refusal := new(platforms.Denied); errors.As(err, &refusal) != denied {
		t.Errorf("want it denied %t, got %v", denied, err)
	}
}
