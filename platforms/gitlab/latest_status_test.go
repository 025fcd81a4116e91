package gitlab_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestLatestStatus(t *testing.T) {
	t.Parallel()
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	tests := map[string]struct {
		answer string
		state  core.StatusState // empty: there is none
	}{
		"the greatest number": {`[{"id":3,"name":"scanhook","status":"success","author":{"username":"scanhook-bot"}},` +
			`{"id":5,"name":"scanhook","status":"canceled","description":"no","author":{"username":"ci-bot"}},` +
			`{"id":6,"name":"scanhook2","status":"success"}]`, core.StatusCancelled},
		"a word of its own": {`[{"id":5,"name":"scanhook","status":"skipped","description":"no","author":{"username":"ci-bot"}}]`, "skipped"},
		"none":              {`[]`, ""},
		"odd entries":       {`[null,{}]`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.Query().Encode(); got != "name=scanhook&per_page=100&ref=main" {
					t.Errorf("asked for %q", got)
				}
				_, _ = w.Write([]byte(test.answer))
			})
			platform := newPlatform(t, gitlab.Config{URL: server.URL + "/sub", Token: "the-token"})
			status := platformtest.Status(core.StatusSuccess)
			status.ProjectRef = "15"
			got, err := platform.LatestStatus(t.Context(), status)
			if test.state == "" {
				if !errors.Is(err, platforms.ErrUnknownCommit) {
					t.Errorf("want ErrUnknownCommit, got %+v, %v", got, err)
				}
				return
			}
			want := core.StatusSeen{
				Project: core.Project{Name: status.ProjectName, Ref: "15"}, CommitSHA: platformtest.SHA, Context: "scanhook", ID: 5,
				State: test.state, Description: "no", Creator: "ci-bot",
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("seen, %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDenialsAreToldApart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code, project  int // answers to the post, and to the question for the project
		body, want     string
		branch, hidden bool
		sentinel       error // in place of a denial
	}{
		"expired":          {401, 200, `{"message":"401 Unauthorized"}`, "renew it", false, false, nil},
		"lacks the scope":  {403, 200, `{"error":"insufficient_scope","scope":"api"}`, "lacks the scope api", false, false, nil},
		"protected branch": {403, 200, `{"message":"403 Forbidden"}`, "protected branch", true, false, nil},
		"no member":        {404, 404, `{"message":"404 Project Not Found"}`, "member", false, true, nil},
		"unknown commit":   {404, 200, `{"message":"404 Commit Not Found"}`, "", false, false, platforms.ErrUnknownCommit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.WriteHeader(test.project)
					_, _ = w.Write([]byte(`{"id":15}`))
					return
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			}))
			t.Cleanup(server.Close)
			status := platformtest.Status(core.StatusSuccess)
			status.PipelinePin = "31"
			_, err := newPlatform(t, gitlab.Config{URL: server.URL, Token: "the-token"}).PostStatus(t.Context(), status)
			denied := new(platforms.Denied)
			switch {
			case platforms.CodeOf(err) != test.code:
				t.Errorf("want the code %d, got %v", test.code, err)
			case test.sentinel != nil && (!errors.Is(err, test.sentinel) || errors.As(err, &denied)):
				t.Errorf("want %v, got %v", test.sentinel, err)
			case test.sentinel == nil && (!errors.As(err, &denied) || denied.Branch != test.branch || denied.Hidden != test.hidden):
				t.Errorf("denied = %+v, %v", denied, err)
			case !strings.Contains(err.Error(), test.want):
				t.Errorf("want %q in %v", test.want, err)
			}
		})
	}
}
