package github_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestMergeBase(t *testing.T) {
	t.Parallel()
	description := describe(t)
	base := strings.Repeat("b", 40)
	tests := map[string]struct {
		status  int
		answer  string
		want    string
		wantErr error
	}{
		"told":                 {200, `{"merge_base_commit":{"sha":"` + base + `"},"commits":[{}]}`, base, nil},
		"Gitea does not tell":  {200, `{"total_commits":1,"commits":[]}`, "", platforms.ErrUnknownCommit},
		"nonsense":             {200, `{"merge_base_commit":{"sha":"--upload-pack=x"}}`, "", platforms.ErrUnknownCommit},
		"an answer cut short":  {200, `{"merge_base_commit":{"sha":"` + base, "", platforms.ErrUnreadable},
		"no common history":    {404, `{"message":"Not Found"}`, "", nil},
		"a branch not existed": {422, `{"message":"No commit found for SHA: main"}`, "", platforms.ErrUnknownCommit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.RawQuery; got != "page=2&per_page=1" {
					t.Errorf("want the files left out, asked for %q", got)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.answer))
			})
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
			got, err := platform.MergeBase(t.Context(), "acme/widgets", "release/1", platformtest.SHA)
			if got != test.want || (err == nil) != (test.want != "") || test.wantErr != nil && !errors.Is(err, test.wantErr) {
				t.Errorf("want %q and %v, got %q and %v", test.want, test.wantErr, got, err)
			}
			wantCalls := []string{"GET /sub/api/v3/repos/acme/widgets/compare/release%2F1..." + platformtest.SHA}
			if diff := cmp.Diff(wantCalls, server.Calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeBaseIsNotAsked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		token, project, branch, sha string
		want                        error
	}{
		"without a token":     {"", "acme/widgets", "main", platformtest.SHA, platforms.ErrNoToken},
		"for another path":    {"x", "acme/../widgets", "main", platformtest.SHA, platforms.ErrRefused},
		"without a branch":    {"x", "acme/widgets", "", platformtest.SHA, platforms.ErrRefused},
		"for a short commit":  {"x", "acme/widgets", "main", "abc", platforms.ErrRefused},
		"for a project alone": {"x", "widgets", "main", platformtest.SHA, platforms.ErrRefused},
	}
	for name, test := range tests {
		platform := newPlatform(t, platforms.Config{URL: "http://127.0.0.1:1", Token: test.token})
		if _, err := platform.MergeBase(t.Context(), test.project, test.branch, test.sha); !errors.Is(err, test.want) {
			t.Errorf("%s: want %v, got %v", name, test.want, err)
		}
	}
}
