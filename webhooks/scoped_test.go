package webhooks_test

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	router := httpx.NewRouter(slog.New(slog.DiscardHandler))
	webhooks.New(webhooks.Config{
		Platforms: scopedSet(t), Store: s, Log: slog.New(slog.DiscardHandler),
		Meter: meter,
	}).Register(router)
	return router
}

// sealAs signs as somebody does who knows a secret.
func sealAs(t testing.TB, platform string, config fakeforge.Config, event, body string) fakeforge.Delivery {
	t.Helper()
	delivery, err := fakeForges[platform](config).Seal(event, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

// Whoever knows the secret of one project cannot speak for another, however he names it; and spoils nothing for it.
func TestMaintainersSpeakForTheirOwnProjectsOnly(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	meter := metrics.New("test")
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
	if list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 100}); err != nil || len(list) != 0 {
		t.Errorf("want nothing stored, got %+v, %v", list, err)
	}
}

func wantForged(t *testing.T, handler http.Handler, platform, name string, f forgery, config fakeforge.Config) {
	t.Helper()
	delivery := sealAs(t, platform, config, f.event, f.body)
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

// What Mallory may sign stays within his project, whatever else of others it mentions.
func TestOwnProjectsAreNotAWayToOthers(t *testing.T) {
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
