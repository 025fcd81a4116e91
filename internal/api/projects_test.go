package api_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestRefsTellWhereTheyStand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan := b.push(t, 1)
	long := strings.Repeat("b/long/", 40) + "name"
	wide := "a\u00a0wide\u3000space"
	for n, name := range []string{"topic", long, wide} {
		d, p := storetest.PushOf(10+n, storetest.OnBranch(name), func(_ *core.Delivery, p *core.Push) { p.Before = strings.Repeat("0", 40) })
		if _, err := b.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
			t.Fatal(err)
		}
	}
	var got []map[string]any
	for path := "/api/v1/projects/github/Acme%2Fshop/refs?limit=1"; path != "" && len(got) < 9; {
		var page results
		if answer := b.call(t, "triager", "GET", path, "", &page); answer.Code != 200 {
			t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
		}
		got, path = append(got, page.Items...), ""
		if page.Next != "" {
			path = "/api/v1/projects/github/Acme%2Fshop/refs?limit=1&cursor=" + page.Next
		}
	}
	if len(got) != 4 || got[1]["name"] != "refs/heads/"+long || got[2]["name"] != "refs/heads/main" || got[2]["scan"] != scan ||
		got[2]["sha"] != storetest.SHA(1) || got[2]["moved_at"] == nil || got[0]["name"] != "refs/heads/"+wide {
		t.Errorf("refs %+v", got)
	}
	if answer := b.call(t, "triager", "GET", "/api/v1/projects/github/acme%2Fother/refs", "", nil); answer.Code != 404 {
		t.Errorf("an unknown project: %d", answer.Code)
	}
}

// A project answers under the name that it had before it was renamed.
func TestOldNamesAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, _, _ := reported(t, b)
	d, p := storetest.PushOf(2, func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name = "acme/store", "acme/store" })
	if _, err := b.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/api/v1/projects/github/acme%2Fshop/refs": 1, "/api/v1/scans?project=acme/shop": 2,
		"/api/v1/alerts?platform=github&project=acme/shop&state=all": 2,
	} {
		var page results
		if answer := b.call(t, "triager", "GET", path, "", &page); answer.Code != 200 || len(page.Items) != want {
			t.Errorf("%s: %d %s, want %d", path, answer.Code, answer.Body, want)
		}
		if name := page.Items[0]["name"]; strings.Contains(path, "alerts") && !strings.HasPrefix(name.(string), "store#") {
			t.Errorf("the alert is called %s", name)
		}
	}
	var alert map[string]any
	b.call(t, "triager", "GET", "/api/v1/alerts/github/acme%2Fshop/1", "", &alert)
	if alert["project_name"] != "acme/store" || !strings.HasSuffix(scan, alert["first_scan"].(string)) {
		t.Errorf("alert %+v", alert)
	}
}

func TestAlertsOfAProjectAsDocuments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	if answer := b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"TP","reason":"wont_fix","comments":"=not now"}`, nil); answer.Code >= 300 {
		t.Fatalf("deciding: %d %s", answer.Code, answer.Body)
	}
	const path = "/api/v1/projects/github/acme%2Fshop"
	answer := b.call(t, "triager", "GET", path+"/alerts/csv", "", nil)
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil || len(rows) != 3 || answer.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatalf("table: %d %v, %v", answer.Code, rows, err)
	}
	var list []map[string]any
	if answer := b.call(t, "triager", "GET", path+"/alerts/json", "", &list); answer.Code != 200 || len(list) != 2 {
		t.Fatalf("list: %d %v", answer.Code, list)
	}
	decided := 0
	for i, row := range rows[1:] {
		cells := map[string]string{}
		for n, column := range rows[0] {
			cells[column] = row[n]
		}
		if object := list[i]; cells["alert"] != object["name"] || cells["url"] != object["url"] || cells["severity"] != object["severity"] {
			t.Errorf("the table has %v, the list %v", cells, object)
		}
		if cells["reason"] == "wont_fix" {
			decided++
			if cells["comments"] != "'=not now" || list[i]["comments"] != "=not now" || cells["decided_by"] != "ada" {
				t.Errorf("the decision is %v and %v", cells, list[i])
			}
		}
	}
	if decided != 1 {
		t.Errorf("%d alerts are decided on, want 1", decided)
	}
	for _, format := range []string{"/alerts/csv", "/alerts/json"} {
		if answer := b.call(t, "triager", "GET", "/api/v1/projects/github/acme%2Fother"+format, "", nil); answer.Code != 404 {
			t.Errorf("an unknown project: %d", answer.Code)
		}
	}
}

func TestAProjectIsDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan := b.push(t, 1)
	const path = "/api/v1/projects/github/acme%2Fshop"
	if answer := b.call(t, "triager", "DELETE", path, "", nil); answer.Code != 403 {
		t.Errorf("by a triager: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "admin", "DELETE", path, "", nil); answer.Code != 202 {
		t.Fatalf("by an admin: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "admin", "DELETE", path, "", nil); answer.Code != 404 {
		t.Errorf("once more: %d %s", answer.Code, answer.Body)
	}
	if got := b.audit(t); !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "project deleted") }) {
		t.Errorf("the audit has %q", got)
	}
	for n := 0; ; n++ {
		if worked, _, err := b.store.Removal().Step(t.Context()); err != nil || n > 50 {
			t.Fatal(n, err)
		} else if !worked {
			break
		}
	}
	if answer := b.call(t, "admin", "GET", "/api/v1/scans/"+scan, "", nil); answer.Code != 404 {
		t.Errorf("its scan: %d %s", answer.Code, answer.Body)
	}
}
