package webhooks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

// Names are legal like on the platforms: case does not matter, and dots are allowed if a segment is not . or ..
func TestReceiveLegalNames(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{Policies: core.Policies{
		{Match: "github/acme/*", Policy: storetest.Policy}, {Match: "gitlab/Acme/**", Policy: storetest.Policy},
	}})
	handler := serve(t, s)
	for i, test := range []struct{ platform, event, project, kept string }{
		{"github", "push", "Acme/Shop", "Acme/Shop"},
		{"github", "push", "acme/shop", "Acme/Shop"},
		{"github", "push", "acme/kernel.msm-4..14", "acme/kernel.msm-4..14"},
		{"github", "push", "acme/...", "acme/..."},
		{"github", "push", "acme/..", ""},
		{"github", "push", "./shop", ""},
		{"gitlab", "Push Hook", "ACME/Sub/shop..", "ACME/Sub/shop.."},
		{"gitlab", "Push Hook", "acme/sub/SHOP..", "ACME/Sub/shop.."},
	} {
		sha := fmt.Sprintf("%040x", i+1)
		body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%[1]q,"after":%[2]q,"checkout_sha":%[2]q,
			"head_commit":{"id":%[2]q},"repository":{"id":1,"full_name":%[3]q},
			"project":{"id":2,"path_with_namespace":%[3]q}}`, zeros, sha, test.project)
		call := seal(t, test.platform, test.event, body)
		got := send(t, handler, "/webhooks/"+test.platform, call.Header, call.Body)
		if test.kept == "" {
			if aside := setAside(t, s); len(aside) == 0 || fmt.Sprint(aside[0].ID) != got.Delivery || got.Scan != "" {
				t.Errorf("%s: want it set aside, got %+v and %+v", test.project, got, aside)
			}
			continue
		}
		if got.Outcome != core.Accepted {
			t.Errorf("%s: want a scan, got %+v", test.project, got)
			continue
		}
		if scan, err := s.GetScan(t.Context(), got.Scan); err != nil || scan.ProjectName != test.kept || scan.Branch != "main" {
			t.Errorf("%s: kept as %s, branch %q, %v; want %s", test.project, scan.ProjectName, scan.Branch, err, test.kept)
		}
	}
}

// The platform's numeric id says which project a call is about: a repository that is made anew is another one, one with another
// name is the same.
func TestReceiveProjects(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	handler := serve(t, s)
	received := func(id int, name, sha string) core.Scan {
		t.Helper()
		call := seal(t, "github", "push", fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,"head_commit":{"id":%q},
			"repository":{"id":%d,"full_name":%q,"default_branch":"main"}}`, zeros, sha, sha, id, name))
		got := send(t, handler, "/webhooks/github", call.Header, call.Body)
		scan, err := s.GetScan(t.Context(), got.Scan)
		if err != nil || got.Outcome != core.Accepted {
			t.Fatalf("%d %s: %+v, %v", id, name, got, err)
		}
		return scan
	}
	first, again := received(500, "acme/reborn", head), received(501, "acme/reborn", head)
	if again.ID == first.ID || again.ProjectID == first.ProjectID || again.ProjectRef != "501" {
		t.Errorf("the same commit of another project: %+v, after %+v", again, first)
	}
	for _, scan := range []core.Scan{first, again} {
		if statuses, err := s.ListStatuses(t.Context(), scan); err != nil || len(statuses) != 1 || statuses[0].ProjectRef != scan.ProjectRef {
			t.Errorf("statuses of %s: %+v, %v", scan.ProjectRef, statuses, err)
		}
	}
	renamed := received(501, "acme/renamed", strings.Repeat("5", 40))
	if renamed.ProjectID != again.ProjectID || renamed.ProjectName != "acme/renamed" {
		t.Errorf("after a rename: %+v", renamed)
	}
}

