package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// serveJSON makes a platform, below a sub-path, that gives the same answer to all.
func serveJSON(t *testing.T, status int, body string) (*gitlab.Platform, *platformtest.Server) {
	t.Helper()
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	server := description.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	return newPlatform(t, gitlab.Config{URL: server.URL + "/sub", Token: "the-token"}), server
}

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

func TestInquiryErrors(t *testing.T) {
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
	silent := newPlatform(t, gitlab.Config{})
	if _, err := silent.ArtifactBytes(t.Context(), project, 31); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}
