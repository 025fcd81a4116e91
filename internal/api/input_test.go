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

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// unstorable are texts as they stand in an address and in JSON. All of them are 422.
var unstorable = map[string]struct{ escaped, quoted string }{
	"NUL":            {"a%00b", `"a\u0000b"`},
	"raw NUL":        {"%00", "\"\x00\""},
	"not UTF-8":      {"a%ffb", "\"a\xffb\""},
	"half a rune":    {"%c3", "\"\xc3\""},
	"surrogate":      {"%ed%a0%80", "\"\xed\xa0\x80\""},
	"lone surrogate": {"%ed%b0%80", `"\ud800"`},
}

// odd are texts and numbers that are refused or not found, or mean nothing; they are never our failure.
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

// door is an operation with values that it takes.
type door struct {
	method, path string
	params       map[string]string // by name; those of the path are in braces in path
	fields       map[string]any    // of the body; nil without one
	body         string            // of a report
}

// doors are all operations of the description.
func (b *bench) doors(t *testing.T) (list []door) {
	t.Helper()
	ref := b.push(t, 1)
	b.call(t, "scanner", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
	b.runs(t, 1)
	runs, err := b.store.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 1})
	if err != nil || len(runs) == 0 {
		t.Fatal(runs, err)
	}
	good := map[string]string{
		"ref": ref, "scanner": "trivy", "platform": "github", "project": "acme/shop", "commit": storetest.SHA(7),
		"sha": storetest.SHA(1), "cve": "CVE-2024-3094", "id": fmt.Sprint(b.finding(t, ref)),
	}
	fields := map[string]any{
		"platform": "github", "project": "acme/shop", "commit": storetest.SHA(8), "scanner": "trivy", "reason": "no",
		"user_verdict": "TP", "expected": true,
	}
	for name, operation := range b.operations(t) {
		method, path, _ := strings.Cut(name, " ")
		d := door{method: method, path: path, params: map[string]string{}}
		list = append(list, d.describe(operation, good, fields, fmt.Sprint(runs[0].ID)))
	}
	return list
}

func (d door) describe(operation map[string]any, good map[string]string, fields map[string]any, metric string) door {
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

// bodyFields are the texts in bodies, and what they need beside.
var bodyFields = map[string][]string{
	"POST /api/v1/scans":                  {"platform", "project", "commit", "branch"},
	"POST /api/v1/scans/{ref}/fail":       {"scanner", "reason"},
	"PATCH /api/v1/findings/{id}":         {"triage_decision", "ai_verdict", "ai_reasoning", "remediation_patch"},
	"POST /api/v1/findings/{id}/feedback": {"user_verdict", "comments"},
	"PATCH /api/v1/metrics/{id}":          {"expected"},
}

// with is the request where a parameter, escaped, or a field of the body, as JSON, has another value.
func (d door) with(param, escaped, field, quoted string) (path, body string) {
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

// No text, number or cursor of a stranger makes either engine fail, and nothing is stored of what cannot be.
func TestNoInputIsOurFailure(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setupOn(t, e, "trivy")
		doors := b.doors(t)
		before := b.audit(t)
		for _, d := range doors {
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
		for _, d := range doors {
			b.survives(t, d)
		}
	})
}

func (b *bench) refuses(t *testing.T, d door, what, path, body string) {
	t.Helper()
	if got := b.call(t, "admin", d.method, path, body, nil); got.Code != http.StatusUnprocessableEntity || detail(t, got) == "" {
		t.Errorf("%s %s, %s: %d %s, want 422", d.method, d.path, what, got.Code, got.Body)
	}
}

func (b *bench) survives(t *testing.T, d door) {
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
