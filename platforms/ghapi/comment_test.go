package ghapi_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// What an answer does not say is no sign that there is no comment: none is made for it, and the call is worth a retry.
func TestKeepNoteBelievesNoAnswerThatItCannotRead(t *testing.T) {
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
			platform := newPlatform(t, platforms.Config{APIURL: server.URL, Token: "the-token"})
			kept, err := platform.KeepNote(t.Context(), core.Project{Name: "acme/widgets"}, 7, platforms.Note{ID: test.id, Marker: "m", Text: "m"})
			if err == nil || errors.Is(err, platforms.ErrRefused) || errors.Is(err, platforms.ErrGone) || posts != test.posts {
				t.Errorf("%+v, %v after %d new comments; want an error that is worth a retry after %d", kept, err, posts, test.posts)
			}
		})
	}
}
