package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Which findings count is the server's to say, which knows who decided.
func TestNewsLeaveOutWhatIsDismissed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{}`
		if strings.HasSuffix(r.URL.Path, "/findings") {
			answer = `{"items": [{"rule_id": "counts", "triage_decision": "FP", "dismissed": false}, {"rule_id": "hidden", "dismissed": true}]}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	target := Target{Server: server.URL}
	news, err := target.Ask(t.Context(), target.Client(io.Discard), "reference")
	if err != nil || len(news.NewFindings) != 1 || news.NewFindings[0].RuleID != "counts" {
		t.Errorf("%+v, %v", news.NewFindings, err)
	}
}
