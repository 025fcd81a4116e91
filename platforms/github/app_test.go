package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

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
			_, _ = w.Write([]byte(`{"id":55}`))
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
	return newPlatform(t, github.Config{
		URL: server.URL + "/sub", Token: "not used", App: &github.AppConfig{ID: 4, PrivateKey: privateKey(t)},
	})
}

func TestAppKeepsOneTokenPerInstallation(t *testing.T) {
	t.Parallel()
	description := describe(t)
	server := appServer(t, description, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("want a JWT, got %q", got)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"token":"installation-token","expires_at":"2100-01-01T00:00:00Z"}`))
	})
	platform := newApp(t, server)
	for _, project := range []string{"acme/widgets", "acme/widgets", "acme/gears"} {
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectName = project
		if _, err := platform.PostStatus(t.Context(), status); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"GET /sub/api/v3/repos/acme/widgets/installation",
		"POST /sub/api/v3/app/installations/55/access_tokens",
		"POST /sub/api/v3/repos/acme/widgets/statuses/" + platformtest.SHA,
		"POST /sub/api/v3/repos/acme/widgets/statuses/" + platformtest.SHA,
		"GET /sub/api/v3/repos/acme/gears/installation",
		"POST /sub/api/v3/repos/acme/gears/statuses/" + platformtest.SHA,
	}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	remote, err := platform.Remote(t.Context(), "acme/widgets")
	credentials := base64.StdEncoding.EncodeToString([]byte("x-access-token:installation-token"))
	if err != nil || remote.Authorization != "Basic "+credentials {
		t.Errorf("want the installation's token for fetching, got %q, %v", remote.Authorization, err)
	}
}

func TestAppFaults(t *testing.T) {
	t.Parallel()
	description := describe(t)
	pausing := appServer(t, description, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	var limit *platforms.RateLimited
	_, err := newApp(t, pausing).PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
	if !errors.As(err, &limit) {
		t.Errorf("limited renewal of a token: want a pause, got %v", err)
	}
	removed := appServer(t, description, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
	})
	platform := newApp(t, removed)
	for range 2 {
		if _, err = platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess)); err == nil {
			t.Error("a removed installation: want an error")
		}
	}
	if calls := removed.Calls(); len(calls) != 4 || calls[2] != calls[0] {
		t.Errorf("want the installation to be looked up again, got %v", calls)
	}
	status := platformtest.Status(core.StatusSuccess)
	status.ProjectName = "elsewhere/widgets"
	if _, err = platform.PostStatus(t.Context(), status); err == nil || !strings.Contains(err.Error(), "install the App") {
		t.Errorf("not installed: want an error that says so, got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]github.Config{
		"key that is none":   {App: &github.AppConfig{ID: 1, PrivateKey: []byte("hunter2")}},
		"address of a file":  {URL: "file:///etc/passwd"},
		"address with login": {URL: "https://ada:hunter2@git.example.com"},
		"api without host":   {APIURL: "https://"},
		"api with a query":   {APIURL: "https://git.example.com/?token=hunter2&"},
	} {
		_, err := github.New(config)
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
