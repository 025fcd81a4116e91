package ai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
)

func TestReview(t *testing.T) {
	t.Parallel()
	good := ai.Opinion{
		Verdict: ai.TruePositive, Confidence: 0.9, Reasoning: "The name reaches a shell.",
		Evidence: []string{"os.system('ls ' + name)"},
	}
	with := func(change func(*ai.Opinion)) ai.Opinion {
		o := good
		change(&o)
		return o
	}
	tests := map[string]struct {
		answer string
		want   ai.Opinion
	}{
		"good":             {as("patch", nil), good},
		"without a patch":  {without("patch"), good},
		"with a patch":     {as("patch", mend), with(func(o *ai.Opinion) { o.Patch = mend })},
		"fenced":           {"```json\n" + as("patch", nil) + "\n```\n", good},
		"fenced, no name":  {"```\n" + as("patch", nil) + "```", good},
		"false positive":   {as("verdict", "false_positive"), with(func(o *ai.Opinion) { o.Verdict = ai.FalsePositive })},
		"quite sure":       {as("confidence", 1), with(func(o *ai.Opinion) { o.Confidence = 1 })},
		"strange letters":  {as("reasoning", "a\x00b\u202ec"), with(func(o *ai.Opinion) { o.Reasoning = "a\uFFFDb\uFFFDc" })},
		"unsure, no quote": {`{"verdict":"unsure","confidence":0,"reasoning":"?","evidence":[]}`, ai.Opinion{Verdict: ai.Unsure, Reasoning: "?"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, says(test.answer)).Review(t.Context(), requestFor(source))
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
	if _, err := asked.Review(t.Context(), requestFor(source)); err != nil {
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

func TestReviewWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	var led atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { led.Add(1) }))
	t.Cleanup(elsewhere.Close)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization")+" is wrong", code)
		}
	}
	reply := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
	}
	tests := map[string]struct {
		handle http.HandlerFunc
		want   string
		is     error
	}{
		"limited":      {status(429), "answers 429", core.ErrUnavailable},
		"broken":       {status(500), "answers 500", core.ErrUnavailable},
		"wrong token":  {status(401), "check ai.token", core.ErrUnavailable},
		"wrong model":  {status(404), "check ai.url and ai.model", core.ErrUnavailable},
		"moved":        {http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, "redirects are not followed", core.ErrUnavailable},
		"moved, GET":   {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, "redirects are not followed", core.ErrUnavailable},
		"broken off":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke off", core.ErrUnavailable},
		"no JSON":      {reply("<html>"), "not what OpenAI's API says", core.ErrInvalid},
		"no choices":   {reply(`{"choices":[]}`), "no choices", core.ErrInvalid},
		"refusal":      {reply(`{"choices":[{"message":{"refusal":"I won't","content":"{}"}}]}`), "refuses", core.ErrInvalid},
		"null content": {reply(`{"choices":[{"message":{"content":null}}]}`), "refuses", core.ErrInvalid},
		"parts":        {reply(`{"choices":[{"message":{"content":[{"text":"{}"}]}}]}`), "not what OpenAI's API says", core.ErrInvalid},
		"endless":      {reply(strings.Repeat(" ", 1<<20)), "longer than", core.ErrInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, test.handle).Review(t.Context(), requestFor(source))
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v: ...%s...", err, test.is, test.want)
			}
			if strings.Contains(fmt.Sprint(err), token) || strings.Contains(fmt.Sprint(err), "os.system") {
				t.Errorf("the error gives contents away: %v", err)
			}
			if led.Load() > 0 {
				t.Error("the code was sent where a redirect led")
			}
		})
	}
}

func TestReviewDoesNotWait(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}
	service := httptest.NewServer(http.HandlerFunc(silent))
	t.Cleanup(service.Close)
	t.Cleanup(func() { close(ended) })
	slow := ai.New(ai.Config{URL: service.URL, Timeout: 50 * time.Millisecond})
	if _, err := slow.Review(t.Context(), requestFor(source)); !errors.Is(err, core.ErrUnavailable) || !strings.Contains(err.Error(), "within 50ms") {
		t.Errorf("error %v, want that there was no answer within 50ms", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := ai.New(ai.Config{URL: service.URL}).Review(ctx, requestFor(source)); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("error %v, want that the request was cancelled", err)
	}
}

func TestReviewOfNobody(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://127.0.0.1:1", "://", "http://127.0.0.1:1/\x7f"} {
		_, err := ai.New(ai.Config{URL: url, Token: token}).Review(t.Context(), requestFor(source))
		if !errors.Is(err, core.ErrUnavailable) || strings.Contains(err.Error(), token) {
			t.Errorf("%q: error %v, want core.ErrUnavailable", url, err)
		}
	}
}
