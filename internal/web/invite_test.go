package web_test

import (
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/web"
)

// An invitation logs in once, here, and nobody by asking for its head.
func TestInvitationLogsInOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	local := func(r *http.Request) { r.RemoteAddr = "127.0.0.1:4711" }
	invite := func() string {
		return s.pages.Invite(web.Token{Name: "ada", Token: token, Role: "viewer"}, "/projects")[len("/hooks"):]
	}
	link := invite()
	if answer := s.ask(link, nil); answer.Code != http.StatusNotFound || s.cookie != "" {
		t.Errorf("from elsewhere: %d", answer.Code)
	}
	if answer := s.ask(link, nil, local); answer.Header().Get("Location") != "/hooks/projects" || s.cookie == "" {
		t.Fatalf("from here: %d to %s", answer.Code, answer.Header().Get("Location"))
	}
	contains(t, s.page("/projects"), "ada", "Log out")
	for _, used := range []string{link, "/login/once/", "/login/once/x"} {
		if answer := s.ask(used, nil, local); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", used, answer.Code)
		}
	}
	known := func(cookie string) bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://platform.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: cookie})
		return s.pages.Knows(request)
	}
	if !known(s.cookie) || known("x") || known("") {
		t.Error("who is logged in is not who is known")
	}
}
