package platformtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// RunPosts is the part of Run about posting statuses and the limits of the API.
func (s Subject) RunPosts(t *testing.T) {
	t.Run("post without token", s.postWithoutToken)
	t.Run("post refuses what names nothing", s.postRefuses)
	t.Run("post faults", s.faults)
	t.Run("post within deadline", s.deadline)
	t.Run("one limit for all calls", s.throttled)
	t.Run("no comment for an answer that cannot be read", s.unreadable)
	t.Run("no list that cannot be read", s.unreadableLists)
}

func (s Subject) postWithoutToken(t *testing.T) {
	t.Parallel()
	_, err := s.New(t, Setup{Secrets: []string{Secret}}).PostStatus(context.Background(), Status(core.StatusSuccess))
	if !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("want ErrNoToken, got %v", err)
	}
}

func (s Subject) postRefuses(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "http://127.0.0.1:1")
	for _, change := range []func(*core.Status){
		func(status *core.Status) { status.CommitSHA = "" },
		func(status *core.Status) { status.CommitSHA = strings.Repeat("0", 40) },
		func(status *core.Status) { status.CommitSHA = "../../main" },
		func(status *core.Status) { status.ProjectName = "acme/../admin" },
	} {
		status := Status(core.StatusSuccess)
		change(&status)
		if _, err := platform.PostStatus(context.Background(), status); !errors.Is(err, platforms.ErrRefused) {
			t.Errorf("%s@%q: want ErrRefused, got %v", status.ProjectName, status.CommitSHA, err)
		}
	}
}

// outcome is what the caller of PostStatus should do about its error.
type outcome string

const (
	retry   outcome = "retry"
	pause   outcome = "pause"
	refused outcome = "refused"
	unknown outcome = "unknown commit"
	denied  outcome = "denied"
	done    outcome = "done"
)

func outcomeOf(err error) outcome {
	var limit *platforms.RateLimited
	var denial *platforms.Denied
	switch {
	case err == nil:
		return done
	case errors.As(err, &limit):
		return pause
	case errors.As(err, &denial):
		return denied
	case errors.Is(err, platforms.ErrRefused):
		return refused
	case errors.Is(err, platforms.ErrUnknownCommit):
		return unknown
	}
	return retry
}

// seen is the status that the platform's errors tell for an answer.
func (s Subject) seen(status int) int {
	if status == http.StatusMovedPermanently && s.KeepsMethods {
		return http.StatusPermanentRedirect
	}
	return status
}

