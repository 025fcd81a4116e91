package github_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// A project that was moved away from Mallory is reached by its old name for ever. Where only the name is known, perhaps
// because it was Mallory who said it, the status must not arrive at its new owner's.
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
		platform := newPlatform(t, github.Config{APIURL: server.URL, Token: "the-token"})
		status := platformtest.Status(core.StatusSuccess)
		status.ProjectRef = ref
		_, err := platform.PostStatus(t.Context(), status)
		server.Close()
		if arrived != want || (err == nil) != want {
			t.Errorf("number %q: want it to arrive %t, got %t, %v", ref, want, arrived, err)
		}
	}
}
