package webhooks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

const secret = "a secret of the tests"

// fakeForges make the platforms' other side.
var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{"github": fakegithub.New, "gitlab": fakegitlab.New}

// senders sign what the receivers below verify.
var senders = map[string]*fakeforge.Server{
	"github": fakegithub.New(fakeforge.Config{Secret: secret}),
	"gitlab": fakegitlab.New(fakeforge.Config{Secret: secret}),
}

func newSet(t testing.TB) platforms.Set {
	t.Helper()
	hub, err := github.New(platforms.Config{Name: "github", WebhookSecrets: []string{"", secret}})
	if err != nil {
		t.Fatal(err)
	}
	lab, err := gitlab.New(platforms.Config{Name: "gitlab", WebhookSecrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	off, err := github.New(platforms.Config{Name: "off", WebhookSecrets: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	return platforms.Set{"github": hub, "gitlab": lab, "off": off}
}

func serve(t testing.TB, s *store.Store) http.Handler {
	t.Helper()
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	webhooks.New(webhooks.Config{Platforms: newSet(t), Store: s, Log: slog.New(slog.DiscardHandler)}).Register(router)
	return router
}

// answer is what a platform gets.
type answer struct {
	Status  int
	Outcome core.Outcome
	Scan    string
	Reason  string
	Detail  string // of a problem document
	header  http.Header
}

func send(t testing.TB, handler http.Handler, path string, header http.Header, body []byte) answer {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	request.Header = header
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	got := answer{Status: recorder.Code, header: recorder.Header()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatalf("answer %d is no JSON: %s", recorder.Code, recorder.Body)
	}
	return got
}

func seal(t testing.TB, platform, event, body string) fakeforge.Delivery {
	t.Helper()
	delivery, err := senders[platform].Seal(event, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

const pushBody = `{"ref":"refs/heads/main","before":"` + zeros + `","after":"` + head + `","created":true,
	"head_commit":{"id":"` + head + `"},"commits":[{"id":"` + head + `","added":["a.go"]}],
	"repository":{"id":7,"full_name":"acme/shop","html_url":"https://github.com/acme/shop","default_branch":"main"}}`

const (
	zeros = "0000000000000000000000000000000000000000"
	head  = "1234567890123456789012345678901234567890"
)

// Names are taken as platforms take them: without regard to case, and with any dots that are not a path's own.
func TestReceiveLegalNames(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{Policies: core.Policies{
		{Match: "github/acme/*", Policy: storetest.Policy}, {Match: "gitlab/Acme/**", Policy: storetest.Policy},
	}})
	handler := serve(t, s)
	for i, test := range []struct{ platform, event, project, kept string }{
		{"github", "push", "Acme/Shop", "Acme/Shop"},
		{"github", "push", "acme/shop", "Acme/Shop"},
		{"github", "push", "acme/kernel.msm-4..14", "acme/kernel.msm-4..14"},
		{"github", "push", "acme/...", "acme/..."},
		{"github", "push", "acme/..", ""},
		{"github", "push", "./shop", ""},
		{"gitlab", "Push Hook", "ACME/Sub/shop..", "ACME/Sub/shop.."},
		{"gitlab", "Push Hook", "acme/sub/SHOP..", "ACME/Sub/shop.."},
	} {
		sha := fmt.Sprintf("%040x", i+1)
		body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%[1]q,"after":%[2]q,"checkout_sha":%[2]q,
			"head_commit":{"id":%[2]q},"repository":{"id":1,"full_name":%[3]q},
			"project":{"id":2,"path_with_namespace":%[3]q}}`, zeros, sha, test.project)
		call := seal(t, test.platform, test.event, body)
		got := send(t, handler, "/webhooks/"+test.platform, call.Header, call.Body)
		if test.kept == "" {
			if got.Status != http.StatusBadRequest {
				t.Errorf("%s: want it refused, got %+v", test.project, got)
			}
			continue
		}
		if got.Outcome != core.ScanCreated {
			t.Errorf("%s: want a scan, got %+v", test.project, got)
			continue
		}
		if scan, err := s.GetScan(t.Context(), got.Scan); err != nil || scan.ProjectName != test.kept || scan.Branch != "main" {
			t.Errorf("%s: kept as %s, branch %q, %v; want %s", test.project, scan.ProjectName, scan.Branch, err, test.kept)
		}
	}
}

func TestReceiveAnswers(t *testing.T) {
	t.Parallel()
	handler := serve(t, storetest.Open(t, store.Config{
		Policies: core.Policies{{Match: "github/acme/*", Policy: storetest.Policy}},
	}))
	push := seal(t, "github", "push", pushBody)
	first := send(t, handler, "/webhooks/github", push.Header, push.Body)
	if first.Status != http.StatusAccepted || first.Outcome != core.ScanCreated || first.Scan == "" {
		t.Fatalf("push: %+v", first)
	}
	wrong := push.Header.Clone()
	wrong.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	other := seal(t, "github", "push", strings.ReplaceAll(pushBody, "acme/shop", "else/where"))
	huge := seal(t, "github", "push", pushBody+strings.Repeat(" ", webhooks.MaxBody))
	cases := map[string]struct {
		path     string
		delivery fakeforge.Delivery
		header   http.Header
		status   int
		outcome  core.Outcome
		says     string
	}{
		"the same again":     {"github", push, nil, 200, core.Duplicate, ""},
		"the same commit":    {"github", seal(t, "github", "push", pushBody), nil, 202, core.ScanExists, ""},
		"unknown repository": {"github", other, nil, 202, core.OutcomeIgnored, "repositories"},
		"ping":               {"github", seal(t, "github", "ping", `{"zen":"x","hook_id":1}`), nil, 202, core.OutcomeIgnored, "ping"},
		"unused event":       {"github", seal(t, "github", "star", `{"action":"created"}`), nil, 202, core.OutcomeIgnored, "star"},
		"wrong signature":    {"github", push, wrong, 401, "", "secret"},
		"no signature":       {"github", push, http.Header{"X-Github-Event": {"push"}}, 401, "", ""},
		"platform is off":    {"off", push, nil, 401, "", "off"},
		"unknown platform":   {"gitea", push, nil, 404, "", "gitea"},
		"too large":          {"github", huge, nil, 413, "", "exceeds"},
		"nonsense":           {"github", seal(t, "github", "push", `{"ref":`), nil, 400, "", ""},
		"not an object":      {"github", seal(t, "github", "push", `[]`), nil, 400, "", ""},
		"push without facts": {"github", seal(t, "github", "push", `{}`), nil, 400, "", ""},
	}
	for name, c := range cases {
		if c.header == nil {
			c.header = c.delivery.Header
		}
		got := send(t, handler, "/webhooks/"+c.path, c.header, c.delivery.Body)
		if got.Status != c.status || got.Outcome != c.outcome || !strings.Contains(got.Reason+got.Detail, c.says) {
			t.Errorf("%s: %+v, want %d %s …%s…", name, got, c.status, c.outcome, c.says)
		}
		if c.status == 200 && got.Scan != first.Scan {
			t.Errorf("%s: scan %s, want %s", name, got.Scan, first.Scan)
		}
		if got.Status >= 400 && len(got.Detail) < 20 {
			t.Errorf("%s: the problem needs a sentence, got %q", name, got.Detail)
		}
	}
}

// Every payload that others recorded gets a polite and true answer through the whole front door.
func TestReceiveRecordedPayloads(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "testdata")
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.json"))
	if err != nil {
		t.Skip("no recorded payloads beside this checkout")
	}
	var recorded struct {
		Webhooks []struct {
			Path, Platform, Event, Kind, Expect string
			Facts                               struct {
				CommitSHA *string `json:"commit_sha"`
				Deleted   bool
			}
		}
	}
	if err := json.Unmarshal(manifest, &recorded); err != nil {
		t.Fatal(err)
	}
	policy := storetest.Policy
	policy.Tags = []string{"**"}
	s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
	handler := serve(t, s)
	for _, w := range recorded.Webhooks {
		body, err := os.ReadFile(filepath.Join(root, w.Path))
		if err != nil {
			t.Fatal(err)
		}
		delivery := seal(t, w.Platform, w.Event, string(body))
		got := send(t, handler, "/webhooks/"+w.Platform, delivery.Header, delivery.Body)
		switch scanned := w.Facts.CommitSHA != nil && !w.Facts.Deleted && (w.Kind == "push" || w.Kind == "tag_push"); {
		case w.Expect == "reject":
			if got.Status != http.StatusBadRequest {
				t.Errorf("%s: %+v, want 400", w.Path, got)
			}
		case scanned:
			if got.Status != http.StatusAccepted || got.Scan == "" {
				t.Errorf("%s: %+v, want a scan", w.Path, got)
			} else if scan, err := s.GetScan(t.Context(), got.Scan); err != nil || scan.CommitSHA != *w.Facts.CommitSHA {
				t.Errorf("%s: scan of %s, %v, want %s", w.Path, scan.CommitSHA, err, *w.Facts.CommitSHA)
			}
		case got.Status != http.StatusAccepted && got.Status != http.StatusOK:
			t.Errorf("%s: %+v, want 2xx", w.Path, got)
		}
	}
}
