package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// giteaReceiver is the Scanhook that a Gitea calls, with a note of each call and its answer.
type giteaReceiver struct {
	yaml    string
	secrets map[string]string // the variables of yaml
	config  *config.Config
	log     *slog.Logger
	said    journal
	address string
	end     func() error // of the run that was started last

	mu    sync.Mutex
	calls []giteaCall
}

// giteaCall is one webhook call.
type giteaCall struct {
	event   string // header X-GitHub-Event
	payload giteaPayload
	status  int
	answer  struct{ Outcome, Scan, Reason, Detail string }
}

// giteaPayload is what the test wants to know of Gitea's many events.
type giteaPayload struct {
	Ref, After, Action string
	Repository         struct {
		FullName string `json:"full_name"`
	}
}

func (r *giteaReceiver) hookURL() string { return "http://" + r.address + "/webhooks/gitea" }

// start runs Scanhook until stop or the end of the test. Without its loops it takes calls but does nothing about them.
func (r *giteaReceiver) start(t *testing.T, loops bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	app, err := newApp(ctx, r.config, r.log)
	if err != nil {
		t.Fatal(err)
	}
	if !loops {
		app.loops = nil
	}
	app.handler = r.noting(app.handler)
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(app.serve(ctx, listener, r.log), app.close()) }()
	r.end = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

func (r *giteaReceiver) stop(t *testing.T) {
	t.Helper()
	if err := r.end(); err != nil {
		t.Errorf("serving: %v", err)
	}
}

// noting keeps what Gitea sends and what it is answered.
func (r *giteaReceiver) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.URL.Path, "/webhooks/") {
			next.ServeHTTP(w, request)
			return
		}
		body, _ := io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, request)
		r.note(request.Header.Get("X-GitHub-Event"), body, answer)
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

func (r *giteaReceiver) note(event string, body []byte, answer *httptest.ResponseRecorder) {
	call := giteaCall{event: event, status: answer.Code}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("payload") {
		body = []byte(form.Get("payload"))
	}
	_ = json.Unmarshal(body, &call.payload)
	_ = json.Unmarshal(answer.Body.Bytes(), &call.answer)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

// called waits for a call that matches and returns it.
func (r *giteaReceiver) called(t *testing.T, event, project string, match func(giteaPayload) bool) giteaCall {
	t.Helper()
	return eventually(t, fmt.Sprintf("the event %s of %s", event, project), func() (giteaCall, bool) {
		for _, call := range r.noted() {
			if call.event == event && call.payload.Repository.FullName == project && match(call.payload) {
				return call, true
			}
		}
		return giteaCall{}, false
	})
}

func (r *giteaReceiver) noted() []giteaCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// giteaScan is a scan as Scanhook's API tells it.
type giteaScan struct {
	Platform     string `json:"source_platform"`
	Project      string `json:"project_name"`
	URL          string `json:"repo_url"`
	Branch       string
	Commit       string `json:"commit_sha"`
	Before       string `json:"before_sha"`
	Status       string
	Summary      string
	ChangedFiles *int `json:"num_changed_files"`
	Truncated    bool `json:"changed_files_truncated"`
}

func (r *giteaReceiver) scan(t *testing.T, reference string) (scan giteaScan) {
	t.Helper()
	r.api(t, http.MethodGet, "/scans/"+reference, nil, &scan)
	return scan
}

// api asks Scanhook's API, below /api/v1. The answer may be nil where nobody looks at it.
func (r *giteaReceiver) api(t *testing.T, method, path string, question, answer any) {
	t.Helper()
	callJSON(t, "http://"+r.address+"/api/v1"+path, method, "Bearer "+r.secrets["API_TOKEN"], question, answer)
}

const giteaConfiguration = `
server: {listen: %[1]q, public_url: "http://%[1]s"}
database: {url: %[2]q}
platforms:
  gitea:
    url: %[3]q
%[6]s
    webhook_secrets: ["${SECRET}"]
    token: "${TOKEN}"
api:
  tokens: [{name: test, token: "${API_TOKEN}", role: triager}]
recover: {every: %[4]s}
runner: {cache: %[7]q}
defaults: {tags: ["v*"], comment: %[8]s}
repositories: [{match: %[5]q}]
`

// giteaOptions are what differs between the Scanhooks that call one Gitea.
type giteaOptions struct {
	token   string // of the account that Scanhook posts as
	recover string // how often missed pushes are looked for; never when empty
	match   string // the repositories, all of giteaOwner when empty
	comment string // on requests; off when empty
	likeHub bool   // configured as before Gitea was a type of its own
}

// newGiteaReceiver prepares a Scanhook for a Gitea.
func newGiteaReceiver(t *testing.T, gitea string, o giteaOptions) *giteaReceiver {
	t.Helper()
	r := &giteaReceiver{
		address: fmt.Sprintf("127.0.0.1:%d", freePort(t)), end: func() error { return nil },
		secrets: map[string]string{"SECRET": rand.Text(), "TOKEN": o.token, "API_TOKEN": rand.Text()},
	}
	r.log = slog.New(slog.NewTextHandler(io.MultiWriter(&testWriter{t}, &r.said), nil))
	kind := ""
	if o.likeHub {
		kind = "    type: github\n    api_url: " + gitea + "/api/v1"
	}
	r.yaml = fmt.Sprintf(giteaConfiguration, r.address, "sqlite:"+filepath.Join(t.TempDir(), "scanhook.db"), gitea,
		cmp.Or(o.recover, "0"), "gitea/"+cmp.Or(o.match, giteaOwner+"/*"), kind, filepath.Join(t.TempDir(), "mirrors"),
		cmp.Or(o.comment, "off"))
	r.useToken(t, o.token)
	t.Cleanup(func() { r.stop(t) })
	return r
}

// useToken is what an administrator does to a token in the configuration; it counts from the next start on.
func (r *giteaReceiver) useToken(t *testing.T, token string) {
	t.Helper()
	r.secrets["TOKEN"] = token
	var err error
	r.config, err = config.Parse("config.yaml", []byte(r.yaml), platformTypes(), func(name string) (string, bool) {
		value, ok := r.secrets[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runs runs one of Scanhook's commands with the receiver's configuration, and makes sure that it keeps the secrets.
func (r *giteaReceiver) runs(t *testing.T, args ...string) outcome {
	t.Helper()
	text := r.yaml
	for name, value := range r.secrets {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	got := command(t, append(args, "--config", writeFile(t, text))...)
	for _, secret := range r.secrets {
		got.hides(t, secret)
	}
	return got
}

// look opens the receiver's database beside the running server.
func (r *giteaReceiver) look(t *testing.T) *store.Store {
	t.Helper()
	return storetest.OpenAt(t, r.config.Database.URL.Reveal(), store.Config{})
}

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

// lines are those that contain all the words.
func (j *journal) lines(words ...string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}