func TestReceiveAnswers(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "github/acme/*", Policy: storetest.Policy}}})
	handler := serve(t, s)
	push := seal(t, "github", "push", pushBody)
	first := send(t, handler, "/webhooks/github", push.Header, push.Body)
	if first.Status != http.StatusAccepted || first.Outcome != core.Accepted || first.Scan == "" || first.Delivery != "1" {
		t.Fatalf("push: %+v", first)
	}
	wrong := push.Header.Clone()
	wrong.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	other := seal(t, "github", "push", strings.ReplaceAll(pushBody, "acme/shop", "else/where"))
	huge := seal(t, "github", "push", pushBody+strings.Repeat(" ", webhooks.MaxBody))
	cases := map[string]struct {
		path     string
		delivery fakeforge.Delivery
		header   http.Header
		status   int
		outcome  core.Outcome
		says     string
	}{
		"the same again":     {"github", push, nil, 200, core.Duplicate, ""},
		"the same commit":    {"github", seal(t, "github", "push", pushBody), nil, 202, core.Accepted, ""},
		"unknown repository": {"github", other, nil, 202, core.OutcomeIgnored, "repositories"},
		"ping":               {"github", seal(t, "github", "ping", `{"zen":"x","hook_id":1}`), nil, 202, core.OutcomeIgnored, "ping"},
		"unused event":       {"github", seal(t, "github", "star", `{"action":"created"}`), nil, 202, core.OutcomeIgnored, "star"},
		"wrong signature":    {"github", push, wrong, 401, "", "secret"},
		"no signature":       {"github", push, http.Header{"X-Github-Event": {"push"}}, 401, "", ""},
		"platform is off":    {"off", push, nil, 401, "", "off"},
		"unknown platform":   {"gitea", push, nil, 404, "", "gitea"},
		"too large":          {"github", huge, nil, 413, "", "exceeds"},
		"nonsense":           {"github", seal(t, "github", "push", `{"ref":`), nil, 202, core.Accepted, ""},
		"not an object":      {"github", seal(t, "github", "push", `[]`), nil, 202, core.Accepted, ""},
		"push without facts": {"github", seal(t, "github", "push", `{}`), nil, 202, core.Accepted, ""},
	}
	for name, c := range cases {
		if c.header == nil {
			c.header = c.delivery.Header
		}
		got := send(t, handler, "/webhooks/"+c.path, c.header, c.delivery.Body)
		if got.Status != c.status || got.Outcome != c.outcome || !strings.Contains(got.Reason+got.Detail, c.says) {
			t.Errorf("%s: %+v, want %d %s …%s…", name, got, c.status, c.outcome, c.says)
		}
		if c.status == 200 && got.Scan != first.Scan {
			t.Errorf("%s: scan %s, want %s", name, got.Scan, first.Scan)
		}
		if got.Status >= 400 && len(got.Detail) < 20 {
			t.Errorf("%s: the problem needs a sentence, got %q", name, got.Detail)
		}
	}
	for _, d := range setAside(t, s) {
		if len(d.Error) < 20 {
			t.Errorf("delivery %d needs a sentence, got %q", d.ID, d.Error)
		}
	}
	if aside := setAside(t, s); len(aside) != 3 {
		t.Errorf("%d calls set aside, want nonsense, what is not an object, and what has no facts", len(aside))
	}
}

// Every recorded payload gets the right answer through the whole entry point.
func TestReceiveRecordedPayloads(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "testdata")
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.json"))
	if err != nil {
		t.Skip("no recorded payloads beside this checkout")
	}
	var recorded struct {
		Webhooks []struct {
			Path, Platform, Event, Kind, Expect string
			Facts                               struct {
				CommitSHA *string `json:"commit_sha"`
				Deleted   bool
			}
		}
	}
	if err := json.Unmarshal(manifest, &recorded); err != nil {
		t.Fatal(err)
	}
	policy := storetest.Policy
	policy.Tags = []string{"**"}
	s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
	handler := serve(t, s)
	for _, w := range recorded.Webhooks {
		body, err := os.ReadFile(filepath.Join(root, w.Path))
		if err != nil {
			t.Fatal(err)
		}
		delivery := seal(t, w.Platform, w.Event, string(body))
		got := send(t, handler, "/webhooks/"+w.Platform, delivery.Header, delivery.Body)
		switch scanned := w.Facts.CommitSHA != nil && !w.Facts.Deleted && (w.Kind == "push" || w.Kind == "tag_push"); {
		case w.Expect == "reject":
			if aside := setAside(t, s); len(aside) == 0 || fmt.Sprint(aside[0].ID) != got.Delivery {
				t.Errorf("%s: %+v, want it set aside", w.Path, got)
			}
		case scanned:
			if got.Status != http.StatusAccepted || got.Scan == "" {
				t.Errorf("%s: %+v, want a scan", w.Path, got)
			} else if scan, err := s.GetScan(t.Context(), got.Scan); err != nil || scan.CommitSHA != *w.Facts.CommitSHA {
				t.Errorf("%s: scan of %s, %v, want %s", w.Path, scan.CommitSHA, err, *w.Facts.CommitSHA)
			}
		case got.Status != http.StatusAccepted && got.Status != http.StatusOK:
			t.Errorf("%s: %+v, want 2xx", w.Path, got)
		}
	}
}

