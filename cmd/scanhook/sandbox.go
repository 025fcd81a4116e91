package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegitea "github.com/scanhook/scanhook/internal/fakeforge/gitea"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store/sqldb"
)

// fakeForges make the fake forges, by the name of their kind.
var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{
	"github": fakegithub.New, "gitlab": fakegitlab.New, "gitea": fakegitea.New,
}

// sandbox is a fake Git platform and a Scanhook that it calls, both on loopback, with real HTTP and real git
// between them. scanhook demo shows the product with it; the end-to-end tests inject faults into it.
type sandbox struct {
	platform  *fakeforge.Server
	kind      string
	config    *config.Config
	yaml      string            // the text of config
	secrets   map[string]string // the variables that the text refers to
	apiToken  string
	host      string
	scanhook  string          // base address
	clock     sqldb.HostClock // the machine's when zero
	log       *slog.Logger
	pages     atomic.Pointer[web.Web] // nil until start
	stop      context.CancelFunc
	running   sync.WaitGroup
	listeners []net.Listener
}

// sandboxConfig is what a sandbox is made of: a kind of fakeForges and a directory for the database are required.
type sandboxConfig struct {
	kind     string
	dir      string // for the database and the mirrors; must exist
	host     string // where all listens, a loopback address; 127.0.0.1 when empty
	database string // another database's URL
	recover  string // how often missed pushes are looked for; never when empty, so that only webhooks make scans
	extra    string // YAML that is added to the configuration
	log      *slog.Logger
}

const sandboxConfiguration = `
server: {listen: %[6]q, public_url: %[1]q}
database: {url: %[2]q}
platforms:
  %[3]s:
    url: %[4]q
    api_url: %[5]q
    webhook_secrets: ["${SECRET}"]
    token: "${TOKEN}"
api:
  tokens: [{name: demo, token: "${API_TOKEN}", role: admin}]
recover: {every: %[7]s}
runner: {cache: %[8]q}
`

// newSandbox starts the platform and prepares Scanhook's configuration; start brings Scanhook up.
func newSandbox(ctx context.Context, cfg sandboxConfig) (*sandbox, error) {
	secret, token := rand.Text(), rand.Text()
	w := &sandbox{kind: cfg.kind, apiToken: rand.Text(), log: cfg.log, host: cmp.Or(cfg.host, "127.0.0.1")}
	w.platform = fakeForges[cfg.kind](fakeforge.Config{Secret: secret, Token: token, MayBrowse: w.mayBrowse})
	ctx, w.stop = context.WithCancel(ctx)
	platform, err := w.listen()
	if err != nil {
		return nil, err
	}
	if err := w.platform.SetBase("http://" + platform.Addr().String()); err != nil {
		return nil, err
	}
	w.running.Go(func() { _ = w.platform.Run(ctx, platform) })
	receiver, err := w.listen()
	if err != nil {
		return nil, err
	}
	w.scanhook = "http://" + receiver.Addr().String()
	if cfg.database == "" {
		cfg.database = "sqlite:" + filepath.Join(cfg.dir, "scanhook.db")
	}
	text := fmt.Sprintf(sandboxConfiguration, w.scanhook, cfg.database, cfg.kind, w.platform.Base(),
		w.platform.APIURL(w.platform.Base()), receiver.Addr().String(), cmp.Or(cfg.recover, "0"), filepath.Join(cfg.dir, "mirrors"))
	if cfg.extra == "" {
		cfg.extra = "repositories: [{match: '**'}]"
	}
	w.yaml = text + cfg.extra
	w.secrets = map[string]string{"SECRET": secret, "TOKEN": token, "API_TOKEN": w.apiToken}
	w.config, err = config.Parse("demo configuration", []byte(w.yaml), platformTypes(), func(name string) (string, bool) {
		value, ok := w.secrets[name]
		return value, ok
	})
	return w, err
}

func (w *sandbox) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", w.host+":0")
	if err == nil {
		w.listeners = append(w.listeners, listener)
	}
	return listener, err
}

// start runs Scanhook as `scanhook serve` would.
func (w *sandbox) start(ctx context.Context) error {
	app, err := newAppAs(ctx, w.config, instance{host: w.clock}, w.log)
	if err != nil {
		return err
	}
	w.pages.Store(app.pages)
	receiver := w.listeners[len(w.listeners)-1]
	w.running.Go(func() {
		if err := errors.Join(app.serve(ctx, receiver, w.log), app.close()); err != nil {
			w.log.Error("serving failed", "error", err)
		}
	})
	return nil
}

// close ends everything that still runs; the context given to start must have ended.
func (w *sandbox) close() {
	w.stop()
	w.running.Wait()
	for _, listener := range w.listeners {
		_ = listener.Close()
	}
}

// mayBrowse shows the repositories to those who are logged in to Scanhook: other users of the machine shall not read the
// one at PATH. Browsers send cookies to every port of a host.
func (w *sandbox) mayBrowse(r *http.Request) bool {
	pages := w.pages.Load()
	return pages != nil && pages.Sessions.Admits(r)
}

// loginLink is an address that opens a page of Scanhook and logs in, once.
func (w *sandbox) loginLink(page string) string {
	return w.scanhook + w.pages.Load().Sessions.Invite(tokenOf(w.config.API.Tokens[0]), page)
}

func (w *sandbox) hookURL() string { return w.scanhook + "/webhooks/" + w.kind }

// push announces a commit of a project's branch and returns the answer. The forge's own CI has made its pipeline by then.
func (w *sandbox) push(ctx context.Context, spec fakeforge.PushSpec) (fakeforge.Delivery, error) {
	if _, err := w.platform.AddPipeline(spec.Project, spec.After, strings.TrimPrefix(spec.Ref, "refs/heads/"), "build"); err != nil {
		return fakeforge.Delivery{}, err
	}
	delivery, err := w.platform.Push(ctx, w.hookURL(), spec)
	if err == nil && delivery.Status/100 != 2 {
		err = fmt.Errorf("the webhook was answered %d: %s", delivery.Status, delivery.Answer)
	}
	return delivery, err
}

// final waits until the platform shows a commit's final state.
func (w *sandbox) final(ctx context.Context, sha string) (fakeforge.Status, error) {
	return w.platform.Wait(ctx, func(s fakeforge.Status) bool {
		return s.SHA == sha && s.State != "pending" && s.State != "running"
	})
}
