package webhooks_test

import (
	"encoding/json"
	"fmt"
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
