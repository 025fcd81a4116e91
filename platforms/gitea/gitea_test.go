package gitea_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
	"github.com/scanhook/scanhook/platforms/gitea"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformtest.Subject{
		New: func(t testing.TB, setup platformtest.Setup) platforms.Platform {
			return newPlatform(t, platforms.Config{URL: setup.URL, WebhookSecrets: setup.Secrets, Token: setup.Token})
		},
		Sign: func(call platformtest.Call, secret string) {
			call.Header.Set("X-Gitea-Signature", ghapi.Sign(secret, []byte(call.Body)))
		},
		Push: platformtest.Call{Header: headerOf("push"), Body: `{"ref":"refs/heads/main","after":"` + platformtest.SHA +
			`","commits":[],"repository":{"full_name":"acme/widgets"}}`},
		EventHeader: "X-Gitea-Event",
		IDHeader:    "X-Gitea-Delivery",
		Host:        "git.example.com",

		KeepsMethods: true,
	})
}

func TestNewNeedsAnAddress(t *testing.T) {
	t.Parallel()
	if _, err := gitea.New(platforms.Config{Name: "gitea"}); err == nil || !strings.Contains(err.Error(), "url: ") {
		t.Errorf("got %v, want an error that names the url", err)
	}
}

// A project that was renamed gets its statuses at the address that Gitea redirects to.
func TestStatusFollowsRenamedProject(t *testing.T) {
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
	platform := newPlatform(t, platforms.Config{URL: server.URL, Token: theToken})
	status := platformtest.Status(core.StatusSuccess)
	status.ProjectRef = "7" // without a number the redirect would not be followed
	posted, err := platform.PostStatus(t.Context(), status)
	if err != nil || posted.ID != 3 || len(called) != 2 || called[0] != called[1] {
		t.Errorf("posted %+v, %v; calls %q", posted, err, called)
	}
}

// A token with the one scope that it needs may not read about its owner.
func TestCheckCredential(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code   int
		body   string
		says   string
		denied bool
	}{
		"right":      {200, `{"ok":true,"data":[]}`, "", false},
		"wrong":      {401, `{"message":"invalid username, password or token"}`, "wrong or expired", true},
		"too narrow": {403, `{"message":"token does not have at least one of required scope(s)"}`, "write:repository", true},
		"no Gitea":   {404, `404 page not found`, "its API is not at", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("GET /api/v1/repos/search", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, test.body)
			})
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			_, err := newPlatform(t, platforms.Config{URL: server.URL, Token: "t"}).CheckCredential(t.Context())
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error with %q", err, test.says)
			}
			if refusal := new(platforms.Denied); errors.As(err, &refusal) != test.denied {
				t.Errorf("got %v, want it denied %t", err, test.denied)
			}
		})
	}
}
