package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

type bench struct {
	store     *store.Store
	platforms platforms.Set
	handler   http.Handler
	asked     questions
}

// questions are the reports about which git was asked, call by call.
type questions struct {
	mu    sync.Mutex
	calls [][]string
}

func (q *questions) AddEvidence(_ context.Context, _ core.Scan, reports map[string]*core.Report) func(map[string]*core.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, slices.Sorted(maps.Keys(reports)))
	return func(map[string]*core.Job) {}
}

// configured are a scanner that runs here and some whose reports are uploaded.
var configured = core.Scanners{
	"gitleaks": core.RunsHere, "linter": core.Uploaded, "semgrep": core.Uploaded, "trivy": core.Uploaded,
}

func setup(t testing.TB, scanners ...string) *bench {
	t.Helper()
	return setupOn(t, storetest.SQLite, scanners...)
}

func setupOn(t testing.TB, e storetest.Engine, scanners ...string) *bench {
	t.Helper()
	policy := storetest.Policy
	policy.Scanners, policy.Approval = scanners, core.Approval{Medium: 2}
	b := &bench{
		store: e.Open(t, store.Config{
			Policies: core.Policies{{Match: "github/acme/*", Policy: policy}}, Scanners: configured,
		}),
		platforms: platforms.Set{"github": mergeBases{}},
	}
	log := slog.New(slog.DiscardHandler)
	router := httpx.NewRouter(log)
	program := api.New(api.Config{Store: b.store, Version: "test", Log: log, Platforms: b.platforms, Evidence: &b.asked, Tokens: auth.Tokens{
		{Name: "eve", Token: "reader-token", Grant: access.Grant{Role: access.Reader}},
		{Name: "ada", Token: "triager-token", Grant: access.Grant{Role: access.Triager}},
		{Name: "ci", Token: "machine-token", Grant: access.Grant{Role: access.Triager}},
		{Name: "ci", Token: "uploader-token", Grant: access.Grant{Role: access.Uploader}},
		{Name: "root", Token: "admin-token", Grant: access.Grant{Role: access.Admin}},
	}})
	program.MountHealth(router)
	program.Register(router)
	b.handler = router
	return b
}

func (b *bench) push(t testing.TB, n int) string {
	t.Helper()
	d, p := storetest.PushOf(n)
	receipt, err := b.store.Accept(t.Context(), storetest.With(d, p))
	if err != nil {
		t.Fatal(err)
	}
	return receipt.Reference
}

// call sends a request with a role's token and decodes the answer into out.
func (b *bench) call(t testing.TB, role, method, path, body string, out any, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if role != "" {
		request.Header.Set("Authorization", "Bearer "+role+"-token")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	if out != nil && recorder.Code < 400 {
		if err := json.Unmarshal(recorder.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, recorder.Code, recorder.Body)
		}
	}
	return recorder
}

// detail is the sentence of a problem document.
func detail(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	var problem struct{ Detail string }
	if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%d is no problem document: %s", answer.Code, answer.Body)
	}
	return problem.Detail
}

type results struct {
	Scan, Status, Summary    string
	Verdict                  *string
	Results, Stored, Skipped int
	New, Unchanged           int
	WaitingFor               []string `json:"waiting_for"`
	Items                    []map[string]any
	Next                     string
	ReferenceID              string `json:"reference_id"`
	Jobs, Statuses           []map[string]any
}

// findingAnswer is the answer of the endpoints of one finding.
type findingAnswer struct {
	ID               int64
	RuleID           string   `json:"rule_id"`
	TriageDecision   *string  `json:"triage_decision"`
	AIVerdict        *string  `json:"ai_verdict"`
	AIConfidence     *float64 `json:"ai_confidence"`
	AIReasoning      *string  `json:"ai_reasoning"`
	RemediationPatch *string  `json:"remediation_patch"`
	RedTeamSuccess   *bool    `json:"red_team_success"`
	Scan, Summary    string
	Verdict          *string
	DecidedBy        *struct {
		ID                      int64
		Source, Author, Comment string
		By                      string `json:"proposed_by"`
	} `json:"decided_by"`
	Proposal *struct {
		ID              int64
		Author, Comment string
		Reason          *string
	}
}