func (s Subject) faults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		header map[string]string
		want   outcome
		wait   time.Duration // of a pause, exactly
	}{
		"429 with seconds":     {429, map[string]string{"Retry-After": "7"}, pause, 7 * time.Second},
		"429 with nothing":     {429, nil, pause, time.Minute},
		"429 with a long wait": {429, map[string]string{"Retry-After": "86400"}, pause, time.Hour},
		"403 with seconds":     {403, map[string]string{"Retry-After": "9"}, pause, 9 * time.Second},
		"403":                  {403, nil, denied, 0},
		"401":                  {401, nil, denied, 0},
		"404 for everything":   {404, nil, denied, 0},
		"400":                  {400, nil, refused, 0},
		"409":                  {409, nil, retry, 0},
		"422":                  {422, nil, refused, 0},
		"500":                  {500, nil, retry, 0},
		"502":                  {502, nil, retry, 0},
		"redirect elsewhere":   {302, map[string]string{"Location": "https://example.invalid/"}, retry, 0},
		"redirect of a POST":   {301, map[string]string{"Location": "/sub/other"}, retry, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := s.postTo(t, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range test.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"message":"you sent ` + Token + strings.Repeat("!", 5000) + `"}`))
			})
			var limit *platforms.RateLimited
			if got := outcomeOf(err); got != test.want {
				t.Fatalf("want %s, got %s: %v", test.want, got, err)
			}
			if code := platforms.CodeOf(err); code != s.seen(test.status) {
				t.Errorf("want the code %d in the error, got %d", s.seen(test.status), code)
			}
			if errors.As(err, &limit) && limit.After != test.wait {
				t.Errorf("want a pause of %s, got %s", test.wait, limit.After)
			}
			if text := err.Error(); strings.Contains(text, Token) || len(text) > 600 {
				t.Errorf("want a short error without the token, got %s", text)
			}
			if text := err.Error(); (test.want == denied || test.want == refused) && !strings.Contains(text, "you sent [token]!") {
				t.Errorf("want the platform's own sentence in the error, got %s", text)
			}
		})
	}
}

// throttled checks that one limit stops all calls: statuses, questions and those of who borrows its client.
func (s Subject) throttled(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(server.Close)
	platform, ctx := s.platform(t, server.URL), t.Context()
	status := Status(core.StatusSuccess)
	status.PipelinePin = "77"
	_, first := platform.PostStatus(ctx, status)
	_, again := platform.PostStatus(ctx, status)
	_, base := platform.(platforms.MergeBaseFinder).MergeBase(ctx, status.ProjectName, "main", SHA)
	_, seen := platform.(platforms.StatusReader).LatestStatus(ctx, status)
	_, files := platform.(platforms.MetadataFetcher).ChangedFiles(ctx, core.Project{Name: status.ProjectName}, SHA, SHA)
	_, hooks := platform.(platforms.HookManager).Hooks(ctx, core.HookTarget{
		Scope: core.ScopeProject, Owner: status.ProjectName}, "https://scanhook.example/webhooks/x")
	_, checked := platform.(platforms.CredentialChecker).CheckCredential(ctx)
	answer, borrowed := platform.(platforms.ClientSharer).HTTPClient().Get(server.URL)
	if borrowed == nil {
		answer.Body.Close()
	}
	for i, err := range []error{first, again, base, seen, files, hooks, checked, borrowed} {
		if got := outcomeOf(err); got != pause {
			t.Errorf("call %d: want %s, got %s: %v", i, pause, got, err)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the platform was called %d times, want once", n)
	}
}

// postTo posts a final status whose pipeline is known, so that exactly one call is made, below a sub-path.
func (s Subject) postTo(t *testing.T, handler http.HandlerFunc) error {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	status := Status(core.StatusSuccess)
	status.PipelinePin = "77"
	_, err := s.platform(t, server.URL+"/sub").PostStatus(t.Context(), status)
	return err
}

// unreadable checks that what an answer does not say is no sign that there is no comment: none is made for it, and the call is worth a retry.
func (s Subject) unreadable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		id    int64
		read  string // what GET answers
		posts int
	}{
		"a known comment, the page of a proxy": {id: 5, read: "<html>"},
		"a known comment, cut":                 {id: 5, read: `{"id":5,"bod`},
		"a known comment, empty":               {id: 5},
		"a known comment, something else":      {id: 5, read: `{}`},
		"a list, the page of a proxy":          {read: "<html>"},
		"a list, cut":                          {read: `[{"id":5,"body":"m"},{"i`},
		"a list, empty":                        {},
		"a list of something else":             {read: `[{"body":"m"}]`},
		"the answer to a new comment":          {read: `[]`, posts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			posts := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, test.read)
					return
				}
				posts++
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "<html>")
			}))
			t.Cleanup(server.Close)
			keeper := s.platform(t, server.URL).(platforms.NoteKeeper)
			kept, err := keeper.KeepNote(t.Context(), core.Project{Name: "acme/widgets"}, 7, platforms.Note{ID: test.id, Marker: "m", Text: "m"})
			if got := outcomeOf(err); got != retry || errors.Is(err, platforms.ErrGone) || posts != test.posts {
				t.Errorf("%+v, %s, %v after %d new comments; want an error that is worth a retry after %d", kept, got, err, posts, test.posts)
			}
		})
	}
}

// unreadableLists checks that an answer that cannot be read is not taken for the end of a list, nor for an empty one.
func (s Subject) unreadableLists(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"the page of a proxy": "<html>", "a list, cut": `[{"id":5,"na`, "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
			t.Cleanup(server.Close)
			platform := s.platform(t, server.URL)
			if base, err := platform.(platforms.MergeBaseFinder).MergeBase(t.Context(), "acme/widgets", "main", SHA); base != "" || err == nil {
				t.Errorf("merge base: want an error, got %q", base)
			}
			if lister, able := platforms.ProjectListerOf(platform); able {
				if found, err := lister.Projects(t.Context()); outcomeOf(err) != retry {
					t.Errorf("projects: want an error that is worth a retry, got %q, %v", found, err)
				}
			}
			if answer == "" {
				return // go-github and go-gitlab read nothing as an empty list
			}
			target := core.HookTarget{Scope: core.ScopeProject, Owner: "acme/widgets"}
			found, err := platform.(platforms.HookManager).Hooks(t.Context(), target, "https://scanhook.example/webhooks/x")
			if outcomeOf(err) != retry {
				t.Errorf("webhooks: want an error that is worth a retry, got %v, %v", found, err)
			}
		})
	}
}

func (s Subject) deadline(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer server.Close()
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := s.platform(t, server.URL).PostStatus(ctx, Status(core.StatusSuccess))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the deadline of the context, got %v", err)
	}
}
