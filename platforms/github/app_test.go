package github_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// Each token opens one project, with no more permissions than calls need and the installation has; that for git may only read.
func TestAppTokensOpenOneProject(t *testing.T) {
	t.Parallel()
	description := describe(t)
	var asked []string
	server := appServer(t, description, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("want a JWT, got %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(string(body)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"token":"installation-token","expires_at":"2100-01-01T00:00:00Z"}`))
	})
	platform := newApp(t, server)
	for _, project := range []string{"acme/widgets", "acme/widgets", "acme/gears"} {
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectName = project
		if _, err := platform.PostStatus(t.Context(), status); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"GET /sub/api/v3/repos/acme/widgets/installation",
		"POST /sub/api/v3/app/installations/55/access_tokens",
		"POST /sub/api/v3/repos/acme/widgets/statuses/" + platformtest.SHA,
		"POST /sub/api/v3/repos/acme/widgets/statuses/" + platformtest.SHA,
		"GET /sub/api/v3/repos/acme/gears/installation",
		"POST /sub/api/v3/app/installations/55/access_tokens",
		"POST /sub/api/v3/repos/acme/gears/statuses/" + platformtest.SHA,
	}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	remote, err := platform.Remote(t.Context(), "acme/widgets")
	credentials := base64.StdEncoding.EncodeToString([]byte("x-access-token:installation-token"))
	if err != nil || remote.Authorization != "Basic "+credentials {
		t.Errorf("want a token for fetching, got %q, %v", remote.Authorization, err)
	}
	calls := `"permissions":{"contents":"read","metadata":"read","pull_requests":"read","statuses":"write"}`
	wantAsked := []string{
		`{"repositories":["widgets"],` + calls + `}`, `{"repositories":["gears"],` + calls + `}`,
		`{"repositories":["widgets"],"permissions":{"contents":"read","metadata":"read"}}`,
	}
	if diff := cmp.Diff(wantAsked, asked); diff != "" {
		t.Errorf("tokens asked for (-want +got):\n%s", diff)
	}
}

// An App may write comments where they are on, and asks for that only there.
func TestAppComments(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		server, platform := appForge(t, on)
		_, err := server.BuildRequest(fakeforge.RequestSpec{Project: "acme/widgets", Number: 7, Branch: "topic", Head: platformtest.SHA, Action: "opened"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = platform.KeepNote(t.Context(), core.Project{Name: "acme/widgets"}, 7, platforms.Note{Marker: "m", Text: "m: passed"})
		if written := len(server.Comments("acme/widgets", 7)) == 1; written != on || written != (err == nil) {
			t.Errorf("comments on %t: written %t, %v", on, written, err)
		}
		if !on && (!errors.Is(err, platforms.ErrRefused) || !strings.Contains(err.Error(), "give the App the permission")) {
			t.Errorf("a refusal says %v", err)
		}
		_, _ = platform.KeepNote(t.Context(), core.Project{Name: "acme/widgets"}, 7, platforms.Note{Marker: "m", Text: "m: passed"})
		lookups := slices.DeleteFunc(server.Calls(), func(c fakeforge.Call) bool { return !strings.HasSuffix(c.Path, "/installation") })
		if want := map[bool]int{false: 2, true: 1}[on]; len(lookups) != want {
			t.Errorf("comments on %t: the installation was looked up %d times, want %d", on, len(lookups), want)
		}
	}
}

func TestAppFaults(t *testing.T) {
	t.Parallel()
	description := describe(t)
	pausing := appServer(t, description, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	var limit *platforms.RateLimited
	_, err := newApp(t, pausing).PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
	if !errors.As(err, &limit) {
		t.Errorf("limited renewal of a token: want a pause, got %v", err)
	}
	removed := appServer(t, description, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
	})
	platform := newApp(t, removed)
	for range 2 {
		if _, err = platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess)); err == nil {
			t.Error("a removed installation: want an error")
		}
	}
	if calls := removed.Calls(); len(calls) != 4 || calls[2] != calls[0] {
		t.Errorf("want the installation to be looked up again, got %v", calls)
	}
	taken := appServer(t, description, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
	})
	_, err = newApp(t, taken).PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
	if !errors.As(err, new(*platforms.Denied)) || !strings.Contains(err.Error(), "install the App") {
		t.Errorf("a project that was taken from the App: want an error that says so, got %v", err)
	}
	status := platformtest.Status(core.StatusSuccess)
	status.ProjectName = "elsewhere/widgets"
	if _, err = platform.PostStatus(t.Context(), status); err == nil || !strings.Contains(err.Error(), "install the App") {
		t.Errorf("not installed: want an error that says so, got %v", err)
	}
}
