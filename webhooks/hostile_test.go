package webhooks_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// What a payload may hold is up to people who name branches and projects: whatever they think of, it is never our
// failure.
func TestReceiveHostileText(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"nul":           "a\x00b",
		"invalid utf-8": "a\xff\xfeb",
		"rtl":           "a\u202eb",
		"quotes":        `a'"; DROP TABLE scans; --`,
		"long":          strings.Repeat("x", 5000),
		"very long":     strings.Repeat("é", 1<<20),
		"newline":       "a\r\nb",
		"dots":          "../../etc/passwd",
		"emoji":         "\U0001F41B",
		"placeholder":   ":name ? $1 %s",
	}
	bodies := map[string]string{
		"branch":         `{"ref":"refs/heads/"+T,"before":Z,"after":S,"repository":{"id":7,"full_name":"acme/shop"},"commits":[]}`,
		"default branch": `{"ref":"refs/heads/main","before":Z,"after":S,"repository":{"id":7,"full_name":"acme/shop","default_branch":T}}`,
		"project":        `{"ref":"refs/heads/main","before":Z,"after":S,"repository":{"id":7,"full_name":"acme/"+T}}`,
		"url":            `{"ref":"refs/heads/main","before":Z,"after":S,"repository":{"id":7,"full_name":"acme/shop","html_url":"https://x/"+T}}`,
		"files":          `{"ref":"refs/heads/main","before":Z,"after":S,"repository":{"id":7,"full_name":"acme/shop"},"commits":[{"id":S,"added":[T,T]}]}`,
		"before":         `{"ref":"refs/heads/main","before":T,"after":S,"repository":{"id":7,"full_name":"acme/shop"}}`,
		"id":             `{"ref":"refs/heads/main","before":Z,"after":S,"repository":{"id":T,"full_name":"acme/shop"}}`,
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		handler := serve(t, e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}}))
		n := 0
		for where, template := range bodies {
			for what, text := range texts {
				n++
				body := fill(t, template, text, fmt.Sprintf("%040x", n+1))
				delivery := seal(t, "github", "push", body)
				if got := send(t, handler, "/webhooks/github", delivery.Header, delivery.Body); got.Status >= 500 {
					t.Errorf("%s in %s: %+v", what, where, got)
				}
			}
		}
	})
}

// fill puts text for T, a commit id for S and zeros for Z into a template, as JSON strings; "x"+T joins.
func fill(t *testing.T, template, text, sha string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "\x00") && strings.ToValidUTF8(text, "") != text {
		quoted = []byte(`"` + text + `"`)
	}
	joined := strings.ReplaceAll(template, `"+T`, string(quoted[1:]))
	joined = strings.ReplaceAll(joined, "T,", string(quoted)+",")
	for _, end := range []string{"}", "]"} {
		joined = strings.ReplaceAll(joined, "T"+end, string(quoted)+end)
	}
	return strings.NewReplacer(":Z", `:"`+zeros+`"`, ":S", `:"`+sha+`"`).Replace(joined)
}

// Numbers, times and texts of pipelines are as hostile as those of pushes.
func TestReceiveHostilePipelines(t *testing.T) {
	t.Parallel()
	odd := []string{
		"-1", "0", "1.5", "1e400", "2147483648", "9223372036854775807", "9223372036854775808", "null", "[]", `"x"`, `"\u0000"`,
		"\"\xff\"", `"\ud800"`, `"9999-12-31T23:59:59Z"`, `"0001-01-01T00:00:00Z"`, `"+10000-01-01T00:00:00Z"`, "253402300800",
		`"` + strings.Repeat("\U00020000\U00020001\U0002a123", 500) + `"`,
	}
	calls := []struct{ platform, event, body string }{
		{"github", "workflow_run", `{"action":"completed","workflow_run":{"id":7,"run_attempt":1,"name":"CI","event":"push",` +
			`"head_branch":"main","head_sha":"SHA","status":"completed","conclusion":"success",` +
			`"created_at":"2026-01-01T00:00:00Z","run_started_at":"2026-01-01T00:00:10Z","updated_at":"2026-01-01T00:01:00Z"},` +
			`"repository":{"id":7,"full_name":"acme/shop","default_branch":"main"}}`},
		{"gitlab", "Pipeline Hook", `{"object_kind":"pipeline","object_attributes":{"id":9,"ref":"main","sha":"SHA","source":"push",` +
			`"status":"success","duration":60,"queued_duration":2,"name":"CI","created_at":"2026-01-01 00:00:00 UTC",` +
			`"finished_at":"2026-01-01 00:01:00 UTC"},"project":{"id":7,"path_with_namespace":"acme/shop"},` +
			`"builds":[{"artifacts_file":{"size":5}}]}`},
		{"github", "status", `{"id":9,"sha":"SHA","context":"scanhook","state":"success","description":"x",` +
			`"repository":{"id":7,"full_name":"acme/shop"}}`},
	}
	value := regexp.MustCompile(`:("[^"{}]*"|[0-9]+)`)
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		handler := serve(t, e.Open(t, store.Config{}))
		n := 0
		for _, call := range calls {
			for _, at := range value.FindAllStringIndex(call.body, -1) {
				for _, text := range odd {
					n++
					body := call.body[:at[0]] + ":" + text + call.body[at[1]:]
					delivery := seal(t, call.platform, call.event, strings.ReplaceAll(body, "SHA", fmt.Sprintf("%040x", n+1)))
					if got := send(t, handler, "/webhooks/"+call.platform, delivery.Header, delivery.Body); got.Status >= 500 {
						t.Errorf("%s %s with %.40s behind %s: %+v", call.platform, call.event, text, call.body[at[0]-12:at[0]], got)
					}
				}
			}
		}
	})
}
