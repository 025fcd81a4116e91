package ghapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestPostStatus(t *testing.T) {
	t.Parallel()
	description := describe(t)
	for state, want := range map[core.StatusState]string{
		core.StatusPending: "pending", core.StatusSuccess: "success", core.StatusFailure: "failure",
		core.StatusError: "error", core.StatusCancelled: "error",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			sent := make(map[string]string)
			server := description.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer the-token" {
					t.Errorf("authorization: got %q", got)
				}
				if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"status":"Gitea calls the state so"}`))
			})
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
			status := platformtest.Status(state)
			status.Description = strings.Repeat("ü", 200)
			if _, err := platform.PostStatus(t.Context(), status); err != nil {
				t.Fatal(err)
			}
			wantSent := map[string]string{
				"state": want, "context": "scanhook", "target_url": status.TargetURL,
				"description": strings.Repeat("ü", core.MaxDescription-1) + "…",
			}
			if diff := cmp.Diff(wantSent, sent); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			wantCalls := []string{"POST /sub/api/v3/repos/acme/widgets/statuses/" + platformtest.SHA}
			if diff := cmp.Diff(wantCalls, server.Calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostStatusOmitsOtherTargets(t *testing.T) {
	t.Parallel()
	server := describe(t).Serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent := make(map[string]string)
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		if got, ok := sent["target_url"]; ok {
			t.Errorf("want no target_url, got %q", got)
		}
		w.WriteHeader(http.StatusCreated)
	})
	platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
	for _, target := range []string{"", "/scans/1", "javascript:alert(1)", "https://user:password@example.com/"} {
		status := platformtest.Status(core.StatusSuccess)
		status.TargetURL = target
		if _, err := platform.PostStatus(t.Context(), status); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLatestStatus(t *testing.T) {
	t.Parallel()
	description := describe(t)
	const others = `{"id":9,"context":"build","state":"success"}`
	want := core.ObservedStatus{
		Project: core.Project{Name: "acme/widgets"}, CommitSHA: platformtest.SHA, Context: "ScanHook", ID: 8,
		State: core.StatusFailure, Description: "no", Creator: "ci-bot",
	}
	tests := map[string]struct {
		pages []string
		want  core.ObservedStatus
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
		"not on the first pages": {[]string{others, others, others, others}, core.ObservedStatus{}, platforms.ErrUnknownCommit, 3},
		"none at all":            {[]string{""}, core.ObservedStatus{}, platforms.ErrUnknownCommit, 1},
		"not readable":           {[]string{`{`}, core.ObservedStatus{}, platforms.ErrRefused, 1},
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
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"})
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

// The old name of a project that Mallory gave away keeps redirecting to it. Where only the name is known, perhaps from a
// call by Mallory, the status must not follow the redirect.
func TestStatusesFollowAProjectByItsNumberOnly(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{"": false, "7": true} {
		arrived := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/repositories/7/statuses" {
				arrived = true
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"id":1}`))
				return
			}
			http.Redirect(w, r, "/repositories/7/statuses", http.StatusTemporaryRedirect)
		}))
		platform := newPlatform(t, platforms.Config{APIURL: server.URL, Token: "the-token"})
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectRef = ref
		_, err := platform.PostStatus(t.Context(), status)
		server.Close()
		if arrived != want || (err == nil) != want {
			t.Errorf("number %q: want it to arrive %t, got %t, %v", ref, want, arrived, err)
		}
	}
}
