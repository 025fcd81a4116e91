package webhooks_test

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/standin"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

// In these tests, Mallory maintains mallory/x and knows its secret; acme/shop is somebody else's, with a secret of its own.
const (
	mallorys = "a secret that Mallory knows"
	shops    = "a secret of acme/shop alone"
)

var mallorysSigning = "whsec_" + base64.StdEncoding.EncodeToString([]byte(mallorys))

func scopes(platform string) []platforms.Scope {
	return []platforms.Scope{
		{Place: "repositories[0]", Match: platform + "/acme/shop", WebhookSecrets: []string{shops}},
		{
			Place: "repositories[1]", Match: platform + "/mallory/*",
			WebhookSecrets: []string{mallorys}, SigningTokens: []string{mallorysSigning},
		},
	}
}

func serveScoped(t testing.TB, s *store.Store, meter *metrics.Meter) http.Handler {
	t.Helper()
	hub, err := github.New(github.Config{Name: "github", WebhookSecrets: []string{secret}, Scopes: scopes("github")})
	if err != nil {
		t.Fatal(err)
	}
	lab, err := gitlab.New(gitlab.Config{Name: "gitlab", WebhookSecrets: []string{secret}, Scopes: scopes("gitlab")})
	if err != nil {
		t.Fatal(err)
	}
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	webhooks.New(webhooks.Config{
		Platforms: platforms.Set{"github": hub, "gitlab": lab}, Store: s, Log: slog.New(slog.DiscardHandler),
		Meter: meter,
	}).Register(router)
	return router
}

