package ghapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var widgets = core.Project{Name: "acme/widgets", Ref: "7"}

func TestArtifactBytes(t *testing.T) {
	t.Parallel()
	server := describe(t).Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			_, _ = w.Write([]byte(`{"total_count":4,"artifacts":[{"id":3,"name":"log","size_in_bytes":5},
				{"id":4,"name":"odd","size_in_bytes":-9}]}`))
			return
		}
		next := "http://" + r.Host + r.URL.Path + "?per_page=100&page=2"
		w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next", <%s>; rel="last"`, next, next))
		_, _ = w.Write([]byte(`{"total_count":4,"artifacts":[{"id":2,"name":"app","size_in_bytes":100},
			{"id":1,"name":"app","size_in_bytes":7000,"expired":true}]}`))
	})
	platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
	bytes, err := platform.ArtifactBytes(t.Context(), widgets, 31)
	if err != nil || bytes != 105 {
		t.Errorf("%d bytes, %v, want 105: of two artifacts with one name the newer one", bytes, err)
	}
	want := "GET /sub/api/v3/repos/acme/widgets/actions/runs/31/artifacts"
	if calls := server.Calls(); !slices.Equal(calls, []string{want, want}) {
		t.Errorf("calls %q, want two pages of %s", calls, want)
	}
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	for listed, truncated := range map[int]bool{0: false, 2: false, 299: false, 300: true} {
		server := describe(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			files := slices.Repeat([]string{`{"filename":"a","patch":"@@ -1 +1 @@"}`}, listed)
			_, _ = fmt.Fprintf(w, `{"commits":[],"files":[%s]}`, strings.Join(files, ","))
		})
		platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
		before := strings.Repeat("a", 40)
		got, err := platform.ChangedFiles(t.Context(), widgets, before, platformtest.SHA)
		if err != nil || *got.Count != listed || got.Truncated != truncated {
			t.Errorf("%d files: %d, truncated %v, %v", listed, *got.Count, got.Truncated, err)
		}
		want := "GET /sub/api/v3/repos/acme/widgets/compare/" + before + "..." + platformtest.SHA
		if calls := server.Calls(); !slices.Equal(calls, []string{want}) {
			t.Errorf("calls %q, want %s", calls, want)
		}
	}
}

func TestMetadataErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status int
		header map[string]string
		body   string
		want   error // nil: worth another try
	}{
		"unknown":      {404, nil, `{"message":"Not Found"}`, platforms.ErrUnknownCommit},
		"forbidden":    {403, nil, `{"message":"Resource not accessible"}`, platforms.ErrUnknownCommit},
		"rate limited": {403, map[string]string{"X-RateLimit-Remaining": "0"}, `{}`, new(platforms.RateLimited)},
		"secondary":    {429, map[string]string{"Retry-After": "30"}, `{}`, new(platforms.RateLimited)},
		"broken":       {200, nil, `{"files":[{`, platforms.ErrRefused},
		"bad gateway":  {502, nil, `<html>`, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := describe(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range c.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
			_, files := platform.ChangedFiles(t.Context(), widgets, platformtest.SHA, strings.Repeat("b", 40))
			_, artifacts := platform.ArtifactBytes(t.Context(), widgets, 31)
			limited := new(platforms.RateLimited)
			for _, err := range []error{files, artifacts} {
				switch {
				case err == nil || strings.Contains(err.Error(), "the-token"):
					t.Errorf("error %v", err)
				case errors.As(c.want, &limited):
					if !errors.As(err, &limited) {
						t.Errorf("error %v, want a rate limit", err)
					}
				case c.want != nil && !errors.Is(err, c.want):
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
		})
	}
}

func TestMetadataIsNotAskedFor(t *testing.T) {
	t.Parallel()
	silent := newPlatform(t, platforms.Config{})
	if _, err := silent.ArtifactBytes(t.Context(), widgets, 31); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("artifacts without a token: %v", err)
	}
	platform := newPlatform(t, platforms.Config{Token: "the-token"})
	if _, err := platform.ChangedFiles(t.Context(), widgets, "main", "../x"); !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("no commits: %v", err)
	}
	for _, project := range []string{"", "acme", "a/b/c", "acme/../x"} {
		_, err := platform.ArtifactBytes(t.Context(), core.Project{Name: project}, 31)
		if !errors.Is(err, platforms.ErrRefused) {
			t.Errorf("project %q: %v", project, err)
		}
	}
}
