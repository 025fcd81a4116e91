package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// gullibleAI dismisses whatever it is asked about and quotes the code for it, but for lines with secrets.
type gullibleAI struct {
	mu      sync.Mutex
	prompts []string
}

var shownLine = regexp.MustCompile(`(?m)^\d+ \| (.*\S.*)$`)

func (g *gullibleAI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Messages []struct{ Content string } }
	_ = json.NewDecoder(r.Body).Decode(&body)
	prompt := body.Messages[1].Content
	g.mu.Lock()
	g.prompts = append(g.prompts, prompt)
	g.mu.Unlock()
	quote := "nothing at all"
	for _, line := range shownLine.FindAllStringSubmatch(prompt, -1) {
		if len(line[1]) > 8 && !strings.Contains(line[1], "REDACTED") && !strings.Contains(line[1], "[cut]") {
			quote = line[1]
			break
		}
	}
	answer, _ := json.Marshal(map[string]any{
		"verdict": "false_positive", "confidence": 0.99, "reasoning": "Nothing to see here.", "evidence": []string{quote}, "patch": nil,
	})
	_ = json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{map[string]any{"message": map[string]any{"content": string(answer)}}},
	})
}

func (g *gullibleAI) asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.prompts...)
}

const aiConfiguration = `
ai: {url: %q, model: judge-1, token: "sk-test-0123456789", may_dismiss: %t}
repositories: [{match: "**"}]`

// statusIs waits until the platform shows a commit's status with this state and text.
func statusIs(t *testing.T, w *sandbox, sha, state, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool { return s.SHA == sha && s.State == state && s.Description == text })
	if err != nil {
		t.Fatalf("%s never became %s %q: %+v", sha, state, text, w.platform.Statuses("acme/shop", sha))
	}
}

// judgedFindings asks the API for a scan's findings when the AI has judged all of them.
func judgedFindings(t *testing.T, w *sandbox, n int) []map[string]any {
	t.Helper()
	return eventually(t, fmt.Sprintf("the AI to judge %d findings", n), func() ([]map[string]any, bool) {
		var scans, findings struct{ Items []map[string]any }
		ask(t, w, "GET", "/api/v1/scans?limit=1", "", &scans)
		ask(t, w, "GET", fmt.Sprintf("/api/v1/scans/%s/findings", scans.Items[0]["reference_id"]), "", &findings)
		judged := 0
		for _, f := range findings.Items {
			if f["ai_verdict"] != nil {
				judged++
			}
		}
		return findings.Items, judged == n
	})
}

// An AI that may dismiss turns a status green when the last high finding is a false positive, and never dismisses a
// critical one. The status comes first in any case.
func TestAIDismissesFindings(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := &gullibleAI{}
			service := httptest.NewServer(g)
			t.Cleanup(service.Close)
			w, sample := setup(t, sandboxConfig{kind: kind, extra: fmt.Sprintf(aiConfiguration, service.URL, true)})
			w.platform.Fail(fakeforge.Hang(3*time.Second), fakeforge.BadGateway()) // the AI has to wait
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Before)
			if first := finalOf(t, w, sample.Before); first.Description != "1 new (1 high)" {
				t.Errorf("before the AI has spoken: %s %q", first.State, first.Description)
			}
			statusIs(t, w, sample.Before, "success", "0 new, 1 dismissed")
			pushTo(t, w, "main", sample.Before, sample.Head)
			red := "failure"
			if kind == "gitlab" {
				red = "failed"
			}
			statusIs(t, w, sample.Head, red, "3 new (3 critical), 2 dismissed")
			for _, f := range judgedFindings(t, w, 4) {
				critical := f["severity"] == "Critical"
				if critical && f["triage_decision"] != nil || !critical && f["triage_decision"] != "FP" {
					t.Errorf("%v %v: decision %v", f["severity"], f["rule_id"], f["triage_decision"])
				}
			}
			if prompts := strings.Join(g.asked(), "\n"); len(g.asked()) != 5 || regexp.MustCompile(`ghp_\w{30}|AKIA\w{16}`).MatchString(prompts) {
				t.Errorf("%d prompts, or secrets in them:\n%s", len(g.asked()), prompts)
			}
			if refused := w.platform.Refused(); len(refused) > 0 {
				t.Errorf("the platform refused %+v", refused)
			}
		})
	}
}

// An AI that may not dismiss is heard and changes no status.
func TestAIOnlySpeaks(t *testing.T) {
	t.Parallel()
	g := &gullibleAI{}
	service := httptest.NewServer(g)
	t.Cleanup(service.Close)
	w, sample := setup(t, sandboxConfig{kind: "github", extra: fmt.Sprintf(aiConfiguration, service.URL, false)})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	statusIs(t, w, sample.Head, "failure", "5 new (3 critical, 2 high)")
	posted := len(w.platform.Statuses("acme/shop", sample.Head))
	for _, f := range judgedFindings(t, w, 5) {
		said := f["ai_verdict"] == "false_positive" || f["rule_id"] == "private-key" // of which there is nothing to quote
		if !said || f["triage_decision"] != nil {
			t.Errorf("%v: the AI said %v, decision %v", f["rule_id"], f["ai_verdict"], f["triage_decision"])
		}
	}
	if now := w.platform.Statuses("acme/shop", sample.Head); len(now) != posted {
		t.Errorf("the AI moved the status: %+v", now)
	}
}
