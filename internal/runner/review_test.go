package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
)

const aiToken = "sk-test-0123456789"

// oracle is a service that is asked about findings.
type oracle struct {
	asked  atomic.Int64
	prompt atomic.Value // the last one, a string
	answer http.HandlerFunc
}

func (o *oracle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Messages []struct{ Content string } }
	_ = json.NewDecoder(r.Body).Decode(&body)
	o.prompt.Store(body.Messages[1].Content)
	o.asked.Add(1)
	o.answer(w, r)
}

func verdict(verdict, quote string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer, _ := json.Marshal(map[string]any{
			"verdict": verdict, "confidence": 0.95, "reasoning": "because", "evidence": []string{quote}, "patch": nil,
		})
		_ = json.NewEncoder(w).Encode(map[string]any{
			"choices": []any{map[string]any{"message": map[string]any{"content": string(answer)}}},
		})
	}
}

// newReviewed makes a bench whose AI is o, and scans a commit.
func newReviewed(t *testing.T, o *oracle, scanner Scanner, content files) (*bench, string) {
	t.Helper()
	return newReviewedWithin(t, time.Minute, o, scanner, content)
}

// newReviewedWithin is newReviewed for an AI that may take so long for an answer.
func newReviewedWithin(t *testing.T, patience time.Duration, o *oracle, scanner Scanner, content files) (*bench, string) {
	t.Helper()
	service := httptest.NewServer(o)
	t.Cleanup(service.Close)
	b := newBench(t, scanner)
	b.AI = &AI{
		Client:     ai.New(ai.Config{URL: service.URL, Model: "judge-1", Token: aiToken, Timeout: patience}),
		MayDismiss: true, MaxFindings: 20,
	}
	t.Cleanup(func() {
		for _, secret := range []string{aiToken, githubToken, "because"} {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("%s is in the log:\n%s", secret, b.log)
			}
		}
	})
	reference := b.accept(t, "acme/shop", b.server.commit(t, "acme/shop", content))
	b.mustWork(t, true)
	return b, reference
}

// mustReview does what waits for the AI.
func (b *bench) mustReview(t *testing.T) {
	t.Helper()
	select {
	case next := <-b.reviews:
		b.review(t.Context(), next)
	default:
		t.Fatal("nothing waits for the AI")
	}
}

func TestReviewKeepsWhatTheAISays(t *testing.T) {
	t.Parallel()
	o := &oracle{answer: verdict("false_positive", "import os")}
	b, reference := newReviewed(t, o, Scanner{Builtin: "gitleaks"}, files{
		"a.py": "import os\nAPI_KEY = '" + apiKey + "'\nTOKEN = '" + githubToken + "'\n",
	})
	before, _, _ := b.get(t, reference)
	b.mustReview(t)
	scan, _, findings := b.get(t, reference)
	if *before.Verdict != core.Fail || scan.Summary != "1 new (1 critical), 1 dismissed" || len(findings) != 2 {
		t.Errorf("%s became %s, of %d findings", before.Summary, scan.Summary, len(findings))
	}
	for _, f := range findings {
		if f.AIVerdict == nil {
			t.Fatalf("the AI said nothing:\n%s", b.log)
		}
		if *f.AIVerdict != "false_positive" || *f.AIConfidence != 0.95 || !strings.Contains(*f.AIReasoning, "import os") {
			t.Errorf("the AI said %s %v %s", *f.AIVerdict, *f.AIConfidence, *f.AIReasoning)
		}
		history, err := b.Jobs.ListTriage(t.Context(), f.ID, 0, 9)
		if err != nil || len(history) != 1 || history[0].Source != core.ByAI || history[0].Author != "judge-1" {
			t.Errorf("history %+v, %v", history, err)
		}
	}
	prompt := o.prompt.Load().(string)
	if strings.Contains(prompt, githubToken) || strings.Contains(prompt, apiKey) || !strings.Contains(prompt, core.Mask(githubToken)) {
		t.Errorf("the prompt shows secrets:\n%s", prompt)
	}
	if log := b.log.String(); !strings.Contains(log, "AI review done") || !strings.Contains(log, "dismissed=1") {
		t.Errorf("log:\n%s", log)
	}
}

