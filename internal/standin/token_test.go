package standin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestGitLabDescribesItsToken(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab, Token: token})
	_, got := p.call(t, http.MethodGet, "/personal_access_tokens/self", "")
	if diff := cmp.Diff([]any{"api"}, got["scopes"]); diff != "" || got["expires_at"] != nil || got["active"] != true {
		t.Errorf("at first: %v", got)
	}
	p.TokenIs(now.AddDate(0, 0, 3), "read_api")
	_, got = p.call(t, http.MethodGet, "/personal_access_tokens/self", "")
	if diff := cmp.Diff([]any{"read_api"}, got["scopes"]); diff != "" || got["expires_at"] != "2026-05-07" {
		t.Errorf("later: %v", got)
	}
	if response, user := p.call(t, http.MethodGet, "/user", ""); response.StatusCode != http.StatusOK || user["username"] == nil {
		t.Errorf("its owner: %d %v", response.StatusCode, user)
	}
}

func TestGitHubDescribesTheTokenInHeaders(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	for _, path := range []string{"/rate_limit", "/user"} {
		p.TokenIs(time.Time{})
		response, _ := p.call(t, http.MethodGet, path, "")
		if _, shown := response.Header["X-Oauth-Scopes"]; shown || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v", path, response.StatusCode, response.Header)
		}
		p.TokenIs(now, "gist", "repo")
		response, _ = p.call(t, http.MethodGet, path, "")
		until := response.Header.Get("GitHub-Authentication-Token-Expiration")
		if response.Header.Get("X-OAuth-Scopes") != "gist, repo" || until != "2026-05-04 12:00:00 UTC" {
			t.Errorf("%s: %v", path, response.Header)
		}
	}
}
