package api_test

import (
	"fmt"
	"net/http"
	"testing"
)

// alertAnswer is the answer of the endpoint of one alert.
type alertAnswer struct {
	Number         int
	Name, State    string
	RuleID         string  `json:"rule_id"`
	FirstScan      *string `json:"first_scan"`
	LastScan       *string `json:"last_scan"`
	Finding        *int64
	TriageDecision *string `json:"triage_decision"`
	OpenAt         []struct {
		Ref  string
		Scan *string
	} `json:"open_at"`
	DecidedBy *struct{ Author string } `json:"decided_by"`
	History   []map[string]any
}

func TestAlertOfAFinding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	var f struct {
		ID    int64
		Alert int
		Scan  string
	}
	b.call(t, "viewer", "GET", high, "", &f)
	address := fmt.Sprintf("/api/v1/alerts/github/acme%%2Fshop/%d", f.Alert)
	var open alertAnswer
	if answer := b.call(t, "viewer", "GET", address, "", &open); answer.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", address, answer.Code, answer.Body)
	}
	if open.Number != f.Alert || open.Name != fmt.Sprintf("shop#%d", f.Alert) || open.State != "open" || open.FirstScan == nil ||
		*open.FirstScan != f.Scan || open.Finding == nil || *open.Finding != f.ID || open.DecidedBy != nil || len(open.History) != 0 {
		t.Errorf("open: %+v", open)
	}
	if len(open.OpenAt) != 1 || open.OpenAt[0].Ref != "refs/heads/main" || *open.OpenAt[0].Scan != f.Scan {
		t.Errorf("open at %+v", open.OpenAt)
	}
	b.call(t, "viewer", "POST", high+"/feedback", `{"user_verdict":"FP","comments":"a test key"}`, nil)
	var dismissed alertAnswer
	b.call(t, "viewer", "GET", address, "", &dismissed)
	if dismissed.State != "dismissed" || dismissed.DecidedBy == nil || dismissed.DecidedBy.Author != "reader" ||
		dismissed.TriageDecision == nil || *dismissed.TriageDecision != "FP" || len(dismissed.OpenAt) != 0 ||
		len(dismissed.History) != 1 || dismissed.History[0]["comment"] != "a test key" {
		t.Errorf("dismissed: %+v", dismissed)
	}
	for path, want := range map[string]int{
		"/api/v1/alerts/github/acme%2Fshop/99": 404, "/api/v1/alerts/github/acme%2Fnone/1": 404, "/api/v1/alerts/github/acme%2Fshop/0": 422,
	} {
		if answer := b.call(t, "viewer", "GET", path, "", nil); answer.Code != want {
			t.Errorf("%s: %d %s, want %d", path, answer.Code, answer.Body, want)
		}
	}
}

func TestListAlerts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	list := func(query string) (got results) {
		t.Helper()
		if answer := b.call(t, "viewer", "GET", "/api/v1/alerts?platform=github&project=acme/shop"+query, "", &got); answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, answer.Code, answer.Body)
		}
		return got
	}
	all := list("")
	if len(all.Items) != 2 || all.Items[0]["number"] != 2.0 || all.Items[1]["name"] != "shop#1" {
		t.Errorf("open: %+v", all.Items)
	}
	first := list("&limit=1")
	if second := list("&limit=1&cursor=" + first.Next); len(second.Items) != 1 || second.Items[0]["number"] != 1.0 || second.Next != "" {
		t.Errorf("the second page: %+v", second)
	}
	b.call(t, "viewer", "POST", high+"/feedback", `{"user_verdict":"FP"}`, nil)
	for state, want := range map[string]int{"open": 1, "dismissed": 1, "fixed": 0, "all": 2} {
		if got := list("&state=" + state); len(got.Items) != want {
			t.Errorf("%s: %+v, want %d", state, got.Items, want)
		}
	}
	for query, want := range map[string]int{
		"?platform=github": 422, "?platform=github&project=acme/none": 200, "?platform=github&project=acme/shop&state=new": 422,
	} {
		if answer := b.call(t, "viewer", "GET", "/api/v1/alerts"+query, "", nil); answer.Code != want {
			t.Errorf("%s: %d %s, want %d", query, answer.Code, answer.Body, want)
		}
	}
}