// A client without any signature cannot make us hold 25 MB.
func TestBodyWithoutProofIsNotRead(t *testing.T) {
	t.Parallel()
	handler := serve(t, storetest.Open(t, store.Config{}))
	for path, header := range map[string]http.Header{
		"/webhooks/github": {"X-Github-Event": {"push"}, "X-Hub-Signature": {"sha1=00"}, "X-Hub-Signature-256": {"sha256="}},
		"/webhooks/gitlab": {"X-Gitlab-Event": {"Push Hook"}},
	} {
		request := httptest.NewRequest(http.MethodPost, path, untouchable{t})
		request.Header = header
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
		}
	}
}

// Calls that cannot be verified get no time either, because connections are limited.
func TestStalledCallsWithoutSignatureAreClosed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(serveScoped(t, storetest.Open(t, store.Config{}), nil))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nContent-Length: 9\r\n\r\n{")
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) < 12 || string(answer[9:12]) != "401" {
		t.Errorf("answer %q, %v, want 401 and the end", answer, err)
	}
}

func TestReceiveWhileTheDatabaseIsUnreachable(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, database.Host)
	database.Host = w.Addr().String()
	handler := serve(t, storetest.OpenAt(t, database.String(), store.Config{}))
	push := seal(t, "github", "push", pushBody)
	w.set(true)
	for range 10 {
		got := send(t, handler, "/webhooks/github", push.Header, push.Body)
		if got.Status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.Detail == "" {
			t.Fatalf("while it is unreachable: %+v, Retry-After %q, want 503", got, got.header.Get("Retry-After"))
		}
	}
	w.set(false)
	if got := send(t, handler, "/webhooks/github", push.Header, push.Body); got.Outcome != core.Accepted {
		t.Errorf("when it is back: %+v, want accepted", got)
	}
}

// A body counts until it is on disk: while the database keeps calls waiting, no more of them fill the memory.
func TestWaitingCallsAreInMemoryOnce(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	receiver := webhooks.New(webhooks.Config{Platforms: newSet(t), Store: storetest.OpenAt(t, url, store.Config{}), Log: discard})
	receiver.Limit(httpx.NewBodies(time.Millisecond, httpx.Class{UpTo: webhooks.MaxBody, AtOnce: 1}))
	handler := routed(receiver)
	writer, err := storetest.Connect(t, url).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	if _, err := writer.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 2)
	for range 2 {
		call := seal(t, "github", "ping", `{"zen":"x"}`)
		go func() { answers <- send(t, handler, "/webhooks/github", call.Header, call.Body) }()
	}
	if got := <-answers; got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Detail, "bodies as large as this one") {
		t.Errorf("while another one waits: %+v", got)
	}
	if _, err := writer.ExecContext(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.Status != http.StatusAccepted {
		t.Errorf("%+v", got)
	}
}

// People choose the names of branches and projects. No text in a payload may cause an internal error.
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

// Numbers, times and texts of pipelines are as untrusted as those of pushes.
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

// runFacts are the values of a recorded payload, which the row must have.
type runFacts struct {
	Project    string   `json:"project"`
	RepoURL    string   `json:"repo_url"`
	Branch     string   `json:"branch"`
	Tag        string   `json:"tag"`
	CommitSHA  string   `json:"commit_sha"`
	Duration   *float64 `json:"duration_seconds"`
	PipelineID int64    `json:"pipeline_id"`
	Artifact   *int64   `json:"artifact_bytes"`
	Status     string   `json:"status"`
	Conclusion string   `json:"conclusion"`
	Source     string   `json:"source"`
}

