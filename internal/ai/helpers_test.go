package ai_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
)

const (
	token  = "sk-test-0123456789"
	source = "import os\n\ndef run(name):\n    os.system('ls ' + name)\n"
	mend   = "--- a/run.py\n+++ b/run.py\n@@ -3,2 +3,2 @@\n def run(name):\n" +
		"-    os.system('ls ' + name)\n+    subprocess.run(['ls', name])\n"
)

var shell = core.Finding{
	Tool: "bandit", RuleID: "B605", Severity: core.High, Title: "Shell", Message: "Starting a process\nwith a shell",
	CWE: "CWE-78", File: "run.py", Line: 4,
}

func requestFor(source string) ai.ReviewRequest {
	return ai.ReviewRequest{Finding: shell, Source: source, Shown: source}
}

// client asks a service that answers as handle does.
func client(t *testing.T, handle http.HandlerFunc) *ai.Client {
	t.Helper()
	service := httptest.NewServer(handle)
	t.Cleanup(service.Close)
	return ai.New(ai.Config{URL: service.URL + "/v1", Model: "judge-1", Token: token, Timeout: time.Minute})
}

// says answers with what the model says, in OpenAI's envelope.
func says(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "chatcmpl-1", "object": "chat.completion", "choices": []any{
			map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": content}},
		}})
	}
}

// opinion is an answer in the form that is asked for; change may spoil it.
func opinion(change func(map[string]any)) string {
	answer := map[string]any{
		"verdict": "true_positive", "confidence": 0.9, "reasoning": "The name reaches a shell.",
		"evidence": []string{"os.system('ls ' + name)"}, "patch": nil,
	}
	change(answer)
	text, _ := json.Marshal(answer)
	return string(text)
}

func as(key string, value any) string { return opinion(func(a map[string]any) { a[key] = value }) }

func without(key string) string { return opinion(func(a map[string]any) { delete(a, key) }) }

// promptOf is what the model reads of strangers.
func promptOf(r *http.Request) string {
	var body struct {
		Messages []struct{ Role, Content string }
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	return body.Messages[1].Content
}
