package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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
		{"triager", "GET", "/api/v1/scans", 200},
		{"triager", "PUT", "/api/v1/scans/" + ref + "/results/x", 403},
		{"uploader", "DELETE", "/api/v1/scans/" + ref, 403},
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

// Clients that guess tokens are slowed down. A right token from the same address is always accepted.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		if got := b.call(t, "wrong", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusUnauthorized {
			t.Fatalf("a wrong token: %d", got.Code)
		}
	}
	for range 20 {
		if got := b.call(t, "", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusUnauthorized {
			t.Errorf("no token, which is no guess: %d", got.Code)
		}
	}
	start := time.Now()
	got := b.call(t, "wrong", "PUT", "/api/v1/scans/x/results/y", "", nil)
	if took := time.Since(start); got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") != "6" || took < time.Second {
		t.Errorf("one more wrong token: %d, Retry-After %s, after %s", got.Code, got.Header().Get("Retry-After"), took)
	}
	if text := detail(t, got); !strings.Contains(text, "like many before it") {
		t.Errorf("detail: %s", text)
	}
	if got := b.call(t, "triager", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusOK {
		t.Errorf("a right token: %d", got.Code)
	}
}

// The description has every status that an operation answers with.
func TestDescriptionNamesRefusals(t *testing.T) {
	t.Parallel()
	var description struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	answer := setup(t).call(t, "", "GET", "/openapi.json", "", &description)
	if answer.Header().Get("X-Content-Type-Options") != "nosniff" || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers of /openapi.json: %v", answer.Header())
	}
	for path, operations := range description.Paths {
		for method, operation := range operations {
			for _, status := range []string{"401", "403", "404", "429", "503"} {
				if operation.Responses[status] == nil && (status != "404" || strings.Contains(path, "{")) {
					t.Errorf("%s %s: %s is not described", method, path, status)
				}
			}
		}
	}
}

// unstorable are texts as addresses and JSON have them. The answer to each is 422.
var unstorable = map[string]struct{ escaped, quoted string }{
	"NUL":            {"a%00b", `"a\u0000b"`},
	"raw NUL":        {"%00", "\"\x00\""},
	"not UTF-8":      {"a%ffb", "\"a\xffb\""},
	"half a rune":    {"%c3", "\"\xc3\""},
	"surrogate":      {"%ed%a0%80", "\"\xed\xa0\x80\""},
	"lone surrogate": {"%ed%b0%80", `"\ud800"`},
}

// odd are unusual texts and numbers. They may be refused or not found, but must not cause an internal error.
func odd() []string {
	return []string{
		"", "0", "-1", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "2147483648", "1e400", "NaN", "Inf",
		"'; DROP TABLE scans; --", "%s:name$1?", "../../x", "a\r\nb", "\u202e", incompressible(100), incompressible(250), incompressible(500), incompressible(2000), strings.Repeat("x", 10_000),
		cursor("9223372036854775807"), cursor("-1"), cursor("2147483648 1"), cursor("9223372036854775807 9223372036854775807"),
		cursor("risk true NaN 2147483648 1"), cursor("risk true +Inf 1 1"), cursor("risk false 1e308 -5 -5"),
		cursor("a\x00b"), cursor("\xff"),
	}
}

func cursor(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// incompressible has n characters of four bytes: an entry of a PostgreSQL index takes some 2,700 bytes, compressed.
func incompressible(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]rune, n)
	for i := range text {
		text[i] = rune(0x20000 + random.IntN(0xa000)) // letters, so that they may stand in names
	}
	return string(text)
}

// endpoint is an operation with values that it takes.
type endpoint struct {
	method, path string
	params       map[string]string // by name; those of the path are in braces in path
	fields       map[string]any    // of the body; nil without one
	body         string            // of a report
}

// endpoints are all operations of the description.
func (b *bench) endpoints(t *testing.T) (list []endpoint) {
	t.Helper()
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
	b.runs(t, 1)
	runs, err := b.store.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 1})
	if err != nil || len(runs) == 0 {
		t.Fatal(runs, err)
	}
	good := map[string]string{
		"ref": ref, "scanner": "trivy", "platform": "github", "project": "acme/shop", "commit": storetest.SHA(7),
		"sha": storetest.SHA(1), "cve": "CVE-2024-3094", "id": fmt.Sprint(b.finding(t, ref)), "number": "1", "report": "1",
	}
	fields := map[string]any{
		"platform": "github", "project": "acme/shop", "commit": storetest.SHA(8), "scanner": "trivy", "reason": "no",
		"user_verdict": "TP", "expected": true,
	}
	for name, operation := range b.operations(t) {
		method, path, _ := strings.Cut(name, " ")
		d := endpoint{method: method, path: path, params: map[string]string{}}
		list = append(list, d.describe(operation, good, fields, fmt.Sprint(runs[0].ID)))
	}
	return list
}

