package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

func TestFeedbackTurnsTheVerdict(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding())
	first := s.firstNew(scan)
	say := func(verdict string) string {
		answer := s.ask(fmt.Sprintf("/findings/%d/feedback", first.ID), url.Values{
			"verdict": {verdict}, "comments": {"<i>a fixture</i>"}, "back": {"/hooks/scans/" + scan.ReferenceID + "?page=1"},
		})
		if answer.Code != http.StatusSeeOther {
			t.Fatalf("feedback: %d %s", answer.Code, answer.Body)
		}
		location := answer.Header().Get("Location")
		if !strings.HasSuffix(location, fmt.Sprintf("#finding-%d", first.ID)) {
			t.Errorf("it leads to %s", location)
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(location, "/hooks"), "#")
		return s.page(path)
	}
	contains(t, say("FP"), "Passed", "0 new, 1 dismissed", "as a false positive. <span class=\"now\">The scan is now <b>passed</b>", "scanhook: success",
		"On its way to github.", "History (1)", "<bdi>ada</bdi>", "&lt;i&gt;a fixture")
	contains(t, say("TP"), "Failed", "1 new (1 high)", "History (2)", "as real. <span class=\"now\">The scan is now <b>failed</b>")
	if answer := s.ask("/findings/1/feedback", url.Values{"verdict": {"maybe"}}); answer.Code != http.StatusBadRequest {
		t.Errorf("a strange verdict: %d", answer.Code)
	}
}

// A decision is undone on the page where it was made, and only the one that the page showed.
func TestDecisionIsUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding())
	say := func(verdict core.Triage) int64 {
		after, err := s.store.RecordFeedback(t.Context(), core.Feedback{FindingID: 1, UserVerdict: verdict, Author: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		return after.Decision.ID
	}
	undo := func(word int64) string {
		answer := s.ask("/findings/1/undo", url.Values{
			"decision": {fmt.Sprint(word)}, "comments": {"by mistake"}, "back": {"/hooks/scans/" + scan.ReferenceID},
		})
		path, _, _ := strings.Cut(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"), "#")
		return s.page(path)
	}
	older, word := say(core.TruePositive), say(core.FalsePositive)
	page := s.page("/scans/" + scan.ReferenceID + "?show=dismissed")
	contains(t, page, fmt.Sprintf(`name="decision" value="%d"`, word), "Undo “false positive” by <bdi>bob</bdi>")
	contains(t, undo(older), "Nothing was withdrawn", "Passed", "Undo “false positive” by <bdi>bob</bdi>")
	page = undo(word)
	contains(t, page, "You withdrew the decision.", "Failed", "1 new (1 high)", "withdrew a decision, now undecided", "by mistake")
	lacks(t, page, "Undo “")
	contains(t, undo(word), "Nothing was withdrawn", "Failed")
	if answer := s.ask("/findings/1/undo", url.Values{}); answer.Code != http.StatusBadRequest {
		t.Errorf("undoing without a decision: %d", answer.Code)
	}
	if strings.Contains(page, `<input id="comment`) {
		t.Error("Enter in a comment submits the form")
	}
}

// A reason is chosen without JavaScript, and stands on the card, in the history and on the alert's page.
func TestFindingIsDismissedForAReason(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding())
	first := s.firstNew(scan)
	card := fmt.Sprintf("/findings/%d/feedback", first.ID)
	for _, form := range []url.Values{
		{"verdict": {"dismiss"}}, {"verdict": {"dismiss"}, "reason": {"boredom"}},
		{"verdict": {"dismiss"}, "reason": {"accepted_risk"}, "until": {"soon"}},
		{"verdict": {"dismiss"}, "reason": {"accepted_risk"}, "until": {"2020-01-01"}},
	} {
		if answer := s.ask(card, form); answer.Code != http.StatusBadRequest {
			t.Errorf("%v: %d", form, answer.Code)
		}
	}
	say := func(reason, until string) string {
		answer := s.ask(card, url.Values{"verdict": {"dismiss"}, "reason": {reason}, "until": {until}, "back": {"/hooks/scans/" + scan.ReferenceID}})
		if answer.Code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", reason, answer.Code, answer.Body)
		}
		path, _, _ := strings.Cut(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"), "#")
		return s.page(path)
	}
	contains(t, say("revoked", ""), "0 new, 1 dismissed", "You dismissed this finding: revoked.", "→ revoked", "Undo “revoked”")
	day := time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)
	contains(t, say("accepted_risk", day), "Passed", "You dismissed this finding: accepted risk.", "→ accepted risk until "+day,
		`<span class="badge">accepted risk until `+day, "Undo “accepted risk until "+day)
	contains(t, say("accepted_risk", ""), "accepted risk until "+time.Now().UTC().AddDate(0, 0, 90).Format(time.DateOnly))
	contains(t, s.page(fmt.Sprintf("/alerts/github/%s/%d", scan.ProjectName, first.AlertNumber)), "accepted risk until", "says person")
	contains(t, s.page("/alerts?state=dismissed"), `<bdi>accepted risk</bdi>`, "reason=accepted_risk")
}

