package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

// A kind of platform that nothing but this file knows.
func init() { platformKinds = append(platformKinds, towerKind()) }

func towerKind() platforms.Kind {
	return platforms.Kind{
		Name: "tower", Title: "Tower", Aliases: []string{"spire"},
		Events: map[string]string{"push": "Arrival"},
		Sign: func(call platforms.Call) (http.Header, error) {
			return http.Header{"X-Tower-Event": {call.Event}, "X-Tower-Secret": {call.Secret}}, nil
		},
		Links: platforms.Links{Commit: "~commit/{sha}", File: "~file/{sha}/{path}", Line: "?line={line}", Lines: "?lines={line}-{end}"},
		CI: func(getenv func(string) string) (platforms.CICommit, bool) {
			return platforms.CICommit{Platform: "tower", SHA: getenv("TOWER_COMMIT")}, getenv("TOWER_COMMIT") != ""
		},
		Token: platforms.TokenAdvice{Variable: "TOWER_TOKEN", Needs: "the key of the gate", ForHooks: "the key of the bell"},
		New:   newTower,
	}
}

// tower is the adapter. Its git is that of another platform, its API takes statuses.
type tower struct {
	platforms.Config
	keys *platforms.Keyring
	api  *http.Client
}

func newTower(config platforms.Config) (platforms.Platform, error) {
	scopes := append([]platforms.Scope{{WebhookSecrets: config.WebhookSecrets}}, config.Scopes...)
	keys, err := platforms.NewKeyring(config.Name, scopes, nil)
	return &tower{config, keys, platforms.NewClient(nil)}, err
}

func (w *tower) Verify(header http.Header, _ []byte) (platforms.Verification, error) {
	verification, fits := w.keys.Webhook.Plain(header.Get("X-Tower-Secret"))
	if !fits {
		return verification, core.ErrDenied
	}
	return verification, nil
}

// arrival is the payload of the one event.
type arrival struct {
	Project, Branch string
	Before, After   platforms.Text
}

func (w *tower) Parse(header http.Header, body []byte) (core.Delivery, error) {
	event := header.Get("X-Tower-Event")
	var payload arrival
	if err := platforms.DecodeObject(body, &payload); err != nil || event != "Arrival" {
		return core.Delivery{}, fmt.Errorf("%w: %s: %w", core.ErrInvalid, event, err)
	}
	project := core.Project{Name: payload.Project, Ref: "7", DefaultBranch: payload.Branch, URL: w.URL + "/" + payload.Project}
	moved := platforms.PushPayload{
		Ref: platforms.Text("refs/heads/" + payload.Branch), Before: payload.Before, After: payload.After,
	}
	push, err := platforms.CompletePush(moved.Push(project, ""))
	return core.Delivery{
		Platform: w.Name, Key: platforms.HashKey(event, body), Name: event, Project: payload.Project, Event: push,
	}, err
}

func (w *tower) PostStatus(ctx context.Context, status core.Status) (platforms.Posted, error) {
	body, err := json.Marshal(status)
	if err != nil {
		return platforms.Posted{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.APIURL+"/statuses", bytes.NewReader(body))
	if err != nil {
		return platforms.Posted{}, err
	}
	response, err := w.api.Do(request)
	if err != nil {
		return platforms.Posted{}, err
	}
	defer response.Body.Close()
	return platforms.Posted{Code: response.StatusCode}, nil
}

func (w *tower) Remote(_ context.Context, project string) (platforms.Remote, error) {
	login := base64.StdEncoding.EncodeToString([]byte("tower:" + w.Token))
	return platforms.Remote{URL: w.URL + "/" + project + ".git", Authorization: "Basic " + login}, nil
}

func (w *tower) CheckCredential(context.Context) (platforms.Credential, error) {
	return platforms.Credential{}, nil
}

// statusBoard is the API of a tower.
type statusBoard struct {
	mu    sync.Mutex
	shown map[string]core.Status // by commit
}

func (b *statusBoard) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var status core.Status
	_ = json.NewDecoder(r.Body).Decode(&status)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown[status.CommitSHA] = status
}

func (b *statusBoard) final(sha string) (core.Status, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	status, shown := b.shown[sha]
	return status, shown && status.State != core.StatusPending
}

// A new kind of platform needs an adapter and nothing else: its calls are verified, pushes are scanned, statuses posted,
// pages linked, and the commands know it.
func TestNewKindOfPlatform(t *testing.T) {
	t.Parallel()
	board := &statusBoard{shown: map[string]core.Status{}}
	api := httptest.NewServer(board)
	t.Cleanup(api.Close)
	w, sample := setup(t, sandboxConfig{kind: "github"}) // serves the tower's git
	w.useTower(t, api.URL)
	startSandbox(t, w)
	file := w.file(t)
	payload, err := json.Marshal(map[string]string{"project": "acme/shop", "branch": "main", "after": sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	command(t, "send", writeFile(t, string(payload)), "--event", "push", "--platform", "tower", "--config", file).
		expect(t, 0, "Arrival sent to "+w.scanhook+"/webhooks/tower: 202", `"accepted"`)
	status := eventually(t, "the final status", func() (core.Status, bool) { return board.final(sample.Head) })
	if status.State != core.StatusFailure || status.Description != "5 new (3 critical, 2 high)" {
		t.Errorf("status %+v", status)
	}
	page := readPage(t, w.loginLink(strings.TrimPrefix(status.TargetURL, w.scanhook)))
	project := w.platform.Base() + "/acme/shop"
	for _, link := range []string{project + "~commit/" + sample.Head, project + "~file/" + sample.Head + "/"} {
		if !strings.Contains(page, link) {
			t.Errorf("the page of the scan has no link to %s", link)
		}
	}
	command(t, "check", "--config", file).expect(t, 0, "ok    platform tower: verifies webhooks at "+w.scanhook+
		"/webhooks/tower, statuses posted to "+w.platform.Base())
	command(t, "hooks", "sync", "tower/acme/shop", "--config", file).
		expect(t, 1, "webhooks of this platform are added by hand")
	command(t, "hooks", "sync", "--help").expect(t, 0, "the key of the bell")
}

// useTower makes the sandbox's platform a tower by another name of its type.
func (w *sandbox) useTower(t *testing.T, api string) {
	t.Helper()
	w.kind = "tower"
	w.yaml = strings.Replace(w.yaml, "  github:\n", "  tower:\n    type: spire\n", 1)
	w.yaml = regexp.MustCompile(`api_url: .*`).ReplaceAllString(w.yaml, "api_url: "+api)
	var err error
	w.config, err = config.Parse("config.yaml", []byte(w.yaml), platformTypes(), func(name string) (string, bool) {
		value, known := w.secrets[name]
		return value, known
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readPage opens a link that logs in.
func readPage(t *testing.T, link string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Jar: jar}).Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", link, response.StatusCode, err)
	}
	return string(text)
}
