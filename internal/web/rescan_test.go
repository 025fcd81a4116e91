package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
)

// A scan that failed can be had again by one click, of whoever may have commits scanned.
func TestScanAgain(t *testing.T) {
	t.Parallel()
	for role, may := range map[string]bool{"viewer": false, "scanner": true, "admin": true} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *web.Config) { cfg.Tokens = []web.Token{{Name: "ada", Token: token, Role: role}} })
			failed, err := s.store.PutReport(t.Context(), s.scanned(1).ReferenceID, "gitleaks", core.Report{Failure: "out of memory"})
			if err != nil {
				t.Fatal(err)
			}
			address := "/scans/" + failed.ReferenceID
			if strings.Contains(s.page(address), "Scan again") || s.ask(address+"/rescan", url.Values{}).Code == http.StatusSeeOther &&
				strings.HasPrefix(s.ask(address+"/rescan", url.Values{}).Header().Get("Location"), "/hooks/scans/") {
				t.Error("a stranger may scan again")
			}
			s.login()
			if got := strings.Contains(s.page(address), "Scan again"); got != may {
				t.Errorf("the button is there: %t, want %t", got, may)
			}
			answer := s.ask(address+"/rescan", url.Values{})
			to, scans := strings.CutPrefix(answer.Header().Get("Location"), "/hooks/scans/")
			if !may {
				if answer.Code != http.StatusForbidden {
					t.Errorf("answered %d, want 403", answer.Code)
				}
				return
			}
			if answer.Code != http.StatusSeeOther || !scans {
				t.Fatalf("answered %d to %q", answer.Code, answer.Header().Get("Location"))
			}
			if again, err := s.store.GetScan(t.Context(), to); err != nil || again.Attempt != 2 || again.CommitSHA != failed.CommitSHA {
				t.Errorf("the new scan is %+v, %v", again, err)
			}
			if strings.Contains(s.page("/scans/"+to), "Scan again") {
				t.Error("the button is there while the scan waits")
			}
		})
	}
}
