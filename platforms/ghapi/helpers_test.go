package ghapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newPlatform is a GitHub, by which the shared code is tested where it is the same on Gitea.
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

func headerOf(event string) http.Header {
	return http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {event}}
}

// describe is the official description of the API, as an Enterprise Server below a sub-path has it.
func describe(t testing.TB) platformtest.Description {
	return platformtest.Describe(t, "openapi/github/api.github.com.subset.json", "/sub/api/v3")
}

// answering is a platform whose API gives one answer to everything, and the number of calls so far.
func answering(t *testing.T, code int, header http.Header, body string) (*github.Platform, func() int) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return newPlatform(t, platforms.Config{APIURL: server.URL, Token: "the-token"}), func() int { return calls }
}
