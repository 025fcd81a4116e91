package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestArtifactBytes(t *testing.T) {
	t.Parallel()
	for name, project := range map[string]core.Project{
		"by number": {Name: "acme/sub/widgets", Ref: "7"}, "by path": {Name: "acme/sub/widgets"},
	} {
		platform, server := serveJSON(t, 200, `[{"id":1,"artifacts_file":{"filename":"a.zip","size":100}},{"id":2},
			{"id":3,"artifacts_file":{"filename":"b.zip","size":23}}]`)
		bytes, err := platform.ArtifactBytes(t.Context(), project, 31)
		if err != nil || bytes != 123 {
			t.Errorf("%s: %d bytes, %v, want 123", name, bytes, err)
		}
		id := map[bool]string{true: "7", false: "acme%2Fsub%2Fwidgets"}[project.Ref != ""]
		if want := []string{"GET /sub/api/v4/projects/" + id + "/pipelines/31/jobs"}; !slices.Equal(server.Calls(), want) {
			t.Errorf("%s: calls %q, want %q", name, server.Calls(), want)
		}
	}
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	before := strings.Repeat("a", 40)
	for _, c := range []struct {
		listed    int
		timeout   bool
		truncated bool
	}{{0, false, false}, {2, false, false}, {2, true, true}, {1000, false, true}} {
		diffs := strings.Join(slices.Repeat([]string{`{"old_path":"a","new_path":"a","diff":""}`}, c.listed), ",")
		platform, server := serveJSON(t, 200, fmt.Sprintf(`{"diffs":[%s],"compare_timeout":%v}`, diffs, c.timeout))
		got, err := platform.ChangedFiles(t.Context(), core.Project{Name: "acme/widgets", Ref: "7"}, before, platformtest.SHA)
		if err != nil || *got.Count != c.listed || got.Truncated != c.truncated {
			t.Errorf("%+v: %d files, truncated %v, %v", c, *got.Count, got.Truncated, err)
		}
		if want := []string{"GET /sub/api/v4/projects/7/repository/compare"}; !slices.Equal(server.Calls(), want) {
			t.Errorf("calls %q, want %q", server.Calls(), want)
		}
	}
}

func TestMetadataErrors(t *testing.T) {
	t.Parallel()
	project := core.Project{Name: "acme/widgets", Ref: "7"}
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"unknown": {404, `{"message":"404 Not Found"}`, platforms.ErrUnknownCommit},
		"broken":  {200, `[{`, platforms.ErrRefused},
		"invalid": {400, `{"error":"from is missing"}`, platforms.ErrRefused},
	} {
		platform, _ := serveJSON(t, c.status, c.body)
		_, files := platform.ChangedFiles(t.Context(), project, platformtest.SHA, strings.Repeat("b", 40))
		_, artifacts := platform.ArtifactBytes(t.Context(), project, 31)
		if !errors.Is(files, c.want) || !errors.Is(artifacts, c.want) {
			t.Errorf("%s: %v and %v, want %v", name, files, artifacts, c.want)
		}
	}
	platform, _ := serveJSON(t, 429, "Retry later")
	limited := new(platforms.RateLimited)
	if _, err := platform.ArtifactBytes(t.Context(), project, 31); !errors.As(err, &limited) {
		t.Errorf("too many calls: %v", err)
	}
	_, err := platform.ChangedFiles(t.Context(), project, "main", platformtest.SHA)
	if !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("no commit: %v", err)
	}
	silent := newPlatform(t, platforms.Config{})
	if _, err := silent.ArtifactBytes(t.Context(), project, 31); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	const call = "GET /api/v4/projects/group%2Fsub%2Fwidgets/repository/merge_base"
	base := strings.Repeat("b", 40)
	tests := map[string]struct {
		status  int
		answer  string
		want    string
		wantErr error
	}{
		"told":                {200, `{"id":"` + base + `"}`, base, nil},
		"no common history":   {404, `{"message":"404 Merge Base Not Found"}`, "", platforms.ErrUnknownCommit},
		"an unknown branch":   {400, `{"message":"400 Bad request - Could not find ref: main"}`, "", platforms.ErrRefused},
		"nonsense":            {200, `{"id":"main"}`, "", platforms.ErrUnknownCommit},
		"nothing":             {200, `null`, "", platforms.ErrUnknownCommit},
		"an answer cut short": {200, `{"id":"` + base, "", platforms.ErrUnreadable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.URL.EscapedPath(); got != call {
					t.Errorf("asked for %s", got)
				}
				if diff := cmp.Diff([]string{"main", platformtest.SHA}, r.URL.Query()["refs[]"]); diff != "" {
					t.Errorf("refs (-want +got):\n%s", diff)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.answer))
			}))
			t.Cleanup(server.Close)
			platform := newPlatform(t, platforms.Config{URL: server.URL, Token: "the-token"})
			got, err := platform.MergeBase(t.Context(), "group/sub/widgets", "main", platformtest.SHA)
			if got != test.want || (err == nil) != (test.want != "") || test.wantErr != nil && !errors.Is(err, test.wantErr) {
				t.Errorf("want %q and %v, got %q and %v", test.want, test.wantErr, got, err)
			}
		})
	}
	platform := newPlatform(t, platforms.Config{URL: "http://127.0.0.1:1"})
	if _, err := platform.MergeBase(t.Context(), "a/b", "main", platformtest.SHA); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: got %v", err)
	}
}