func (d endpoint) describe(operation map[string]any, good map[string]string, fields map[string]any, metric string) endpoint {
	parameters, _ := operation["parameters"].([]any)
	for _, parameter := range parameters {
		name := parameter.(map[string]any)["name"].(string)
		if d.params[name] = good[name]; strings.HasPrefix(d.path, "/api/v1/metrics") {
			d.params[name] = metric
		}
	}
	if body, found := operation["requestBody"]; found {
		text, _ := json.Marshal(body)
		if d.body = report; strings.Contains(string(text), "$ref") {
			d.body, d.fields = "", map[string]any{}
			for _, name := range bodyFields[d.method+" "+d.path] {
				d.fields[name] = fields[name]
			}
		}
	}
	return d
}

// bodyFields are the texts in bodies, with the fields that must be there too.
var bodyFields = map[string][]string{
	"POST /api/v1/scans":                                         {"platform", "project", "commit", "branch"},
	"POST /api/v1/scans/{ref}/fail":                              {"scanner", "reason"},
	"POST /api/v1/scans/{ref}/override":                          {"reason"},
	"PATCH /api/v1/findings/{id}":                                {"triage_decision", "ai_verdict", "ai_reasoning", "remediation_patch"},
	"POST /api/v1/findings/{id}/feedback":                        {"user_verdict", "comments"},
	"POST /api/v1/findings/{id}/approval":                        {"proposal", "comments"},
	"PATCH /api/v1/metrics/{id}":                                 {"expected"},
	"POST /api/v1/alerts/{platform}/{project}/{number}/comments": {"comments"},
	"POST /api/v1/alert-decisions":                               {"user_verdict", "comments", "batch", "next"},
}

// with is the request where a parameter, escaped, or a field of the body, as JSON, has another value.
func (d endpoint) with(param, escaped, field, quoted string) (path, body string) {
	path = d.path
	var query []string
	for name, value := range d.params {
		value = url.PathEscape(value)
		if name == param {
			value = escaped
		}
		if strings.Contains(path, "{"+name+"}") {
			path = strings.Replace(path, "{"+name+"}", value, 1)
		} else if value != "" {
			query = append(query, name+"="+value)
		}
	}
	members := []string{}
	for name, value := range d.fields {
		text, _ := json.Marshal(value)
		if name == field {
			text = []byte(quoted)
		}
		if string(text) != "null" {
			members = append(members, fmt.Sprintf("%q:%s", name, text))
		}
	}
	if body = d.body; d.fields != nil {
		body = "{" + strings.Join(members, ",") + "}"
	}
	return path + "?" + strings.Join(query, "&"), body
}

// No text, number or cursor of a client causes an internal error on either engine, and nothing unstorable is stored.
func TestNoInputIsAnInternalError(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setupOn(t, e, "trivy")
		endpoints := b.endpoints(t)
		before := b.audit(t)
		for _, d := range endpoints {
			if d.fields != nil && len(d.fields) == 0 {
				t.Errorf("%s %s has a body whose fields are not known to bodyFields", d.method, d.path)
			}
			for what, text := range unstorable {
				for name := range d.params {
					path, body := d.with(name, text.escaped, "", "")
					b.refuses(t, d, what+" in "+name, path, body)
				}
				for name := range d.fields {
					path, body := d.with("", "", name, text.quoted)
					b.refuses(t, d, what+" in the body's "+name, path, body)
				}
			}
		}
		if after := b.audit(t); len(after) != len(before) {
			t.Errorf("refused calls are in the audit: %v", after[len(before):])
		}
		for _, d := range endpoints {
			b.survives(t, d)
		}
	})
}

func (b *bench) refuses(t *testing.T, d endpoint, what, path, body string) {
	t.Helper()
	if got := b.call(t, "admin", d.method, path, body, nil); got.Code != http.StatusUnprocessableEntity || detail(t, got) == "" {
		t.Errorf("%s %s, %s: %d %s, want 422", d.method, d.path, what, got.Code, got.Body)
	}
}

func (b *bench) survives(t *testing.T, d endpoint) {
	t.Helper()
	values := []string{"1e400", "-0.0", "9223372036854775808", "[]", "{}", "null"}
	for _, text := range odd() {
		quoted, _ := json.Marshal(text)
		for _, name := range slices.Concat(slices.Collect(maps.Keys(d.params)), []string{"page", "before"}) {
			path, body := d.with(name, url.QueryEscape(text), "", "")
			if got := b.call(t, "admin", d.method, path, body, nil); got.Code >= 500 {
				t.Errorf("%s %s, %s is %.60q: %d %s", d.method, d.path, name, text, got.Code, got.Body)
			}
		}
		values = append(values, string(quoted))
	}
	for _, value := range values {
		for name := range d.fields {
			path, body := d.with("", "", name, value)
			if got := b.call(t, "admin", d.method, path, body, nil); got.Code >= 500 {
				t.Errorf("%s %s, the body's %s is %.60s: %d %s", d.method, d.path, name, value, got.Code, got.Body)
			}
		}
	}
}