func TestReviewAsksOfNewFindingsOnly(t *testing.T) {
	t.Parallel()
	o := &oracle{answer: verdict("unsure", "nowhere in it")}
	b, _ := newReviewed(t, o, Scanner{Builtin: "gitleaks"}, files{"a.py": "T = '" + githubToken + "'\n"})
	b.AI.MaxFindings = 2
	b.mustReview(t)
	write(t, b.server.dir+"/acme/shop.git", files{"b.py": strings.Repeat("T = '"+githubToken2+"'\n", 3)})
	b.accept(t, "acme/shop", b.server.amend(t, "acme/shop", "second"))
	b.mustWork(t, true)
	b.mustReview(t)
	if n := o.asked.Load(); n != 3 || !strings.Contains(o.prompt.Load().(string), "file: b.py") {
		t.Errorf("%d questions, want one about the first commit and two about the second", n)
	}
	b.accept(t, "acme/shop", b.server.amend(t, "acme/shop", "third"))
	b.mustWork(t, true)
	if len(b.reviews) > 0 {
		t.Error("the AI is asked about a commit that brings nothing new")
	}
}

func TestReviewOfFilesThatAreNotShown(t *testing.T) {
	t.Parallel()
	var list []string
	for _, name := range []string{"../../etc/passwd", "/etc/passwd", ".git/config", "link", "gone.js", "binary", ""} {
		list = append(list, fmt.Sprintf(`{"rule_id": "x", "file": %q, "line": 1, "severity": "High", "message": "m"}`, name))
	}
	o := &oracle{answer: verdict("true_positive", "import os")}
	scanner := Scanner{Command: sh(`ln -s a.py {source}/link; echo '{"findings": [` + strings.Join(list, ",") + `]}'`)}
	b, reference := newReviewed(t, o, scanner, files{"a.py": "import os\n", "binary": "import os\x00"})
	if _, _, findings := b.get(t, reference); len(findings) == 0 || len(b.reviews) > 0 {
		t.Errorf("%d findings, %d reviews", len(findings), len(b.reviews))
	}
}

func TestReviewWithoutAnswers(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no: "+githubToken, code) }
	}
	good := verdict("true_positive", "import os")
	tests := map[string]struct {
		answer   http.HandlerFunc
		asked    int64
		verdicts int
		log      string
	}{
		"away":           {status(503), 3, 0, "answers 503"},
		"too much":       {status(429), 3, 0, "answers 429"},
		"nonsense":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, 5, 0, "no choices"},
		"slow":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 3, 0, "no answer within 3s"},
		"away sometimes": {sometimes(status(500), good), 5, 1, "answers 500"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &oracle{answer: test.answer}
			patience := time.Minute
			if name == "slow" {
				patience = 3 * time.Second
			}
			b, reference := newReviewedWithin(t, patience, o, Scanner{Builtin: "gitleaks"}, files{
				"a.py": "import os\n" + strings.Repeat("T = '"+githubToken+"'\n", 5),
			})
			b.mustReview(t)
			scan, _, findings := b.get(t, reference)
			verdicts := 0
			for _, f := range findings {
				if f.AIVerdict != nil {
					verdicts++
				}
			}
			if scan.Status != core.ScanCompleted || *scan.Verdict != core.Fail || verdicts != test.verdicts || o.asked.Load() != test.asked {
				t.Errorf("scan %s, %d questions, %d verdicts", scan.Status, o.asked.Load(), verdicts)
			}
			if log := b.log.String(); strings.Count(log, "AI") != 2 || !strings.Contains(log, test.log) { // "asking the AI" included
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// sometimes answers the third, the sixth… question.
func sometimes(bad, good http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 == 0 {
			good(w, r)
			return
		}
		bad(w, r)
	}
}

func TestReviewsDoNotPileUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	o := &oracle{answer: func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }}
	b, _ := newReviewed(t, o, Scanner{Builtin: "gitleaks"}, files{"a.py": "T = '" + githubToken + "'\n"})
	for len(b.reviews) < maxWaiting {
		b.reviews <- review{log: b.Log}
	}
	reference := b.accept(t, "acme/other", b.server.commit(t, "acme/other", files{"a.py": "T = '" + githubToken + "'\n"}))
	b.mustWork(t, true)
	if scan, _, _ := b.get(t, reference); scan.Status != core.ScanCompleted || !strings.Contains(b.log.String(), "does not keep up") {
		t.Errorf("scan %s, log:\n%s", scan.Status, b.log)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.reviewAll(ctx)
	}()
	<-asked
	stop()
	<-ended
}
