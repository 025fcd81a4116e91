package gitlab_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newPlatform(t testing.TB, config platforms.Config) *gitlab.Platform {
	t.Helper()
	config.Name = "gitlab"
	if config.Now == nil {
		config.Now = func() time.Time { return noon }
	}
	platform, err := gitlab.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return platform
}

func headerOf(event string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-Gitlab-Event", event)
	return header
}

// forge is a GitLab with a project, a receiver of its calls that answers what code holds, and a clock to turn. The
// official description judges each call about a project.
type forge struct {
	*fakeforge.Server
	platform *gitlab.Platform
	address  string // of the receiver
	code     atomic.Int32
	now      atomic.Pointer[time.Time]
}

func (f *forge) turn(d time.Duration) {
	later := f.clock().Add(d)
	f.now.Store(&later)
}

func (f *forge) clock() time.Time { return *f.now.Load() }

func newForge(t *testing.T, judged bool) *forge {
	t.Helper()
	f := &forge{}
	f.code.Store(http.StatusAccepted)
	start := noon
	f.now.Store(&start)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(f.code.Load()))
	}))
	t.Cleanup(receiver.Close)
	f.address = receiver.URL + "/webhooks/gitlab"
	f.Server = fakegitlab.New(fakeforge.Config{Token: theToken, Now: f.clock})
	url := f.serve(t, judged)
	if err := f.SetBase(url + "/sub"); err != nil {
		t.Fatal(err)
	}
	f.AddRepository(fakeforge.Repository{Project: ofWidgets.Owner, ID: 7, Dir: t.TempDir()})
	if err := f.Declare(ofWidgets.Owner, sha); err != nil {
		t.Fatal(err)
	}
	f.platform = newPlatform(t, platforms.Config{
		URL: url + "/sub", Token: theToken, Now: f.clock,
		WebhookSecrets: []string{"", "the secret", "an older one"}, SigningTokens: []string{"", signing},
	})
	return f
}

func (f *forge) serve(t *testing.T, judged bool) string {
	if judged {
		const description = "openapi/gitlab/gitlab-api-v4.subset.json"
		return platformtest.Describe(t, description, "/sub").Serve(t, f.Server.ServeHTTP).URL
	}
	web := httptest.NewServer(f.Server)
	t.Cleanup(web.Close)
	return web.URL
}

func (f *forge) hook(t *testing.T, place core.HookTarget) platforms.Hook {
	t.Helper()
	hooks, err := f.platform.Hooks(t.Context(), place, f.address)
	if err != nil || len(hooks) != 1 {
		t.Fatalf("hooks %+v, %v, want one", hooks, err)
	}
	return hooks[0]
}

// announce pushes, and returns the answer's status; 0 where the hook was not called.
func (f *forge) announce(t *testing.T) int {
	t.Helper()
	made, err := f.Announce(t.Context(), fakeforge.PushSpec{Project: ofWidgets.Owner, Ref: "refs/heads/main", After: sha})
	if err != nil {
		t.Fatal(err)
	}
	if len(made) == 0 {
		return 0
	}
	return made[0].Status
}

// complete fills in what a hook of a test leaves open; the secret - is none.
func (f *forge) complete(hook fakeforge.Hook) fakeforge.Hook {
	if hook.Group == "" {
		hook.Project = ofWidgets.Owner
	}
	if hook.URL == "" {
		hook.URL = f.address
	}
	if hook.Secret == "" {
		hook.Secret, hook.SigningToken = "another secret", signing
	}
	hook.Secret = strings.TrimPrefix(hook.Secret, "-")
	if hook.Events == nil {
		hook.Events = []string{"push_events", "tag_push_events", "pipeline_events", "merge_requests_events"}
	}
	return hook
}

