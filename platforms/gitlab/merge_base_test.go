package gitlab_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

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
		"an answer cut short": {200, `{"id":"` + base, "", platforms.ErrUnknownCommit},
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
			platform := newPlatform(t, gitlab.Config{URL: server.URL, Token: "the-token"})
			got, err := platform.MergeBase(t.Context(), "group/sub/widgets", "main", platformtest.SHA)
			if got != test.want || (err == nil) != (test.want != "") || test.wantErr != nil && !errors.Is(err, test.wantErr) {
				t.Errorf("want %q and %v, got %q and %v", test.want, test.wantErr, got, err)
			}
		})
	}
	platform := newPlatform(t, gitlab.Config{URL: "http://127.0.0.1:1"})
	if _, err := platform.MergeBase(t.Context(), "a/b", "main", platformtest.SHA); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: got %v", err)
	}
}
