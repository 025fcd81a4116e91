package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

type bench struct {
	store     *store.Store
	platforms platforms.Set
	handler   http.Handler
}

// configured are a scanner that runs here and some whose reports are uploaded.
var configured = core.Scanners{
	"gitleaks": core.RunsHere, "linter": core.Uploaded, "semgrep": core.Uploaded, "trivy": core.Uploaded,
}

func setup(t testing.TB, scanners ...string) *bench {
	t.Helper()
	return setupOn(t, storetest.Engines[0], scanners...)
}

func setupOn(t testing.TB, e storetest.Engine, scanners ...string) *bench {
	t.Helper()
	policy := storetest.Policy
	policy.Scanners = scanners
	b := &bench{
		store: e.Open(t, store.Config{
			Policies: core.Policies{{Match: "github/acme/*", Policy: policy}}, Scanners: configured,
		}),
		platforms: platforms.Set{"github": mergeBases{}},
	}
	log := slog.New(slog.DiscardHandler)
	router := httpx.NewRouter(log)
	api.New(api.Config{Store: b.store, Version: "test", Log: log, Platforms: b.platforms, Tokens: []api.Token{
		{Name: "reader", Token: "viewer-token", Role: api.Viewer},
		{Name: "ci", Token: "scanner-token", Role: api.Scanner},
		{Name: "root", Token: "admin-token", Role: api.Admin},
	}}).Register(router)
	b.handler = router
	return b
}

