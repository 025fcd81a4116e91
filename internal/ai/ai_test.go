package ai_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func caseOf(source string) ai.Case { return ai.Case{Finding: shell, Source: source, Shown: source} }

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

func TestReview(t *testing.T) {
	t.Parallel()
	good := core.Opinion{
		Verdict: core.AITruePositive, Confidence: 0.9, Reasoning: "The name reaches a shell.",
		Evidence: []string{"os.system('ls ' + name)"},
	}
	with := func(change func(*core.Opinion)) core.Opinion {
		o := good
		change(&o)
		return o
	}
	tests := map[string]struct {
		answer string
		want   core.Opinion
	}{
		"good":             {as("patch", nil), good},
		"without a patch":  {without("patch"), good},
		"with a patch":     {as("patch", mend), with(func(o *core.Opinion) { o.Patch = mend })},
		"fenced":           {"```json\n" + as("patch", nil) + "\n```\n", good},
		"fenced, no name":  {"```\n" + as("patch", nil) + "```", good},
		"false positive":   {as("verdict", "false_positive"), with(func(o *core.Opinion) { o.Verdict = core.AIFalsePositive })},
		"quite sure":       {as("confidence", 1), with(func(o *core.Opinion) { o.Confidence = 1 })},
		"strange letters":  {as("reasoning", "a\x00b\u202ec"), with(func(o *core.Opinion) { o.Reasoning = "a\uFFFDb\uFFFDc" })},
		"unsure, no quote": {`{"verdict":"unsure","confidence":0,"reasoning":"?","evidence":[]}`, core.Opinion{Verdict: core.AIUnsure, Reasoning: "?"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, says(test.answer)).Review(t.Context(), caseOf(source))
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("opinion (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

func TestReviewAsks(t *testing.T) {
	t.Parallel()
	var call *http.Request
	var body map[string]any
	asked := client(t, func(w http.ResponseWriter, r *http.Request) {
		call = r
		_ = json.NewDecoder(r.Body).Decode(&body)
		says(as("patch", nil))(w, r)
	})
	if _, err := asked.Review(t.Context(), caseOf(source)); err != nil {
		t.Fatal(err)
	}
	got := []any{
		call.Method, call.URL.Path, call.Header.Get("Authorization"), call.Header.Get("Content-Type"),
		body["model"], body["temperature"], body["response_format"],
	}
	want := []any{
		"POST", "/v1/chat/completions", "Bearer " + token, "application/json",
		"judge-1", 0.0, map[string]any{"type": "json_object"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestReviewOfNonsense(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ answer, want string }{
		"prose":               {"Sure! It is a true positive.", "no JSON object"},
		"prose before":        {"Here: " + as("patch", nil), "no JSON object"},
		"prose after":         {as("patch", nil) + " Hope that helps!", "goes on after"},
		"two objects":         {as("patch", nil) + as("verdict", "false_positive"), "goes on after"},
		"a list":              {"[" + as("patch", nil) + "]", "no JSON object"},
		"empty":               {"", "no JSON object"},
		"cut off":             {as("patch", nil)[:80], "JSON"},
		"no comma":            {`{"verdict":"unsure" "confidence":1}`, "broken JSON"},
		"unknown field":       {as("severity", "Low"), "not asked for"},
		"field in capitals":   {as("Verdict", "unsure"), "not asked for"},
		"field twice":         {`{"verdict":"unsure","verdict":"true_positive"}`, "one twice"},
		"other verdict":       {as("verdict", "FP"), "verdict is none"},
		"verdict is a number": {as("verdict", 1), "verdict has another type"},
		"confidence in words": {as("confidence", "high"), "confidence has another type"},
		"confidence too high": {as("confidence", 1.01), "between 0 and 1"},
		"confidence too low":  {as("confidence", -0.1), "between 0 and 1"},
		"confidence is null":  {as("confidence", nil), "lacks a field"},
		"confidence explodes": {strings.Replace(as("patch", nil), "0.9", "1e999", 1), "confidence has another type"},
		"no evidence":         {without("evidence"), "lacks a field"},
		"evidence is null":    {as("evidence", nil), "lacks a field"},
		"evidence is empty":   {as("evidence", []string{}), "without evidence"},
		"evidence is a text":  {as("evidence", "os.system"), "evidence has another type"},
		"evidence holds null": {as("evidence", []any{nil}), "something else than text"},
		"no reason":           {as("reasoning", " \n"), "no reason"},
		"patch is an object":  {as("patch", map[string]any{}), "patch has another type"},
		"longer than it may":  {as("reasoning", strings.Repeat("x", 16<<10)), "longer than 16384"},
		"deeper than it may":  {`{"patch":` + strings.Repeat("[", 15_000), "JSON"},
		"object for a number": {`{"confidence":{"confidence":1}}`, "confidence has another type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, says(test.answer)).Review(t.Context(), caseOf(source))
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("opinion %+v, error %v, want core.ErrInvalid: ...%s...", got, err, test.want)
			}
		})
	}
}