// fake is a GitLab that holds one commit; nil handlers answer well.
type fake struct {
	pipeline string // JSON of the commit's last pipeline
	post     func(w http.ResponseWriter, sent map[string]any)
	sent     []map[string]any
	read     []string // paths, each time that one was
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		f.read = append(f.read, r.URL.Path)
		_, _ = w.Write([]byte(`{"id":"x","last_pipeline":` + f.pipeline + `}`))
		return
	}
	sent := make(map[string]any)
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.Header.Get("Private-Token") != "the-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.sent = append(f.sent, sent)
	if f.post != nil {
		f.post(w, sent)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"id":1,"status":"running","pipeline_id":77,"coverage":null}`))
}

// start makes a platform for the fake, below a sub-path.
func (f *fake) start(t testing.TB) (*gitlab.Platform, *platformtest.Server) {
	if f.pipeline == "" {
		f.pipeline = "null"
	}
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	server := description.Serve(t, f.ServeHTTP)
	return newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"}), server
}

func (f *forge) attempts(t *testing.T, hook platforms.Hook) []platforms.Attempt {
	t.Helper()
	attempts, err := f.platform.Attempts(t.Context(), hook, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return attempts
}

func sampleOf(t *testing.T) fakeforge.Repository {
	t.Helper()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return fakeforge.Repository{Project: ofWidgets.Owner, ID: 7, Dir: sample.Dir}
}

// serveJSON makes a platform, below a sub-path, that gives the same answer to all.
func serveJSON(t *testing.T, status int, body string) (*gitlab.Platform, *platformtest.Server) {
	t.Helper()
	description := platformtest.Describe(t, "openapi/gitlab/gitlab-api-v4.subset.json", "/sub")
	server := description.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	return newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: "the-token"}), server
}

// tokenServer is a GitLab that answers the questions after a token and after its owner.
func tokenServer(t *testing.T, code int, self string, userCode int) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sub/api/v4/personal_access_tokens/self", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Private-Token") != "the-token" {
			t.Errorf("asked with %v", r.Header)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(self))
	})
	mux.HandleFunc("GET /sub/api/v4/user", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(userCode)
		_, _ = w.Write([]byte(`{"id":502,"username":"scanhook-bot"}`))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/sub"
}

// eventOf is the event that the name of a payload's file stands for, with underscores for blanks.
func eventOf(name string) string { return strings.ReplaceAll(name, "_", " ") }

// mergeWorld is a GitLab with a commit that has pipelines.
type mergeWorld struct {
	*fakeforge.Server
	*gitlab.Platform
	sha string
	ids []int64 // of the pipelines, after a 0
}

// startMergeWorld makes pipelines for the refs, in their order.
func startMergeWorld(t *testing.T, sample gitrepo.Checkout, refs ...string) mergeWorld {
	t.Helper()
	return startFaultyWorld(t, sample, nil, refs...)
}

// startFaultyWorld has some calls answered with faults.
func startFaultyWorld(t *testing.T, sample gitrepo.Checkout, faults func(*http.Request) *fakeforge.Fault, refs ...string) mergeWorld {
	t.Helper()
	server := fakegitlab.New(fakeforge.Config{Token: "the-token", Faults: faults})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", Dir: sample.Dir, DefaultBranch: "main"})
	w := mergeWorld{server, newPlatform(t, platforms.Config{URL: listener.URL, Token: "the-token"}), sample.Head, []int64{0}}
	for _, ref := range refs {
		id, err := server.AddPipeline("acme/widgets", w.sha, ref, "build")
		if err != nil {
			t.Fatal(err)
		}
		w.ids = append(w.ids, id)
	}
	return w
}

// openFromFork opens merge request 7 from a fork in which the token has no rights, with an external status check.
func (w mergeWorld) openFromFork(t *testing.T, dir, head string) {
	t.Helper()
	w.AddRepository(fakeforge.Repository{Project: "eve/widgets", Dir: dir, DefaultBranch: "main"})
	w.Estrange("eve/widgets")
	_, err := w.BuildRequest(fakeforge.RequestSpec{Project: "acme/widgets", Number: 7, From: "eve/widgets", Branch: "topic", Head: head, Action: "opened"})
	if err == nil {
		_, err = w.AddCheck("acme/widgets", "scanhook")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func vectorHeader() http.Header {
	return http.Header{
		"Webhook-Id":        {"msg_p5jXN8AQM9LWM0D4loKWxJek"},
		"Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {vectorSignature},
	}
}

func at(seconds int64) func() time.Time { return func() time.Time { return time.Unix(seconds, 0) } }