// sealAs signs as somebody does who knows a secret.
func sealAs(t testing.TB, config standin.Config, event, body string) standin.Delivery {
	t.Helper()
	delivery, err := standin.New(config).Seal(event, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

// forgery is a call that Mallory signs.
type forgery struct {
	event, body string
	header      map[string]string // instead of the usual one
}

const commitOf = `"ref":"refs/heads/main","after":"` + head + `","before":"` + zeros + `","checkout_sha":"` + head + `",`

// forgeries on GitHub's side name acme/shop in one way or another.
var githubForgeries = map[string]forgery{
	"push":                 {"push", `{` + commitOf + `"repository":{"full_name":"acme/shop"}}`, nil},
	"deletion":             {"push", `{"ref":"refs/heads/main","after":"` + zeros + `","repository":{"full_name":"acme/shop"}}`, nil},
	"second repository":    {"push", `{` + commitOf + `"repository":{"full_name":"mallory/x"},"repository":{"full_name":"acme/shop"}}`, nil},
	"another key's case":   {"push", `{` + commitOf + `"repository":{"full_name":"mallory/x"},"RePository":{"full_name":"acme/shop"}}`, nil},
	"second name":          {"push", `{` + commitOf + `"repository":{"full_name":"mallory/x","Full_Name":"acme/shop"}}`, nil},
	"another spelling":     {"push", `{` + commitOf + `"repository":{"full_name":"Acme/SHOP"}}`, nil},
	"with .git":            {"push", `{` + commitOf + `"repository":{"full_name":"acme/shop.git"}}`, nil},
	"by way of its own":    {"push", `{` + commitOf + `"repository":{"full_name":"mallory/x/../../acme/shop"}}`, nil},
	"hidden character":     {"push", `{` + commitOf + `"repository":{"full_name":"acme/s\u0000hop"}}`, nil},
	"workflow run":         {"workflow_run", githubRun(`"full_name":"mallory/x"`, `"full_name":"acme/shop"`), nil},
	"run of its own fork":  {"workflow_run", githubRun(`"full_name":"acme/shop"`, `"full_name":"acme/shop"`), nil},
	"ping":                 {"ping", `{"zen":"x","repository":{"full_name":"acme/shop"}}`, nil},
	"unused event":         {"star", `{"repository":{"full_name":"acme/shop"}}`, nil},
	"status":               {"status", `{"sha":"` + head + `","repository":{"full_name":"acme/shop"}}`, nil},
	"form":                 {"push", "payload=" + url.QueryEscape(`{`+commitOf+`"repository":{"full_name":"acme/shop"}}`), githubForm},
	"form, first of two":   {"push", formOf("acme/shop", "mallory/x"), githubForm},
	"form that looks JSON": {"push", `{"payload":"x"}&payload=` + url.QueryEscape(`{`+commitOf+`"repository":{"full_name":"acme/shop"}}`), githubForm},
}

var githubForm = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

func formOf(projects ...string) string {
	var fields []string
	for _, project := range projects {
		fields = append(fields, "payload="+url.QueryEscape(`{`+commitOf+`"repository":{"full_name":"`+project+`"}}`))
	}
	return strings.Join(fields, "&")
}

func githubRun(headRepository, repository string) string {
	return `{"action":"completed","workflow_run":{"id":9,"run_attempt":1,"status":"completed","conclusion":"success",
		"head_branch":"main","head_sha":"` + head + `","head_repository":{` + headRepository + `}},"repository":{` + repository + `}}`
}

var gitlabForgeries = map[string]forgery{
	"push":             {"Push Hook", `{"object_kind":"push",` + commitOf + `"project":{"path_with_namespace":"acme/shop"}}`, nil},
	"tag":              {"Tag Push Hook", `{"object_kind":"tag_push",` + strings.Replace(commitOf, "heads", "tags", 1) + `"project":{"path_with_namespace":"acme/shop"}}`, nil},
	"deletion":         {"Push Hook", `{"ref":"refs/heads/main","after":"` + zeros + `","project":{"path_with_namespace":"acme/shop"}}`, nil},
	"pipeline":         {"Pipeline Hook", gitlabRun(`"path_with_namespace":"acme/shop"`, ""), nil},
	"external":         {"Pipeline Hook", strings.Replace(gitlabRun(`"path_with_namespace":"acme/shop"`, ""), `"push"`, `"external"`, 1), nil},
	"system push":      {"System Hook", `{"event_name":"push",` + commitOf + `"project":{"path_with_namespace":"acme/shop"}}`, nil},
	"system pipeline":  {"System Hook", gitlabRun(`"path_with_namespace":"acme/shop"`, ""), nil},
	"rename":           {"System Hook", `{"event_name":"project_rename","path_with_namespace":"acme/shop","old_path_with_namespace":"mallory/x"}`, nil},
	"old path":         {"System Hook", `{"event_name":"push",` + commitOf + `"path_with_namespace":"acme/shop"}`, nil},
	"merge request":    {"Merge Request Hook", `{"object_kind":"merge_request","project":{"path_with_namespace":"acme/shop"}}`, nil},
	"page only":        {"Push Hook", `{` + commitOf + `"project":{"web_url":"https://gitlab.com/acme/shop"}}`, nil},
	"homepage only":    {"Push Hook", `{` + commitOf + `"repository":{"homepage":"https://gitlab.com/acme/shop"}}`, nil},
	"number for path":  {"Push Hook", `{` + commitOf + `"project":{"path_with_namespace":"42"}}`, nil},
	"second project":   {"Push Hook", `{` + commitOf + `"project":{"path_with_namespace":"mallory/x"},"project":{"path_with_namespace":"acme/shop"}}`, nil},
	"second path":      {"Push Hook", `{` + commitOf + `"project":{"path_with_namespace":"mallory/x","PATH_with_namespace":"acme/shop"}}`, nil},
	"emptied path":     {"Push Hook", `{` + commitOf + `"project":{"path_with_namespace":"mallory/x"},"project":{"path_with_namespace":""},"path_with_namespace":"acme/shop"}`, nil},
	"another spelling": {"Push Hook", `{` + commitOf + `"project":{"path_with_namespace":"ACME/shop.git"}}`, nil},
	"unknown event":    {"Emoji Hook", `{"project":{"path_with_namespace":"acme/shop"}}`, nil},
}

func gitlabRun(project, more string) string {
	return `{"object_kind":"pipeline","object_attributes":{"id":9,"ref":"main","sha":"` + head + `","source":"push","status":"success"},
		"project":{` + project + `}` + more + `}`
}

// Whoever knows the secret of one project cannot speak for another, however he names it; and spoils nothing for it.
func TestMaintainersSpeakForTheirOwnProjectsOnly(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	meter := metrics.New("test")
	handler := serveScoped(t, s, meter)
	for platform, forgeries := range map[string]map[string]forgery{"github": githubForgeries, "gitlab": gitlabForgeries} {
		for name, f := range forgeries {
			for _, config := range []standin.Config{{Secret: mallorys}, {SigningToken: mallorysSigning}} {
				if config.Kind = standin.Kind(platform); platform == "github" && config.Secret == "" {
					continue
				}
				delivery := sealAs(t, config, f.event, f.body)
				for key, value := range f.header {
					delivery.Header.Set(key, value)
				}
				got := send(t, handler, "/webhooks/"+platform, delivery.Header, delivery.Body)
				if got.Status != http.StatusUnauthorized && got.Status != http.StatusBadRequest {
					t.Errorf("%s, %s: want it refused, got %+v", platform, name, got)
				}
				if strings.Contains(got.Detail, mallorys) || strings.Contains(got.Detail, shops) {
					t.Errorf("%s, %s: the answer holds a secret: %s", platform, name, got.Detail)
				}
			}
		}
	}
	counted := httptest.NewRecorder()
	meter.Handler().ServeHTTP(counted, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if text := counted.Body.String(); !strings.Contains(text, `webhook_refused_total{platform="github"}`) ||
		strings.Contains(text, `outcome="failed"`) {
		t.Errorf("want calls to be counted as refused and no otherwise, got %s", text)
	}
	if list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 100}); err != nil || len(list) != 0 {
		t.Errorf("want nothing stored, got %+v, %v", list, err)
	}
}

// What Mallory may sign stays within his project, whatever else of others it mentions.
func TestOwnProjectsAreNotAWayToOthers(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	handler := serveScoped(t, s, nil)
	other := `,"merge_request":{"source_project_id":42,"target_project_id":42},"source_pipeline":{"pipeline_id":7,"project":{"id":42,"path_with_namespace":"acme/shop"}}`
	for name, f := range map[string]struct {
		platform string
		forgery
	}{
		"other's fork":     {"github", forgery{"workflow_run", githubRun(`"full_name":"acme/shop","id":42`, `"full_name":"mallory/x","id":42`), nil}},
		"other's number":   {"gitlab", forgery{"Push Hook", `{` + commitOf + `"project_id":42,"project":{"id":42,"path_with_namespace":"mallory/x"}}`, nil}},
		"merged projects":  {"gitlab", forgery{"Push Hook", `{` + commitOf + `"project":{"id":42,"path_with_namespace":"acme/shop"},"project":{"path_with_namespace":"mallory/y"}}`, nil}},
		"outer path":       {"gitlab", forgery{"System Hook", `{"event_name":"push",` + commitOf + `"project_id":42,"path_with_namespace":"acme/shop","project":{"path_with_namespace":"mallory/z"}}`, nil}},
		"other's pipeline": {"gitlab", forgery{"Pipeline Hook", gitlabRun(`"path_with_namespace":"mallory/p","id":42`, other), nil}},
	} {
		delivery := sealAs(t, standin.Config{Kind: standin.Kind(f.platform), Secret: mallorys}, f.event, f.body)
		got := send(t, handler, "/webhooks/"+f.platform, delivery.Header, delivery.Body)
		if got.Status != http.StatusAccepted || got.Scan == "" {
			t.Errorf("%s: want a scan, got %+v", name, got)
			continue
		}
		scan, err := s.GetScan(t.Context(), got.Scan)
		if err != nil || !strings.HasPrefix(scan.ProjectName, "mallory/") || scan.ProjectRef != "" {
			t.Errorf("%s: want a scan of Mallory's without a number, got %+v, %v", name, scan, err)
		}
		statuses, err := s.ListStatuses(t.Context(), scan)
		if err != nil || len(statuses) == 0 || statuses[0].ProjectRef != "" {
			t.Errorf("%s: want a status without a number, got %+v, %v", name, statuses, err)
		}
	}
}

func TestSecretsOfProjectsWork(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	handler := serveScoped(t, s, nil)
	for key, want := range map[string]string{shops: "repositories[0].webhook_secrets[0] (", secret: "webhook_secrets[0] ("} {
		delivery := sealAs(t, standin.Config{Kind: standin.GitHub, Secret: key}, "push", pushBody)
		if got := send(t, handler, "/webhooks/github", delivery.Header, delivery.Body); got.Status != http.StatusAccepted {
			t.Errorf("%s: %+v", want, got)
		}
		list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 1})
		if err != nil || !strings.HasPrefix(list[0].VerifiedBy, want) || !list[0].Signed {
			t.Errorf("want it verified by %s, got %+v, %v", want, list, err)
		}
	}
	ping := sealAs(t, standin.Config{Kind: standin.GitHub, Secret: mallorys}, "ping", `{"zen":"x"}`)
	if got := send(t, handler, "/webhooks/github", ping.Header, ping.Body); got.Outcome != core.OutcomeIgnored {
		t.Errorf("a ping about no project: want it ignored, got %+v", got)
	}
}
