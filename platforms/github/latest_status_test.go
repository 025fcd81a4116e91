package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestLatestStatus(t *testing.T) {
	t.Parallel()
	description := describe(t)
	const others = `{"id":9,"context":"build","state":"success"}`
	want := core.StatusSeen{
		Project: core.Project{Name: "acme/widgets"}, CommitSHA: platformtest.SHA, Context: "ScanHook", ID: 8,
		State: core.StatusFailure, Description: "no", Creator: "ci-bot",
	}
	tests := map[string]struct {
		pages []string
		want  core.StatusSeen
		err   error
		calls int
	}{
		"the newest of the context, in any case": {[]string{others +
			`,{"id":8,"context":"ScanHook","state":"failure","description":"no","creator":{"login":"ci-bot"}},{"id":7,"context":"scanhook"}`},
			want, nil, 1},
		"Gitea's word": {[]string{`{"id":8,"context":"ScanHook","status":"failure","description":"no","creator":{"login":"ci-bot"}}`},
			want, nil, 1},
		"a later page": {[]string{others, others,
			`{"id":8,"context":"ScanHook","state":"failure","description":"no","creator":{"login":"ci-bot"}}`}, want, nil, 3},
		"not on the first pages": {[]string{others, others, others, others}, core.StatusSeen{}, platforms.ErrUnknownCommit, 3},
		"none at all":            {[]string{""}, core.StatusSeen{}, platforms.ErrUnknownCommit, 1},
		"not readable":           {[]string{`{`}, core.StatusSeen{}, platforms.ErrRefused, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if calls++; calls < len(test.pages) {
					w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, calls+1))
				}
				_, _ = w.Write([]byte("[" + test.pages[calls-1] + "]"))
			})
			platform := newPlatform(t, github.Config{URL: server.URL + "/sub", Token: "the-token"})
			status := platformtest.Status(core.StatusSuccess)
			status.ProjectRef = ""
			got, err := platform.LatestStatus(t.Context(), status)
			if !errors.Is(err, test.err) || calls != test.calls {
				t.Errorf("want %v after %d calls, got %v after %d", test.err, test.calls, err, calls)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseStatusEvents(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, github.Config{})
	body := func(id, sha string) string {
		return `{"id":` + id + `,"sha":"` + sha + `","context":"scan\u0000hook","state":"success","description":null,` +
			`"repository":{"full_name":"acme/widgets"},"sender":{"login":"ci-bot"}}`
	}
	for name, test := range map[string]struct {
		body string
		used bool
	}{
		"a status":         {body("6805126730", platformtest.SHA), true},
		"without a number": {body("null", platformtest.SHA), false},
		"without a commit": {body("7", strings.Repeat("0", 40)), false},
	} {
		delivery, err := platform.Parse(headerOf("status"), []byte(test.body))
		seen, used := delivery.Event.(core.StatusSeen)
		if err != nil || used != test.used || delivery.Project != "acme/widgets" {
			t.Errorf("%s: %+v, %v", name, delivery, err)
		}
		if used && (seen.ID != 6805126730 || seen.Creator != "ci-bot" || seen.Context != "scanhook") {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}
