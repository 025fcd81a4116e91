package gitlab_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

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
			_, err := newPlatform(t, platforms.Config{URL: server.URL, Token: "the-token"}).PostStatus(t.Context(), status)
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
