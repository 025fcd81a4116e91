package api_test

import (
	"fmt"
	"net/http"
	"strings"
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
	b.call(t, "triager", "GET", high, "", &f)
	address := fmt.Sprintf("/api/v1/alerts/github/acme%%2Fshop/%d", f.Alert)
	var open alertAnswer
	if answer := b.call(t, "triager", "GET", address, "", &open); answer.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", address, answer.Code, answer.Body)
	}
	if open.Number != f.Alert || open.Name != fmt.Sprintf("shop#%d", f.Alert) || open.State != "open" || open.FirstScan == nil ||
		*open.FirstScan != f.Scan || open.Finding == nil || *open.Finding != f.ID || open.DecidedBy != nil || len(open.History) != 0 {
		t.Errorf("open: %+v", open)
	}
	if len(open.OpenAt) != 1 || open.OpenAt[0].Ref != "refs/heads/main" || *open.OpenAt[0].Scan != f.Scan {
		t.Errorf("open at %+v", open.OpenAt)
	}
	b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"FP","comments":"a test key"}`, nil)
	var dismissed alertAnswer
	b.call(t, "triager", "GET", address, "", &dismissed)
	if dismissed.State != "dismissed" || dismissed.DecidedBy == nil || dismissed.DecidedBy.Author != "ada" ||
		dismissed.TriageDecision == nil || *dismissed.TriageDecision != "FP" || len(dismissed.OpenAt) != 0 ||
		len(dismissed.History) != 1 || dismissed.History[0]["comment"] != "a test key" {
		t.Errorf("dismissed: %+v", dismissed)
	}
	for path, want := range map[string]int{
		"/api/v1/alerts/github/acme%2Fshop/99": 404, "/api/v1/alerts/github/acme%2Fnone/1": 404, "/api/v1/alerts/github/acme%2Fshop/0": 422,
	} {
		if answer := b.call(t, "triager", "GET", path, "", nil); answer.Code != want {
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
		if answer := b.call(t, "triager", "GET", "/api/v1/alerts?platform=github&project=acme/shop"+query, "", &got); answer.Code != http.StatusOK {
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
	b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"FP"}`, nil)
	for query, want := range map[string]int{
		"&state=open": 1, "&state=dismissed": 1, "&state=fixed": 0, "&state=branch": 0, "&state=all": 2, "&state=all&severity=High": 1,
		"&state=all&age=day": 2, "&state=all&age=older": 0, "&state=all&q=no such text": 0, "&state=all&kev=true": 0, "&state=all&sort=severity": 2,
	} {
		if got := list(strings.ReplaceAll(query, " ", "%20")); len(got.Items) != want {
			t.Errorf("%s: %+v, want %d", query, got.Items, want)
		}
	}
	for query, want := range map[string]int{
		"?platform=github": 422, "?platform=github&project=acme/none": 200, "?platform=github&project=acme/shop&state=new": 422,
		"": 200, "?cursor=x": 422,
	} {
		if answer := b.call(t, "triager", "GET", "/api/v1/alerts"+query, "", nil); answer.Code != want {
			t.Errorf("%s: %d %s, want %d", query, answer.Code, answer.Body, want)
		}
	}
}

func TestCountAlerts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reported(t, b)
	var got struct {
		Total    struct{ N int }
		Severity []struct {
			Name string
			N    int
		}
		Project []struct {
			Name     string
			Platform string `json:"source_platform"`
			N        int
		}
	}
	if answer := b.call(t, "triager", "GET", "/api/v1/alert-facets", "", &got); answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	if got.Total.N != 2 || len(got.Severity) != 2 || got.Severity[0].Name != "High" || got.Severity[0].N != 1 || len(got.Project) != 1 ||
		got.Project[0].Name != "acme/shop" || got.Project[0].Platform != "github" || got.Project[0].N != 2 {
		t.Errorf("%+v", got)
	}
}

// decided is the answer of a decision on several alerts.
type decided struct {
	Batch, Next string
	Done, Left  int
}

func TestDecideAlertsTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reported(t, b)
	var all, undone decided
	answer := b.call(t, "triager", "POST", "/api/v1/alert-decisions", `{"user_verdict":"FP","comments":"fixtures"}`, &all)
	if answer.Code != http.StatusOK || all.Done != 2 || all.Left != 0 || all.Next != "" || all.Batch == "" {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	count := func(query string) int {
		var list results
		b.call(t, "triager", "GET", "/api/v1/alerts"+query, "", &list)
		return len(list.Items)
	}
	if open, dismissed := count(""), count("?state=dismissed"); open != 0 || dismissed != 2 {
		t.Errorf("%d open, %d dismissed", open, dismissed)
	}
	if answer := b.call(t, "admin", "POST", "/api/v1/alert-decisions", `{"user_verdict":"TP","batch":"`+all.Batch+`"}`, nil); answer.Code != http.StatusConflict {
		t.Errorf("somebody else joins the batch: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "triager", "DELETE", "/api/v1/alert-decisions/"+all.Batch, "", &undone); answer.Code != http.StatusOK ||
		undone.Done != 2 || undone.Left != 0 || count("") != 2 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	for body, want := range map[string]int{`{"user_verdict":"no"}`: 422, `{"user_verdict":"TP","alerts":[7]}`: 200, `{"user_verdict":"TP","next":"x"}`: 422} {
		if answer := b.call(t, "triager", "POST", "/api/v1/alert-decisions", body, nil); answer.Code != want {
			t.Errorf("%s: %d %s", body, answer.Code, answer.Body)
		}
	}
}
