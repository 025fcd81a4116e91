package github_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestCheckCredential(t *testing.T) {
	t.Parallel()
	scopes := func(list string) map[string]string { return map[string]string{"X-OAuth-Scopes": list} }
	for name, test := range map[string]struct {
		limit, user reply
		expires     string
		says        string // of the error; empty: there is none
		denied      bool
	}{
		"fine-grained": {limit: reply{200, `{}`, map[string]string{
			"GitHub-Authentication-Token-Expiration": "2026-04-01 10:00:00 UTC"}}, expires: "2026-04-01"},
		"classic":             {limit: reply{200, `{}`, scopes("gist, repo")}},
		"classic, status":     {limit: reply{200, `{}`, scopes("repo:status")}},
		"classic, too narrow": {limit: reply{200, `{}`, scopes("gist, read:org")}, says: `the scopes "gist, read:org" and lacks repo`, denied: true},
		"classic, no scopes":  {limit: reply{200, `{}`, scopes("")}, says: "lacks repo", denied: true},
		"wrong":               {limit: reply{401, `{"message":"Bad credentials"}`, nil}, says: "wrong or expired, renew it", denied: true},
		"no limits":           {limit: reply{404, `{"message":"Rate limiting is not enabled."}`, nil}, user: reply{200, `{}`, nil}},
		"no limits, narrow":   {limit: reply{404, `{}`, nil}, user: reply{200, `{}`, scopes("gist")}, says: "lacks repo", denied: true},
		"no limits, no owner": {limit: reply{404, `{}`, nil}, user: reply{403, `{}`, nil}},
		"no GitHub":           {limit: reply{404, `{}`, nil}, user: reply{404, `{}`, nil}, says: "configure the type gitea"},
		"a page for people":   {limit: reply{200, `<html>`, nil}, says: "Correct api_url of platform github"},
		"busy":                {limit: reply{429, ``, nil}, says: "rate limited"},
		"broken":              {limit: reply{502, `<html>`, nil}, says: "github answered 502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("GET /sub/api/v3/rate_limit", func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer the-token" {
					t.Errorf("asked with %q", got)
				}
				test.limit.write(w)
			})
			mux.HandleFunc("GET /sub/api/v3/user", func(w http.ResponseWriter, _ *http.Request) { test.user.write(w) })
			got, err := newPlatform(t, platforms.Config{URL: serve(t, mux) + "/sub", Token: "the-token"}).CheckCredential(t.Context())
			judged(t, err, test.says, test.denied)
			if test.expires != "" && got.ExpiresAt.Format(time.DateOnly) != test.expires || test.expires == "" && !got.ExpiresAt.IsZero() {
				t.Errorf("want it to end %q, got %s", test.expires, got.ExpiresAt)
			}
		})
	}
	_, err := newPlatform(t, platforms.Config{}).CheckCredential(t.Context())
	if !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}

func TestCheckCredentialOfAnApp(t *testing.T) {
	t.Parallel()
	description := platformtest.Describe(t, "openapi/github/api.github.com.subset.json", "/sub/api/v3")
	for name, test := range map[string]struct {
		answer reply
		says   string
		denied bool
	}{
		"right":       {reply{200, `{"id":4,"permissions":{"statuses":"write","checks":"write","pull_requests":"write"}}`, nil}, "", false},
		"may nothing": {reply{200, `{"id":4,"permissions":{"contents":"read"}}`, nil}, "Commit statuses: write", true},
		"may read":    {reply{200, `{"id":4,"permissions":{"statuses":"read"}}`, nil}, "Commit statuses: write", true},
		"wrong key":   {reply{401, `{"message":"A JSON web token could not be decoded"}`, nil}, "the key of the App is wrong", true},
		"another id":  {reply{404, `{"message":"Integration not found"}`, nil}, "it has no App 4, correct app.id", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := description.Serve(t, func(w http.ResponseWriter, _ *http.Request) { test.answer.write(w) })
			_, err := newApp(t, server).CheckCredential(t.Context())
			judged(t, err, test.says, test.denied)
			if calls := server.Calls(); len(calls) != 1 || calls[0] != "GET /sub/api/v3/app" {
				t.Errorf("asked %v", calls)
			}
		})
	}
}

// What is switched on besides commit statuses needs more permissions.
func TestCredentialsTellWhatTheyLack(t *testing.T) {
	t.Parallel()
	description := platformtest.Describe(t, "openapi/github/api.github.com.subset.json", "/sub/api/v3")
	both := []platforms.Use{platforms.UseChecks, platforms.UseNotes}
	for permissions, want := range map[string][]platforms.Use{
		`"checks":"write","pull_requests":"write"`: nil,
		`"checks":"write","issues":"write"`:        nil,
		`"checks":"write"`:                         {platforms.UseNotes},
		`"checks":"read","pull_requests":"read"`:   both,
		`"contents":"read"`:                        both,
	} {
		server := description.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			reply{200, `{"id":4,"permissions":{"statuses":"write",` + permissions + `}}`, nil}.write(w)
		})
		found, err := newApp(t, server).CheckCredential(t.Context())
		if lacks := slices.Sorted(maps.Keys(found.Lacks)); err != nil || !slices.Equal(lacks, want) {
			t.Errorf("%s: lacks %v, %v; want %v", permissions, lacks, err, want)
		}
	}
}
