package webhooks_test

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

// In these tests, Mallory maintains mallory/x and knows its secret; acme/shop is somebody else's and has its own.
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

func scopedSet(t testing.TB) platforms.Set {
	t.Helper()
	hub, err := github.New(platforms.Config{Name: "github", WebhookSecrets: []string{secret}, Scopes: scopes("github")})
	if err != nil {
		t.Fatal(err)
	}
	lab, err := gitlab.New(platforms.Config{Name: "gitlab", WebhookSecrets: []string{secret}, Scopes: scopes("gitlab")})
	if err != nil {
		t.Fatal(err)
	}
	return platforms.Set{"github": hub, "gitlab": lab}
}

func serveScoped(t testing.TB, s *store.Store, meter *metrics.Meter) http.Handler {
	t.Helper()
	return serveSet(t, s, scopedSet(t), meter)
}

// sealAs signs like somebody who knows a secret.
func sealAs(t testing.TB, platform string, config fakeforge.Config, event, body string) fakeforge.Delivery {
	t.Helper()
	delivery, err := fakeForges[platform](config).Seal(event, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

// A maintainer who knows the secret of one project cannot send calls for another, however the call names it.
func TestSecretsVerifyTheirOwnProjectsOnly(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	meter := metrics.New(metrics.Build{Version: "test"})
	handler := serveScoped(t, s, meter)
	for platform, forgeries := range map[string]map[string]forgery{"github": githubForgeries, "gitlab": gitlabForgeries} {
		for name, f := range forgeries {
			for _, config := range []fakeforge.Config{{Secret: mallorys}, {SigningToken: mallorysSigning}} {
				if platform == "github" && config.Secret == "" {
					continue
				}
				wantForged(t, handler, platform, name, f, config)
			}
		}
	}
	counted := httptest.NewRecorder()
	meter.Handler().ServeHTTP(counted, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if text := counted.Body.String(); !strings.Contains(text, `webhook_refused_total{platform="github"}`) ||
		strings.Contains(text, `outcome="failed"`) {
		t.Errorf("want calls to be counted as refused and no otherwise, got %s", text)
	}
	aside := setAside(t, s)
	if list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 100}); err != nil || len(list) != len(aside) {
		t.Errorf("want nothing stored but what cannot be read, got %+v, %v", list, err)
	}
	if scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1}); err != nil || len(scans) > 0 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
}

func wantForged(t *testing.T, handler http.Handler, platform, name string, f forgery, config fakeforge.Config) {
	t.Helper()
	delivery := sealAs(t, platform, config, f.event, f.body)
	for key, value := range f.header {
		delivery.Header.Set(key, value)
	}
	got := send(t, handler, "/webhooks/"+platform, delivery.Header, delivery.Body)
	if unread := got.Status == http.StatusAccepted && got.Scan == ""; got.Status != http.StatusUnauthorized && !unread {
		t.Errorf("%s, %s: want it refused, got %+v", platform, name, got)
	}
	if strings.Contains(got.Detail, mallorys) || strings.Contains(got.Detail, shops) {
		t.Errorf("%s, %s: the answer holds a secret: %s", platform, name, got.Detail)
	}
}

