package api_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

var (
	shownExample = regexp.MustCompile(`<pre class="example">(.*)</pre>`)
	partsOfCall  = regexp.MustCompile(`^curl -H "Authorization: Bearer \$TOKEN"(?: -X (\w+))?(?: -H 'Content-Type: application/json' -d '(.*)')? '(\S+)'$`)
)

// Each example of /docs is what the API takes: those that read get an answer, and the bodies of the others are not refused for their shape.
func TestExamplesOfTheDocsWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	b.knows(t, core.Score{CVEID: "CVE-2024-0001", Probability: 0.5})
	ref := b.push(t, 1)
	finding := high[strings.LastIndex(high, "/")+1:]
	page := b.call(t, "", "GET", "/docs", "", nil)
	examples := shownExample.FindAllStringSubmatch(page.Body.String(), -1)
	if len(examples) < 30 || !strings.Contains(page.Body.String(), `<a href="./">`) {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		call := partsOfCall.FindStringSubmatch(html.UnescapeString(example[1]))
		if call == nil {
			t.Errorf("this is no call: %s", example[1])
			continue
		}
		id := finding
		if strings.Contains(call[3], "/deliveries/") {
			id = fmt.Sprint(b.setAside(t))
		}
		path := strings.NewReplacer(
			"REF", ref, "PLATFORM", "github", "PROJECT", "acme%2Fshop", "NUMBER", "1", "/findings/ID", "/findings/"+finding, "/ID", "/"+id, "CVE", "CVE-2024-0001",
			"COMMIT", storetest.SHA(1), "SHA", storetest.SHA(1), "SCANNER", "trivy", "BATCH", "none", "REVISION", "1", "REPORT", "1",
		).Replace(call[3])
		method := call[1]
		if method == "" {
			method = http.MethodGet
		}
		if method == http.MethodDelete {
			continue // they have no body, and would take away what the others speak of
		}
		answer := b.call(t, "admin", method, path, call[2], nil, "Content-Type", "application/json")
		switch {
		case method == http.MethodGet && answer.Code >= 400, answer.Code >= 500, answer.Code == http.StatusMethodNotAllowed,
			answer.Code == http.StatusUnprocessableEntity && strings.Contains(answer.Body.String(), "validation failed"):
			t.Errorf("%s\n%s %s: %d %s", example[1], method, path, answer.Code, answer.Body)
		}
	}
	if script := b.call(t, "", "GET", "/docs/try.js", "", nil); script.Code != http.StatusOK || !strings.Contains(page.Header().Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("the script of the page: %d", script.Code)
	}
}
