package web_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestCommitIsExplainedInOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	page := s.page("/explain/" + scan.CommitSHA[:8])
	at := 0
	for _, text := range []string{"announced &#34;push&#34; with a valid signature: scan_created", "opened (push, attempt 1)",
		"gitleaks delivered its report; findings: 1, fixed: 0", "Verdict as it stands: fail by fail_on: high", "scanhook should show failure: 1 new (1 high); not posted yet"} {
		i := strings.Index(page[at:], text)
		if i < 0 {
			t.Fatalf("%q does not follow", text)
		}
		at += i
	}
	if answer := s.ask("/explain?sha=%3Cb%3E", nil); answer.Header().Get("Location") != "/hooks/explain/%3Cb%3E" {
		t.Errorf("the form leads to %s", answer.Header().Get("Location"))
	}
	for path, want := range map[string]int{
		"/explain/%3Cb%3E": http.StatusBadRequest, "/explain/abc": http.StatusBadRequest, "/explain/abcdef0123": http.StatusNotFound,
	} {
		if answer := s.ask(path, nil); answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
}
