package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store/storetest"
)

func TestScansAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/"), "No scans yet", "/webhooks/github")
	for n := range 60 {
		delivery, push := storetest.PushOf(n+1, storetest.OnBranch(fmt.Sprintf("b%d", n%2)))
		if _, err := s.store.Accept(t.Context(), storetest.With(delivery, push)); err != nil {
			t.Fatal(err)
		}
	}
	first := s.page("/")
	if n := strings.Count(first, "/hooks/scans/"); n != 50 || strings.Contains(first, `rel="prev"`) {
		t.Errorf("%d scans on the first page", n)
	}
	second := s.page("/" + link(t, first, "next"))
	if n := strings.Count(second, "/hooks/scans/"); n != 10 || strings.Contains(second, `rel="next"`) {
		t.Errorf("%d scans on the second page", n)
	}
	back := s.page("/" + link(t, second, "prev"))
	if n := strings.Count(back, "/hooks/scans/"); n != 50 || link(t, back, "next") != link(t, first, "next") {
		t.Errorf("the page before the second is not the first one:\n%s", back)
	}
	middle := s.page("/?after=5&platform=github")
	if link(t, middle, "prev") != "?platform=github&after=55" || link(t, middle, "next") != "?platform=github&before=6" {
		t.Errorf("a page in the middle:\n%s", middle)
	}
	contains(t, s.page("/?before=1"), "No scan matches", `href="?">Newest`)
	if n := strings.Count(s.page("/?branch=b1&platform=github&project=acme/shop&status=pending"), "/hooks/scans/"); n != 30 {
		t.Errorf("%d scans of one branch", n)
	}
	contains(t, s.page("/?verdict=fail&status=nonsense&before=x"), "No scan matches", "Show all")
}

func TestFirstPageHasAnOverview(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/"), "no webhook has called yet", "0 open scans")
	s.scanned(1, finding())
	s.scanned(2)
	contains(t, s.page("/"), "last webhook call", "1 open scan<", "2 commit statuses on the way", "/projects?failing=yes")
	lacks(t, s.page("/?branch=main"), "last webhook call")
}