// A call that Mallory may sign affects only his own project, even if it mentions others.
func TestOwnProjectsDoNotReachOthers(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	handler := serveScoped(t, s, nil)
	for name, f := range within {
		delivery := sealAs(t, f.platform, fakeforge.Config{Secret: mallorys}, f.event, f.body)
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

// The number of a project is not believed later either where Mallory may not state one, even if only a newer program finds it.
func TestNumbersAreNotBelievedLater(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"with a number": `"repository":{"id":7,"full_name":"mallory/x"}}`, "without": `"repository":{"full_name":"mallory/x"}}`,
	} {
		s, another := replicas(t)
		log := slog.New(slog.DiscardHandler)
		router := httpx.NewRouter(log)
		webhooks.New(webhooks.Config{Platforms: scopedSet(t), Store: s, Log: log}).Register(router)
		call := sealAs(t, "github", fakeforge.Config{Secret: mallorys}, "push", `{"ref":"refs/heads/main","after":"`+head+`",`+body)
		if got := send(t, router, "/webhooks/github", call.Header, call.Body); got.Status != http.StatusAccepted {
			t.Fatalf("%+v", got)
		}
		_, err := another.Derive(t.Context(), store.Deriver{Most: 1, Read: func(kept core.KeptCall) (core.Delivery, error) {
			if !kept.Unnamed {
				t.Errorf("%s: %+v", name, kept)
			}
			return core.Delivery{Event: core.Ignored{}}, nil
		}})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSecretsOfProjectsWork(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	handler := serveScoped(t, s, nil)
	for key, want := range map[string]string{
		shops: "repositories[0].webhook_secrets[0] (", secret: "webhook_secrets[0] (",
	} {
		delivery := sealAs(t, "github", fakeforge.Config{Secret: key}, "push", pushBody)
		if got := send(t, handler, "/webhooks/github", delivery.Header, delivery.Body); got.Status != http.StatusAccepted {
			t.Errorf("%s: %+v", want, got)
		}
		list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 1})
		if err != nil || !strings.HasPrefix(list[0].VerifiedBy, want) || !list[0].Signed {
			t.Errorf("want it verified by %s, got %+v, %v", want, list, err)
		}
	}
	ping := sealAs(t, "github", fakeforge.Config{Secret: mallorys}, "ping", `{"zen":"x"}`)
	if got := send(t, handler, "/webhooks/github", ping.Header, ping.Body); got.Outcome != core.OutcomeIgnored {
		t.Errorf("a ping about no project: want it ignored, got %+v", got)
	}
}

// Every call that Mallory signs is about his own projects or is refused.
func FuzzForgeries(f *testing.F) {
	for _, forgery := range githubForgeries {
		f.Add("github", forgery.event, forgery.body)
	}
	for _, forgery := range gitlabForgeries {
		f.Add("gitlab", forgery.event, forgery.body)
	}
	for _, call := range within {
		f.Add(call.platform, call.event, call.body)
	}
	set := scopedSet(f)
	f.Fuzz(func(t *testing.T, platform, event, body string) {
		adapter, known := set[platform]
		if !known {
			return
		}
		call := sealAs(t, platform, fakeforge.Config{Secret: mallorys}, event, body)
		verification, err := adapter.Verify(call.Header, call.Body)
		if err != nil {
			t.Fatalf("want Mallory's secret to be known, got %v", err)
		}
		delivery, err := adapter.Parse(call.Header, call.Body)
		if err != nil {
			return
		}
		if delivery, err = verification.Authorize(delivery); err != nil {
			return
		}
		_, idle := delivery.Event.(core.Ignored)
		for _, project := range []string{delivery.Project, delivery.Subject().Name} {
			if own, _ := path.Match("mallory/*", project); !own && (!idle || project != "") {
				t.Errorf("Mallory speaks for %q: %+v", project, delivery)
			}
		}
		if delivery.Subject().Ref != "" {
			t.Errorf("Mallory tells the number of a project: %+v", delivery)
		}
	})
}

// forgery is a call that Mallory signs.
type forgery struct {
	event, body string
	header      map[string]string // instead of the usual one
}

// pushed and removed are bodies of pushes that name their project in the given way.
func pushed(project string) string {
	return `{"ref":"refs/heads/main","after":"` + head + `","before":"` + zeros + `","checkout_sha":"` + head + `",` +
		project + `}`
}

func removed(project string) string {
	return `{"ref":"refs/heads/main","before":"` + head + `","after":"` + zeros + `",` + project + `}`
}

const (
	victim  = `"repository":{"full_name":"acme/shop"}`
	victims = `"project":{"path_with_namespace":"acme/shop"}`
	mine    = `"repository":{"full_name":"mallory/x"}`
	mines   = `"project":{"path_with_namespace":"mallory/x"}`
)

// githubForgeries name acme/shop in one way or another.
var githubForgeries = map[string]forgery{
	"push":                 {"push", pushed(victim), nil},
	"deletion":             {"push", removed(victim), nil},
	"second repository":    {"push", pushed(mine + "," + victim), nil},
	"another key's case":   {"push", pushed(mine + `,"RePository":{"full_name":"acme/shop"}`), nil},
	"second name":          {"push", pushed(`"repository":{"full_name":"mallory/x","Full_Name":"acme/shop"}`), nil},
	"another spelling":     {"push", pushed(`"repository":{"full_name":"Acme/SHOP"}`), nil},
	"with .git":            {"push", pushed(`"repository":{"full_name":"acme/shop.git"}`), nil},
	"by way of its own":    {"push", pushed(`"repository":{"full_name":"mallory/x/../../acme/shop"}`), nil},
	"hidden character":     {"push", pushed(`"repository":{"full_name":"acme/s\u0000hop"}`), nil},
	"pull request":         {"pull_request", githubPull(victim), nil},
	"merge group":          {"merge_group", githubGroup(victim), nil},
	"workflow run":         {"workflow_run", githubRun("mallory/x", "acme/shop"), nil},
	"run of its own fork":  {"workflow_run", githubRun("acme/shop", "acme/shop"), nil},
	"ping":                 {"ping", `{"zen":"x",` + victim + `}`, nil},
	"unused event":         {"star", `{` + victim + `}`, nil},
	"status":               {"status", `{"id":9,"sha":"` + head + `","context":"scanhook",` + victim + `}`, nil},
	"form":                 {"push", formOf(pushed(victim)), asForm},
	"form, first of two":   {"push", formOf(pushed(victim)) + "&" + formOf(pushed(mine)), asForm},
	"form that looks JSON": {"push", `{"payload":"x"}&` + formOf(pushed(victim)), asForm},
}

var asForm = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

func formOf(payload string) string { return "payload=" + url.QueryEscape(payload) }

// githubPull is a request that claims to come from acme/shop.
func githubPull(repository string) string {
	return `{"action":"opened","number":7,"pull_request":{"number":7,"head":{"ref":"main","sha":"` + head + `","repo":{"id":42,"full_name":"acme/shop"}},` +
		`"base":{"ref":"main","sha":"` + head + `","repo":{"id":42,"full_name":"acme/shop"}}},` + repository + `}`
}

func githubGroup(repository string) string {
	return `{"action":"checks_requested","merge_group":{"head_sha":"` + head + `","head_ref":"refs/heads/gh-readonly-queue/main/pr-7"},` + repository + `}`
}

func githubRun(headRepository, repository string) string {
	return `{"action":"completed","workflow_run":{"id":9,"run_attempt":1,"status":"completed","conclusion":"success",` +
		`"head_branch":"main","head_sha":"` + head + `","head_repository":{"id":42,"full_name":"` + headRepository + `"}},` +
		`"repository":{"id":42,"full_name":"` + repository + `"}}`
}

var gitlabForgeries = map[string]forgery{
	"push":             {"Push Hook", pushed(`"object_kind":"push",` + victims), nil},
	"tag":              {"Tag Push Hook", strings.Replace(pushed(victims), "refs/heads", "refs/tags", 1), nil},
	"deletion":         {"Push Hook", removed(victims), nil},
	"pipeline":         {"Pipeline Hook", gitlabRun("push", victims), nil},
	"external":         {"Pipeline Hook", gitlabRun("external", victims), nil},
	"system push":      {"System Hook", pushed(`"event_name":"push",` + victims), nil},
	"system pipeline":  {"System Hook", gitlabRun("push", victims), nil},
	"rename":           {"System Hook", `{"event_name":"project_rename","path_with_namespace":"acme/shop"}`, nil},
	"old path":         {"System Hook", pushed(`"event_name":"push","path_with_namespace":"acme/shop"`), nil},
	"merge request":    {"Merge Request Hook", gitlabRequest(victims), nil},
	"page only":        {"Push Hook", pushed(`"project":{"web_url":"https://gitlab.com/acme/shop"}`), nil},
	"homepage only":    {"Push Hook", pushed(`"repository":{"homepage":"https://gitlab.com/acme/shop"}`), nil},
	"number for path":  {"Push Hook", pushed(`"project":{"path_with_namespace":"42"}`), nil},
	"second project":   {"Push Hook", pushed(mines + "," + victims), nil},
	"second path":      {"Push Hook", pushed(strings.Replace(mines, "}", `,"PATH_with_namespace":"acme/x"}`, 1)), nil},
	"emptied path":     {"Push Hook", pushed(`"project":{"path_with_namespace":""},"path_with_namespace":"acme/shop"`), nil},
	"another spelling": {"Push Hook", pushed(`"project":{"path_with_namespace":"ACME/shop.git"}`), nil},
	"unknown event":    {"Emoji Hook", `{` + victims + `}`, nil},
}

func gitlabRequest(projects string) string {
	return `{"object_kind":"merge_request","object_attributes":{"iid":7,"action":"open","source_project_id":42,"target_project_id":42,` +
		`"source_branch":"main","target_branch":"main","last_commit":{"id":"` + head + `"}},` + projects + `}`
}

func gitlabRun(source, projects string) string {
	return `{"object_kind":"pipeline","object_attributes":{"id":9,"ref":"main","sha":"` + head + `","source":"` + source +
		`","status":"success"},` + projects + `}`
}

// within are calls about Mallory's own projects that also mention those of others.
var within = map[string]struct {
	platform string
	forgery
}{
	"other's fork":   {"github", forgery{"workflow_run", githubRun("acme/shop", "mallory/x"), nil}},
	"other's number": {"gitlab", forgery{"Push Hook", pushed(`"project_id":42,` + mines + `,"project":{"id":42}`), nil}},
	"merged projects": {"gitlab", forgery{"Push Hook", pushed(`"project":{"id":42,"path_with_namespace":"acme/shop"},` +
		`"project":{"path_with_namespace":"mallory/y"}`), nil}},
	"outer path": {"gitlab", forgery{"System Hook", pushed(`"event_name":"push","project_id":42,` +
		`"path_with_namespace":"acme/shop","project":{"path_with_namespace":"mallory/z"}`), nil}},
	"other's pipeline": {"gitlab", forgery{"Pipeline Hook", gitlabRun("push",
		`"project":{"path_with_namespace":"mallory/p","id":42},`+
			`"merge_request":{"source_project_id":42,"target_project_id":42},`+
			`"source_pipeline":{"pipeline_id":7,"project":{"id":42,"path_with_namespace":"acme/shop"}}`), nil}},
}
