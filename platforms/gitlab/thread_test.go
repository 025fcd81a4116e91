package gitlab_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
	"github.com/scanhook/scanhook/platforms"
)

// shownThreads are those of merge request 7, as FILE:LINE with a plus for a resolved one.
func shownThreads(t *testing.T, w mergeWorld) (list []string, ids []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/api/v4/projects/acme%2Fwidgets/merge_requests/7/discussions", http.NoBody)
	r.Header.Set("Private-Token", "the-token")
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	var found []struct {
		ID    string
		Notes []struct {
			Resolved bool
			Position struct {
				File string `json:"new_path"`
				Line int    `json:"new_line"`
			}
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &found); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	for _, one := range found {
		mark := map[bool]string{true: "+"}[one.Notes[0].Resolved]
		list, ids = append(list, fmt.Sprintf("%s:%d%s", one.Notes[0].Position.File, one.Notes[0].Position.Line, mark)), append(ids, one.ID)
	}
	return list, ids
}

// Threads are begun once each, resolved when they are not wanted any more, and opened again when they are.
func TestThreadsAreKept(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fail := ""
	w := startFaultyWorld(t, sample, func(r *http.Request) *fakeforge.Fault {
		if method, path, _ := strings.Cut(fail, " "); fail != "" && r.Method == method && strings.HasSuffix(r.URL.Path, path) {
			fail = ""
			return &fakeforge.Fault{Status: http.StatusBadGateway}
		}
		return nil
	})
	_, err = w.BuildRequest(fakeforge.RequestSpec{Project: "acme/widgets", Number: 7, Branch: "topic", Head: sample.Head, Action: "opened"})
	if err != nil {
		t.Fatal(err)
	}
	a := platforms.Thread{Key: "1", File: "a.go", Line: 3, Text: "**High** `a`"}
	b := platforms.Thread{Key: "2", File: "b.go", Line: 4, Text: "**High** `b`"}
	outside := platforms.Thread{Key: "3", File: "c.go", Line: 501, Text: "**High** `c`"}
	keepAll := func(threads platforms.Threads) error {
		return w.KeepThreads(t.Context(), core.Project{Name: "acme/widgets"}, 7, sample.Head, threads)
	}
	keep := func(threads ...platforms.Thread) error {
		still := map[string]bool{}
		for _, one := range threads {
			still[one.Key] = true
		}
		return keepAll(platforms.Threads{Wanted: threads, Still: still, All: true})
	}
	shows := func(when string, want ...string) {
		t.Helper()
		if got, _ := shownThreads(t, w); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	expect := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	expect(keep())
	shows("nothing is new")
	fail = "POST /discussions"
	if err := keep(a, outside, b); err == nil {
		t.Error("a failure is none")
	}
	expect(keep(a, outside, b))
	expect(keep(a, outside, b))
	shows("three are new, one of them on no line of the change", "a.go:3", "b.go:4")
	expect(keepAll(platforms.Threads{Wanted: []platforms.Thread{b}, Still: map[string]bool{"1": true, "2": true}, All: true}))
	expect(keepAll(platforms.Threads{Wanted: []platforms.Thread{b}, Still: map[string]bool{"2": true}}))
	shows("one counts though it is not wanted, or may count", "a.go:3", "b.go:4")
	expect(keep(b))
	shows("one is fixed", "a.go:3+", "b.go:4")
	moved := a
	moved.Line = 9
	expect(keep(moved, b))
	shows("it came again", "a.go:3", "b.go:4")
	if err := w.KeepThreads(t.Context(), core.Project{Name: "acme/widgets"}, 7, sample.Before,
		platforms.Threads{Wanted: []platforms.Thread{{Key: "9", File: "z.go", Line: 1, Text: "z"}}}); !errors.Is(err, platforms.ErrTooEarly) {
		t.Errorf("of another head: %v", err)
	}
	expect(keep())
	shows("all are fixed", "a.go:3+", "b.go:4+")
}

func TestThreadsTakeAToken(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	if err := platform.KeepThreads(t.Context(), core.Project{Name: "acme/widgets"}, 7, "", platforms.Threads{}); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}