// Every recorded pipeline becomes a row with the values of the payload, on a scan that the pipeline created.
func TestRecordedPipelinesBecomeRows(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "testdata")
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.json"))
	if err != nil {
		t.Skip("no recorded payloads beside this checkout")
	}
	var recorded struct {
		Webhooks []struct {
			Path, Platform, Event, Kind string
			Facts                       runFacts
		}
	}
	if err := json.Unmarshal(manifest, &recorded); err != nil {
		t.Fatal(err)
	}
	for _, w := range recorded.Webhooks {
		if w.Kind != "pipeline" {
			continue
		}
		t.Run(w.Path, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join(root, w.Path))
			if err != nil {
				t.Fatal(err)
			}
			policy := storetest.Policy
			policy.Tags = []string{"**"}
			s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			delivery := seal(t, w.Platform, w.Event, string(body))
			got := send(t, serve(t, s), "/webhooks/"+w.Platform, delivery.Header, delivery.Body)
			if got.Status != http.StatusAccepted || got.Outcome != core.Accepted {
				t.Fatalf("answer = %+v", got)
			}
			w.Facts.check(t, s, w.Platform, got.Scan)
		})
	}
}

func (want runFacts) check(t *testing.T, s *store.Store, platform, reference string) {
	t.Helper()
	scan, err := s.GetScan(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.ListMetrics(t.Context(), store.MetricFilter{Platform: platform, Project: want.Project, Limit: 2})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	run := runs[0]
	got := runFacts{
		Project: run.ProjectName, RepoURL: scan.RepoURL, Branch: scan.Branch, CommitSHA: run.CommitSHA,
		Duration: run.BuildDurationSeconds, PipelineID: run.PipelineID, Artifact: run.ArtifactSizeBytes,
		Status: run.Status, Source: run.Source,
	}
	want.Branch += want.Tag
	if want.Conclusion != "" && want.Status == "completed" {
		want.Status = want.Conclusion
	}
	want.Tag, want.Conclusion = "", ""
	if want.Duration != nil {
		*want.Duration = max(*want.Duration, 0) // times in the wrong order tell no duration below zero
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

const pipelineBody = `{"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","tag":false,
	"sha":"` + head + `","source":"SOURCE","status":"success",
	"created_at":"2026-11-23 12:00:00 UTC","finished_at":"2026-11-23 12:01:00 UTC",
	"duration":60.5,"queued_duration":null,"variables":[{"key":"DEPLOY_TOKEN","value":"swordfish-4711"}]},
	"project":{"id":7,"path_with_namespace":"acme/shop","web_url":"https://gitlab.com/acme/shop","default_branch":"main"},
	"builds":[{"id":1,"artifacts_file":{"filename":null,"size":null}},
		{"id":2,"artifacts_file":{"filename":"a.zip","size":12}}]}`

// Variables of a pipeline can be secrets. None is stored, whatever kind of hook sends them.
func TestPipelineVariablesAreNotKept(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"Pipeline Hook", "System Hook"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			url := storetest.SQLiteURL(t)
			s := storetest.OpenAt(t, url, store.Config{})
			delivery := seal(t, "gitlab", event, strings.ReplaceAll(pipelineBody, "SOURCE", "push"))
			got := send(t, serve(t, s), "/webhooks/gitlab", delivery.Header, delivery.Body)
			if got.Outcome != core.Accepted {
				t.Errorf("answer = %+v", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(strings.TrimPrefix(url, "sqlite:") + "*")
			if err != nil || len(files) == 0 {
				t.Fatalf("no database at %s: %v", url, err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil || bytes.Contains(content, []byte("swordfish")) || bytes.Contains(content, []byte("DEPLOY_TOKEN")) {
					t.Errorf("%s holds the pipeline's variables (%v)", file, err)
				}
			}
		})
	}
}

// The statuses that we post come back as pipelines of the source external.
func TestExternalPipelinesAreIgnored(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	delivery := seal(t, "gitlab", "Pipeline Hook", strings.ReplaceAll(pipelineBody, "SOURCE", "external"))
	got := send(t, serve(t, s), "/webhooks/gitlab", delivery.Header, delivery.Body)
	if got.Status != http.StatusAccepted || got.Outcome != core.OutcomeIgnored {
		t.Errorf("answer = %+v", got)
	}
	if scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1}); err != nil || len(scans) > 0 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
}
