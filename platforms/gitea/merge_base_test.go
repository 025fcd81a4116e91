package gitea_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestMergeBase(t *testing.T) {
	t.Parallel()
	a, b, c := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)
	commit := func(sha string, parents ...string) string {
		return `{"sha":"` + sha + `","parents":[{"sha":"` + strings.Join(parents, `"},{"sha":"`) + `"}]}`
	}
	for name, test := range map[string]struct{ commits, want string }{
		"a branch":             {commit(platformtest.SHA, b) + "," + commit(b, a), a},
		"a merge within it":    {commit(platformtest.SHA, b, c) + "," + commit(b, a) + "," + commit(c, a), a},
		"nothing of its own":   {"", platformtest.SHA},
		"a merge from outside": {commit(platformtest.SHA, b, c) + "," + commit(b, a), ""},
		"no common history":    {`{"sha":"` + platformtest.SHA + `","parents":[]}`, ""},
		"nonsense":             {commit(platformtest.SHA, "--upload-pack=x"), ""},
		"cut short":            {`{"sha":`, ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.EscapedPath(); got != "/api/v1/repos/acme/widgets/compare/release%2F1..."+platformtest.SHA {
				t.Errorf("asked for %s", got)
			}
			_, _ = io.WriteString(w, `{"total_commits":2,"commits":[`+test.commits+`]}`)
		}))
		platform := newPlatform(t, platforms.Config{URL: server.URL, Token: theToken})
		got, err := platform.MergeBase(t.Context(), "acme/widgets", "release/1", platformtest.SHA)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
		server.Close()
	}
}