// propose has ci dismiss a finding of a scan that two people dismiss, and returns its path.
func (b *bench) propose(t *testing.T, ref string) (path string, proposal int64) {
	t.Helper()
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", strings.ReplaceAll(report, `"high"`, `"medium"`), nil)
	path = fmt.Sprintf("/api/v1/findings/%d", b.finding(t, ref))
	var got findingAnswer
	answer := b.call(t, "machine", "POST", path+"/feedback", `{"user_verdict":"TP","reason":"wont_fix","comments":"old"}`, &got)
	if answer.Code != http.StatusCreated || got.Proposal == nil || got.Proposal.Author != "ci" {
		t.Fatalf("proposing: %d %s", answer.Code, answer.Body)
	}
	return path, got.Proposal.ID
}

// reported creates a scan with the two findings of report, and returns their paths.
func reported(t *testing.T, b *bench) (scan, high, low string) {
	t.Helper()
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
	var list results
	b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/findings", "", &list)
	if len(list.Items) != 2 {
		t.Fatalf("findings: %+v", list)
	}
	path := func(n int) string { return fmt.Sprintf("/api/v1/findings/%.0f", list.Items[n]["id"]) }
	return "/api/v1/scans/" + ref, path(0), path(1)
}

func inJSON(values ...any) string {
	var parts []string
	for _, value := range values {
		text, _ := json.Marshal(value)
		parts = append(parts, string(text))
	}
	return strings.Join(parts, " ")
}

// knows imports scores, and a catalog that lists CVE-2024-0003.
func (b *bench) knows(t *testing.T, scores ...core.Score) {
	t.Helper()
	for _, feed := range []core.Feed{
		{Kind: core.FeedEPSS, Date: time.Date(2026, 8, 16, 0, 0, 0, 0, time.UTC), Version: "v4", Source: "a", Scores: scores},
		{Kind: core.FeedKEV, Source: "b", Scores: []core.Score{{CVEID: "CVE-2024-0003"}}},
	} {
		if _, err := b.store.PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) deliver(t *testing.T, path string, body io.Reader) *httptest.ResponseRecorder {
	return b.serve(httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, body))
}

func (b *bench) serve(request *http.Request) *httptest.ResponseRecorder {
	request.Header.Set("Authorization", "Bearer uploader-token")
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	return recorder
}

// audit lists who did what, the oldest first.
func (b *bench) audit(t *testing.T) (list []string) {
	t.Helper()
	var got results
	b.call(t, "admin", "GET", "/api/v1/audit?limit=100", "", &got)
	for _, item := range got.Items {
		list = append([]string{fmt.Sprintf("%s: %s", item["actor"], item["action"])}, list...)
	}
	return list
}

// finding is one of a scan's.
func (b *bench) finding(t *testing.T, ref string) int {
	t.Helper()
	var got results
	b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/findings", "", &got)
	if len(got.Items) == 0 {
		t.Fatal("no findings")
	}
	return int(got.Items[0]["id"].(float64))
}

// operations are the operations of the description, by method and path.
func (b *bench) operations(t *testing.T) map[string]map[string]any {
	t.Helper()
	var described struct {
		Paths map[string]map[string]map[string]any
	}
	if err := json.Unmarshal(b.call(t, "", "GET", "/openapi.json", "", nil).Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	operations := map[string]map[string]any{}
	for path, methods := range described.Paths {
		for method, operation := range methods {
			operations[strings.ToUpper(method)+" "+path] = operation
		}
	}
	return operations
}

// mergeBases is a platform that only answers for one merge base, or fails.
type mergeBases struct {
	platforms.Platform
	base string
	err  error
}

func (h mergeBases) MergeBase(_ context.Context, project, branch, _ string) (string, error) {
	if h.err != nil {
		return "", h.err
	}
	if h.base == "" || project != "acme/shop" || branch != "main" {
		return "", platforms.ErrUnknownCommit
	}
	return h.base, nil
}
