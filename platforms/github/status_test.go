package github_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// describe is the official description of the API, as an Enterprise Server below a sub-path has it.
func describe(t testing.TB) platformtest.Description {
	return platformtest.Describe(t, "openapi/github/api.github.com.subset.json", "/sub/api/v3")
}

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
			platform := newPlatform(t, github.Config{URL: server.URL + "/sub", Token: "the-token"})
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
	platform := newPlatform(t, github.Config{URL: server.URL + "/sub", Token: "the-token"})
	for _, target := range []string{"", "/scans/1", "javascript:alert(1)", "https://user:password@example.com/"} {
		status := platformtest.Status(core.StatusSuccess)
		status.TargetURL = target
		if _, err := platform.PostStatus(t.Context(), status); err != nil {
			t.Fatal(err)
		}
	}
}

const secondary = `{"documentation_url":"https://docs.github.com/rest/overview/rate-limits#secondary-rate-limits"}`

// answering is a platform whose API gives one answer to everything, and the number of calls so far.
func answering(t *testing.T, code int, header http.Header, body string) (*github.Platform, func() int) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return newPlatform(t, github.Config{APIURL: server.URL, Token: "the-token"}), func() int { return calls }
}

func TestPostStatusTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code int
		body string
		want error // nil is an error without a sentinel
	}{
		"unknown commit":     {422, `{"message":"No commit found for SHA: x"}`, platforms.ErrUnknownCommit},
		"field at fault":     {422, `{"message":"Invalid","errors":[{"field":"description"}]}`, platforms.ErrRefused},
		"no reason":          {422, ``, platforms.ErrRefused},
		"no access":          {404, `{"message":"Not Found"}`, nil},
		"unknown on gitea":   {500, `{"message":"object does not exist"}`, nil},
		"created, no json":   {201, `<html>`, errDone},
		"accepted for later": {202, `{}`, errDone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := answering(t, test.code, nil, test.body)
			_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
			switch {
			case errors.Is(test.want, errDone):
				if err != nil {
					t.Errorf("want success, got %v", err)
				}
			case test.want != nil:
				if !errors.Is(err, test.want) {
					t.Errorf("want %v, got %v", test.want, err)
				}
			case err == nil || errors.Is(err, platforms.ErrRefused) || errors.Is(err, platforms.ErrUnknownCommit):
				t.Errorf("want an error that is worth another try, got %v", err)
			}
		})
	}
}

// errDone stands for success in tables of errors.
var errDone = errors.New("done")

func TestPostStatusPausesAtLimits(t *testing.T) {
	t.Parallel()
	date := http.Header{"Retry-After": {"Sun, 01 Mar 2026 12:00:20 GMT"}}
	reset := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1772367000"}} // 10 minutes past noon
	tests := map[string]struct {
		code   int
		header http.Header
		body   string
		want   time.Duration
	}{
		"primary as 403":            {403, reset, `{}`, 10 * time.Minute},
		"primary as 429":            {429, reset, `{}`, 10 * time.Minute},
		"secondary without headers": {403, nil, secondary, time.Minute},
		"secondary with a time":     {403, http.Header{"Retry-After": {"30"}}, secondary, 30 * time.Second},
		"date":                      {429, date, `{}`, 20 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := answering(t, test.code, test.header, test.body)
			_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
			var limit *platforms.RateLimited
			if !errors.As(err, &limit) || limit.After != test.want {
				t.Errorf("want a pause of %s, got %v", test.want, err)
			}
		})
	}
}

// TestPostStatusPausesWithoutACall: go-github refuses further calls itself until the limit is over.
func TestPostStatusPausesWithoutACall(t *testing.T) {
	t.Parallel()
	platform, calls := answering(t, http.StatusForbidden, http.Header{"Retry-After": {"60"}}, secondary)
	for range 3 {
		_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
		var limit *platforms.RateLimited
		if !errors.As(err, &limit) || limit.After <= 0 {
			t.Errorf("want a pause, got %v", err)
		}
	}
	if got := calls(); got != 1 {
		t.Errorf("want one call, got %d", got)
	}
}