func (b *bench) push(t testing.TB, n int) string {
	t.Helper()
	d, p := storetest.PushOf(n)
	receipt, err := b.store.AcceptPush(t.Context(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Reference
}

// call sends a request with a role's token and decodes the answer into out.
func (b *bench) call(t testing.TB, role, method, path, body string, out any, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if role != "" {
		request.Header.Set("Authorization", "Bearer "+role+"-token")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	if out != nil && recorder.Code < 400 {
		if err := json.Unmarshal(recorder.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, recorder.Code, recorder.Body)
		}
	}
	return recorder
}

// detail is the sentence of a problem document.
func detail(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	var problem struct{ Detail string }
	if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%d is no problem document: %s", answer.Code, answer.Body)
	}
	return problem.Detail
}

type results struct {
	Scan, Status, Summary    string
	Verdict                  *string
	Results, Stored, Skipped int
	New, Unchanged           int
	WaitingFor               []string `json:"waiting_for"`
	Items                    []map[string]any
	Next                     string
	ReferenceID              string `json:"reference_id"`
	Jobs, Statuses           []map[string]any
}

const report = `{"findings":[{"rule_id":"a","file":"x.go","line":1,"severity":"high"},
	{"rule_id":"b","file":"x.go","line":2,"severity":"low"}]}`

func TestRoles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ref := b.push(t, 1)
	cases := []struct {
		role, method, path string
		want               int
	}{
		{"", "GET", "/api/v1/scans", 401},
		{"wrong", "GET", "/api/v1/scans", 401},
		{"viewer", "GET", "/api/v1/scans", 200},
		{"viewer", "PUT", "/api/v1/scans/" + ref + "/results/x", 403},
		{"scanner", "DELETE", "/api/v1/scans/" + ref, 403},
		{"admin", "DELETE", "/api/v1/scans/" + ref, 204},
		{"admin", "GET", "/api/v1/scans/" + ref, 404},
		{"", "GET", "/healthz", 200},
		{"", "GET", "/readyz", 200},
		{"", "GET", "/docs", 200},
		{"", "GET", "/openapi.json", 200},
		{"", "GET", "/nowhere", 404},
		{"", "DELETE", "/healthz", 405},
	}
	for _, c := range cases {
		got := b.call(t, c.role, c.method, c.path, "", nil)
		if got.Code != c.want {
			t.Errorf("%s %s as %q: %d, want %d", c.method, c.path, c.role, got.Code, c.want)
		}
		if got.Code >= 400 && got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s is no problem document", c.method, c.path, got.Header().Get("Content-Type"))
		}
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy", "semgrep")
	path := "/api/v1/scans/" + b.push(t, 1) + "/results/"
	var got results
	b.call(t, "scanner", "PUT", path+"trivy", report, &got)
	if got.Results != 2 || got.Stored != 2 || got.New != 2 || got.Status != "processing" || len(got.WaitingFor) != 1 {
		t.Errorf("first of two reports: %+v", got)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	fmt.Fprint(zip, `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"semgrep"}},"results":[]}]}`)
	_ = zip.Close()
	b.call(t, "scanner", "PUT", path+"semgrep", packed.String(), &got, "Content-Encoding", "gzip")
	if got.Status != "completed" || got.Verdict == nil || *got.Verdict != "fail" || got.Summary != "2 new (1 high, 1 low)" {
		t.Errorf("both reports: %+v", got)
	}
	for name, c := range map[string]struct {
		scanner, body string
		header        []string
		want          int
	}{
		"malformed":        {"trivy", `{"findings":[{"rule_id":`, nil, 422},
		"not gzip":         {"trivy", report, []string{"Content-Encoding", "gzip"}, 422},
		"unknown encoding": {"trivy", report, []string{"Content-Encoding", "br"}, 422},
		"empty":            {"trivy", "", nil, 422},
		"scanner's name":   {".hidden", report, nil, 422},
	} {
		if answer := b.call(t, "scanner", "PUT", path+c.scanner, c.body, &got, c.header...); answer.Code != c.want || detail(t, answer) == "" {
			t.Errorf("%s: %d %s, want %d", name, answer.Code, answer.Body, c.want)
		}
	}
	b.call(t, "viewer", "GET", strings.TrimSuffix(path, "/results/"), "", &got)
	if got.Status != "completed" || got.Summary != "2 new (1 high, 1 low)" || len(got.Jobs) != 2 || len(got.Statuses) != 1 {
		t.Errorf("malformed reports changed the scan: %+v", got)
	}
}

func TestUploadByCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query := "?platform=github&branch=main&project=acme/shop&commit="
	var got results
	b.call(t, "scanner", "PUT", "/api/v1/results/trivy"+query+storetest.SHA(7), report, &got)
	if got.Scan == "" || got.Status != "completed" || got.Stored != 2 {
		t.Errorf("a commit that no webhook announced: %+v", got)
	}
	first := got.Scan
	b.call(t, "scanner", "PUT", "/api/v1/results/trivy"+query+storetest.SHA(7), report, &got)
	if got.Scan != first || got.Stored != 2 {
		t.Errorf("the same again: %+v, want scan %s", got, first)
	}
	for name, path := range map[string]string{
		"short commit":       "/api/v1/results/trivy" + query + "abc",
		"no platform":        "/api/v1/results/trivy?project=acme/shop&commit=" + storetest.SHA(7),
		"unknown parameter":  "/api/v1/results/trivy" + query + storetest.SHA(7) + "&brunch=x",
		"unknown platform":   "/api/v1/results/trivy?platform=nope&project=acme/shop&commit=" + storetest.SHA(7),
		"unknown repository": "/api/v1/results/trivy?platform=github&project=else/where&commit=" + storetest.SHA(7),
	} {
		answer := b.call(t, "scanner", "PUT", path, report, &got)
		if answer.Code != 422 && answer.Code != 404 || detail(t, answer) == "" {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 5 {
		b.push(t, n)
	}
	var seen []string
	for path := "/api/v1/scans?limit=2"; path != ""; {
		var page results
		b.call(t, "viewer", "GET", path, "", &page)
		for _, item := range page.Items {
			seen = append(seen, item["commit_sha"].(string))
		}
		path = ""
		if page.Next != "" {
			path = "/api/v1/scans?limit=2&cursor=" + page.Next
		}
	}
	if len(seen) != 5 || seen[0] != storetest.SHA(4) || seen[4] != storetest.SHA(0) {
		t.Errorf("scans listed: %v", seen)
	}
	var bad results
	if got := b.call(t, "viewer", "GET", "/api/v1/scans?cursor=%21", "", &bad); got.Code != 422 {
		t.Errorf("a made-up cursor: %d", got.Code)
	}
	b.call(t, "viewer", "GET", "/api/v1/scans?branch=main&status=pending&commit="+storetest.SHA(2), "", &bad)
	if len(bad.Items) != 1 {
		t.Errorf("filtered: %d scans, want 1", len(bad.Items))
	}
}

func TestFailAndRescan(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	var got results
	b.call(t, "scanner", "POST", "/api/v1/scans/"+ref+"/fail", `{"scanner":"trivy","reason":"no database"}`, &got)
	if got.Status != "failed" {
		t.Errorf("after giving up: %+v", got)
	}
	if answer := b.call(t, "scanner", "POST", "/api/v1/scans/"+ref+"/rescan", "", &got); answer.Code != 202 || got.Scan == ref {
		t.Errorf("rescan: %d %+v", answer.Code, got)
	}
	body := fmt.Sprintf(`{"platform":"github","project":"acme/shop","commit":%q}`, storetest.SHA(1))
	var again results
	b.call(t, "scanner", "POST", "/api/v1/scans", body, &again)
	if again.Scan != got.Scan {
		t.Errorf("asking for a scanned commit: %s, want the latest attempt %s", again.Scan, got.Scan)
	}
}