// The form of what is Critical asks for a comment before it dismisses, without JavaScript, and so does the server; in lists, all or none is
// dismissed.
func TestCriticalFindingIsDismissedWithAComment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	scan := s.scanned(1, finding(func(f *core.Finding) { f.Severity = core.Critical }), finding(func(f *core.Finding) { f.RuleID, f.Snippet = "other", "OTHER" }))
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "Why? (needed to dismiss it)", "Why? (optional)", `value="TP" formnovalidate`)
	if n := strings.Count(page, `autocomplete="off" required>`); n != 1 {
		t.Errorf("%d forms need a comment, want 1", n)
	}
	contains(t, s.page("/alerts"), "needed for critical and exploited ones")
	card := fmt.Sprintf("/findings/%d/feedback", s.firstNew(scan).ID)
	for address, form := range map[string]url.Values{
		card:             {"verdict": {"dismiss"}, "reason": {"wont_fix"}, "comments": {"\r\n"}},
		"/alerts/decide": {"verdict": {"FP"}, "all": {"yes"}, "filter": {"state=open"}},
	} {
		answer := s.ask(address, form)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "with a comment only") {
			t.Errorf("%s without a comment: %d %s", address, answer.Code, answer.Body)
		}
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "2 new (1 critical, 1 high)")
	if answer := s.ask(card, url.Values{"verdict": {"TP"}}); answer.Code != http.StatusSeeOther {
		t.Errorf("real, without a comment: %d", answer.Code)
	}
}

// Where two people dismiss a finding, the second one sees on a page what waits, and approves or refuses it on the finding's card.
func TestASecondPersonApproves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	medium := finding()
	medium.Severity = core.Medium
	scan := s.scanned(1, medium)
	first := s.firstNew(scan)
	propose := func(who string) int64 {
		after, err := s.store.RecordFeedback(t.Context(), core.Feedback{
			FindingID: first.ID, UserVerdict: core.FalsePositive, Author: who, Comments: "<i>a fixture</i>",
		})
		if err != nil || after.Waiting == nil {
			t.Fatal(after, err)
		}
		return after.Waiting.ID
	}
	send := func(action string, proposal int64) string {
		answer := s.ask(fmt.Sprintf("/findings/%d/%s", first.ID, action), url.Values{
			"proposal": {fmt.Sprint(proposal)}, "back": {"/hooks/scans/" + scan.ReferenceID + "?show=all"},
		})
		path, _, _ := strings.Cut(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"), "#")
		if answer.Code != http.StatusSeeOther {
			return answer.Body.String()
		}
		return s.page(path)
	}
	contains(t, s.page("/approvals"), "Nothing waits")
	older := propose("bob")
	contains(t, s.page("/alerts"), "Dismissals wait for a second person")
	contains(t, s.page("/approvals"), "<bdi>bob</bdi>", "false positive", "&lt;i&gt;a fixture", "/alerts/github/acme/shop/1")
	contains(t, s.page("/scans/"+scan.ReferenceID), "proposed to dismiss it", "Approve</button>", "Refuse</button>", "1 new (1 medium)")
	contains(t, send("refuse", older), "waits no more", "1 new (1 medium)", "ended that a dismissal waits")
	contains(t, send("approve", older), "no longer holds", "1 new (1 medium)")
	contains(t, send("approve", propose("bob")), "You approved the dismissal", "0 new, 1 dismissed", "which <b><bdi>bob</bdi></b> had proposed")
	lacks(t, s.page("/alerts"), "wait for a second person")

	answer := s.ask(fmt.Sprintf("/findings/%d/feedback", first.ID), url.Values{"verdict": {"TP"}})
	if answer.Code != http.StatusSeeOther {
		t.Fatal(answer.Code, answer.Body)
	}
	answer = s.ask(fmt.Sprintf("/findings/%d/feedback", first.ID), url.Values{"verdict": {"FP"}, "back": {"/hooks/scans/" + scan.ReferenceID}})
	path, _, _ := strings.Cut(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"), "#")
	page := s.page(path)
	contains(t, page, "You proposed to dismiss this finding", "Take it back</button>", "1 new (1 medium)")
	lacks(t, page, "Approve</button>")
	found, err := s.store.GetFinding(t.Context(), first.ID)
	if err != nil || found.Waiting == nil {
		t.Fatal(found.Waiting, err)
	}
	contains(t, send("approve", found.Waiting.ID), "a second person has to approve it")
	contains(t, send("refuse", found.Waiting.ID), "waits no more")
}
