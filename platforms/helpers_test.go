package platforms_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// answering answers every call with 403 and a body.
type answering struct{ body string }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// keyring has a secret of the platform, one of acme/web alone, and one that two entries share.
func keyring(t testing.TB) *platforms.Keyring {
	t.Helper()
	keys, err := platforms.NewKeyring("github", []platforms.Scope{
		{WebhookSecrets: []string{"", "wide"}},
		{Place: "repositories[0]", Match: "github/acme/web", WebhookSecrets: []string{"web", "wide"}},
		{Place: "repositories[1]", Match: "github/acme/bare", WebhookSecrets: []string{""}},
		{Place: "repositories[2]", Match: "github/acme/*", WebhookSecrets: []string{"", "both", "acme"}},
		{
			Place: "repositories[4]", Match: "github/other/*",
			WebhookSecrets: []string{"both"}, SigningTokens: []string{"sign"},
		},
	}, func(token string) ([]byte, error) { return []byte(token), nil })
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func verificationBy(t testing.TB, secret string) platforms.Verification {
	t.Helper()
	verification, ok := keyring(t).Webhook.Plain(secret)
	if !ok {
		t.Fatalf("%q verifies nothing", secret)
	}
	return verification
}

func pushOf(project string) core.Delivery {
	return core.Delivery{Project: project, Event: core.Push{Project: core.Project{Name: project, Ref: "7"}}}
}

// picky refuses statuses with answers that the tests give it, and keeps what it was sent.
type picky struct {
	platforms.Platform
	refuses func(core.Status) string
	sent    []string
}

func (p *picky) PostStatus(_ context.Context, status core.Status) (platforms.Posted, error) {
	p.sent = append(p.sent, fmt.Sprintf("%s|%s|%s", status.Context, status.Description, status.TargetURL))
	if said := p.refuses(status); said != "" {
		err := &platforms.HTTPError{Code: http.StatusUnprocessableEntity, Err: platforms.Refusal(said)}
		return platforms.Posted{}, fmt.Errorf("posting: %w", err)
	}
	return platforms.Posted{ID: 1}, nil
}

func decodeCommits(t *testing.T, list string) platforms.Commits {
	t.Helper()
	var push struct {
		Commits platforms.Commits `json:"commits"`
	}
	if err := platforms.DecodeObject([]byte(`{"commits":`+list+`}`), &push); err != nil {
		t.Fatal(err)
	}
	return push.Commits
}

// hookManager has its webhooks by owner, and counts the questions.
type hookManager struct {
	platforms.HookManager
	hooks map[string][]platforms.Hook
	errs  map[string]error
	asked int
}

func (k *hookManager) HookTargets(project string) []core.HookTarget {
	return []core.HookTarget{{Scope: core.ScopeProject, Owner: project}, {Scope: core.ScopeGroup, Owner: "acme"}}
}

func (k *hookManager) Hooks(_ context.Context, place core.HookTarget, _ string) ([]platforms.Hook, error) {
	k.asked++
	return k.hooks[place.Owner], k.errs[place.Owner]
}

// lateCalls is a platform that answers /limited with a pause of a minute, and holds up other calls as a test wants it.
type lateCalls struct {
	*httptest.Server
	mu      sync.Mutex
	arrived []string
	hold    func(http.ResponseWriter, *http.Request)
}

func newLateCalls(t *testing.T, http2 bool) *lateCalls {
	t.Helper()
	p := &lateCalls{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.arrived = append(p.arrived, r.URL.Path)
		p.mu.Unlock()
		switch {
		case r.URL.Path == "/limited":
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		case p.hold != nil:
			p.hold(w, r)
		}
	}))
	p.EnableHTTP2 = http2
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *lateCalls) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.arrived)
}

func call(client *http.Client, address string) error {
	response, err := client.Get(address)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return err
}

// lateTransport holds calls of /late up before they get a connection.
type lateTransport struct {
	http.RoundTripper
	waits, free chan bool
}

func (l lateTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Path == "/late" {
		l.waits <- true
		<-l.free
	}
	return l.RoundTripper.RoundTrip(request)
}
