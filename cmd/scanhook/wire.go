package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/cage"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/statuses"
	"github.com/scanhook/scanhook/internal/trace"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/migrations"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/webhooks"
)

// app is Scanhook put together: what answers requests, and the loops that work behind it.
type app struct {
	store    *store.Store
	mirrors  *mirror.Cache
	evidence *evidence.Git
	tracer   *trace.Tracer
	router   *gin.Engine  // all routes
	handler  http.Handler // answers requests with them
	metrics  http.Handler
	pages    *web.Web
	tls      *tls.Config // nil: none is spoken
	loops    []func(context.Context)

	metricsListener net.Listener // nil: /metrics has no address of its own
}

// newApp builds everything that the configuration asks for and opens the database, which it serves alone if it is a file.
// Close it after use.
func newApp(ctx context.Context, cfg *config.Config, log *slog.Logger) (*app, error) {
	return newAppAs(ctx, cfg, instance{}, log)
}

// instance is what one process has of its own.
type instance struct {
	parts cli.Parts
	host  sqldb.HostClock // the machine's when zero
	fault func() error    // why the configuration is not that of the file; nil where it is not read again
}

// newAppAs is newApp for a process that does only some parts, or has a clock of its own, in tests.
func newAppAs(ctx context.Context, cfg *config.Config, as instance, log *slog.Logger) (*app, error) {
	reports.HideCredentials(cfg.Credentials()...)
	w := &wiring{config: cfg, parts: as.parts, reloaded: as.fault, log: log, throttle: httpx.NewLoginThrottle(), meter: newMeter()}
	err := w.readConfig()
	if err != nil {
		return nil, err
	}
	if w.db, err = w.openStore(ctx, as.host); err != nil {
		return nil, err
	}
	w.tracer = newTracer(ctx, log) // once there is a database: what is made before is lost at each attempt to reach it
	app, err := w.assemble()
	if err != nil {
		w.tracer.Close()
		return nil, errors.Join(err, w.mirrors.Close(), w.db.Close())
	}
	return app, nil
}

func newMeter() *metrics.Meter {
	return metrics.New(metrics.Build{Version: buildVersion(), Migration: migrations.Newest()})
}

// wiring is what the parts of an app are made of, and the parts that others need.
type wiring struct {
	config    *config.Config
	parts     cli.Parts
	reloaded  func() error
	log       *slog.Logger
	policies  core.Policies
	rules     map[string]secretRules
	platforms platforms.Set
	db        *store.Store
	throttle  *httpx.LoginThrottle
	meter     *metrics.Meter
	tracer    *trace.Tracer // nil where no collector is configured
	mirrors   *mirror.Cache
	evidence  *evidence.Git
	runner    *runner.Runner
	poster    *statuses.Poster
	health    *health.Health
	pages     *web.Web
}

// readConfig makes what needs no database.
func (w *wiring) readConfig() (err error) {
	if w.policies, err = policiesOf(w.config); err != nil {
		return err
	}
	if w.rules, err = rulesOf(w.config, w.policies); err != nil {
		return err
	}
	w.platforms, err = platformsOf(w.config, w.meter)
	return err
}

// newTracer is nil where pushes are not traced.
func newTracer(ctx context.Context, log *slog.Logger) *trace.Tracer {
	tracer, fault := trace.FromEnvironment(ctx, buildVersion(), log)
	if fault != nil { // the variables may be for other programs of this machine
		log.Warn("pushes are not traced", "error", fault)
	}
	return tracer
}

// policiesOf turns the repositories of the configuration into rules, in their order.
func policiesOf(cfg *config.Config) (core.Policies, error) {
	var policies core.Policies
	for _, repository := range cfg.Repositories {
		failOn, err := core.ParseFailOn(repository.Gate.FailOn)
		if err != nil {
			return nil, fmt.Errorf("reading repositories %s: %w", repository.Match, err)
		}
		policies = append(policies, core.Rule{Match: repository.Match, Policy: core.Policy{
			Context: core.OnlyBMP(repository.Context), Branches: repository.Branches, Tags: repository.Tags,
			Scanners: repository.Scanners, Categories: categoriesOf(cfg), Gate: gateOf(failOn, repository.Gate),
			Supersede: repository.Supersede, ScanTimeout: repository.ScanTimeout, ScanHistory: int(repository.ScanHistory),
			Anomalies: core.AnomalyMode(repository.Anomalies), Publish: core.Publishing(repository.Publish),
			Forks: core.ForkMode(repository.Forks), Badges: core.BadgeMode(repository.Badges),
			Replace: core.ReplaceMode(repository.Replace),
			Comment: core.CommentMode(repository.Comment), Buttons: core.ButtonMode(repository.Buttons),
			Approval: approvalOf(repository.Approval),
		}})
	}
	return policies, nil
}

// categoriesOf are those of whose reports scans wait for, by scanner.
func categoriesOf(cfg *config.Config) map[string][]string {
	categories := map[string][]string{}
	for name, scanner := range cfg.Scanners {
		if len(scanner.Categories) > 0 {
			categories[name] = scanner.Categories
		}
	}
	return categories
}

func approvalOf(by config.Approval) core.Approval {
	return core.Approval{
		Critical: int(by.Critical), High: int(by.High), Medium: int(by.Medium), Low: int(by.Low), KEV: int(by.KEV),
	}
}

func gateOf(failOn core.Severity, gate config.Gate) core.Gate {
	return core.Gate{
		FailOn: failOn, NewOnly: gate.NewOnly, EPSS: gate.EPSS, KEV: gate.KEV, FailUnsearched: gate.Coverage == "fail",
		FailUnresolved: gate.Unresolved == "fail", FirstKnown: gate.FirstScan == "baseline",
	}
}

// openStore waits for another process that serves the same file to end, unless each does some parts.
func (w *wiring) openStore(ctx context.Context, host sqldb.HostClock) (*store.Store, error) {
	db, err := store.Open(ctx, store.Config{
		URL: w.config.Database.URL.Reveal(), PublicURL: w.config.Server.PublicURL, Policies: w.policies,
		Scanners: kindsOf(w.config), Host: host, Checks: w.platforms.ShowChecks, Notes: w.platforms.KeepNotes,
		Waiting: func(what string) { w.log.Info("waiting to bring the schema up to date", "because", what) },
	})
	if err != nil {
		return nil, fmt.Errorf("%w; scanhook check shows more about %s", err, w.config.Database.URL)
	}
	waiting := time.AfterFunc(time.Second, func() { w.log.Info("waiting for the process that serves this database to end") })
	defer waiting.Stop()
	serve := db.TakeOver
	if !w.parts.Whole() {
		serve = db.TakePart
	}
	if err := serve(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// kindsOf says of every scanner whether it runs here.
func kindsOf(cfg *config.Config) core.Scanners {
	kinds := core.Scanners{}
	for name, s := range cfg.Scanners {
		switch {
		case s.Upload:
			kinds[name] = core.Uploaded
		case s.Builtin != "":
			kinds[name] = core.BuiltIn
		default:
			kinds[name] = core.RunsHere
		}
	}
	return kinds
}

// assemble makes the parts in the order in which they need each other.
func (w *wiring) assemble() (a *app, err error) {
	if err := w.requireCage(); err != nil {
		return nil, err
	}
	w.mirrors = w.newMirrors()
	_ = w.mirrors.Probe() // which chooses the directory; the runner tells of its faults
	w.runner = runner.New(runner.Config{
		Jobs: w.db, Platforms: w.platforms, Scanners: w.scanners(), Policies: w.policies, Mirrors: w.mirrors,
		PerProject: int(w.config.Runner.PerProject), Hidden: w.hidden(), AI: aiOf(w.config), Meter: w.meter, Trace: w.tracer,
		Log: w.log,
	})
	w.evidence = evidence.New(evidence.Config{
		Jobs: w.db, Platforms: w.platforms, Mirrors: w.mirrors, Fault: w.runner.Fault, Log: w.log,
	})
	w.poster = statuses.New(statuses.Config{
		Store: w.db, Platforms: w.platforms, Pace: paceOf(w.config), Meter: w.meter, Trace: w.tracer, Log: w.log, Now: w.db.Now,
	})
	w.health = health.New(health.Config{
		Store: w.db, Platforms: monitoredPlatforms(w.config), Scanners: slices.Sorted(maps.Keys(w.config.Scanners)),
		Disks: w.disks(), Parts: w.partsHere(), NoIntake: !w.parts.Has(cli.Intake), NoPosts: !w.parts.Has(cli.Statuses),
		Log: w.log, Now: w.db.Now,
		Cage: w.cageLevel(), Fault: w.fault(), Reloaded: w.reloaded, Pause: w.poster.PausedUntil, LastPost: w.poster.LastPost,
	})
	if err := w.meter.Add(w.health); err != nil {
		return nil, err
	}
	if w.pages, err = w.newPages(); err != nil {
		return nil, err
	}
	router, err := w.newRouter()
	if err != nil {
		return nil, err
	}
	handler, err := w.newHandler(router)
	if err != nil {
		return nil, err
	}
	return &app{
		store: w.db, mirrors: w.mirrors, evidence: w.evidence, tracer: w.tracer, router: router, handler: handler,
		metrics: w.meter.Handler(), pages: w.pages, loops: w.loops(),
	}, nil
}

// newHandler answers all requests, with the routes of a router.
func (w *wiring) newHandler(router *gin.Engine) (http.Handler, error) {
	public, err := url.Parse(w.config.Server.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("reading public_url: %w", err)
	}
	routed := httpx.AcceptBase(w.pages.Base, router, httpx.DropFinalSlash(httpx.AnswerHead(router)))
	return httpx.Compress(httpx.Protect(public, routed))
}

// newMirrors makes the cache of repositories. A history is fetched as deep as the deepest one that is searched.
func (w *wiring) newMirrors() *mirror.Cache {
	depth := 0
	for _, rule := range w.policies {
		depth = max(depth, rule.Policy.ScanHistory)
	}
	settings := w.config.Runner
	return mirror.New(mirror.Config{
		Dir: settings.Cache, Size: int64(settings.CacheSize), MaxPaths: settings.MaxPaths, Depth: depth, Log: w.log,
	})
}

// scanners are the scanners that run here. Where a full cage is required, that was seen to for commands that are used only.
func (w *wiring) scanners() map[string]runner.Scanner {
	scanners := map[string]runner.Scanner{}
	for name, s := range w.config.Scanners {
		unseen := s.Command != nil && w.config.Runner.Cage == config.CageRequire && !w.config.Uses(name)
		if !s.Upload && !unseen {
			scanners[name] = runner.Scanner{
				Builtin: s.Builtin, Command: s.Command, Timeout: s.Timeout, Read: s.Read, Write: s.Write, Network: s.Network,
				ForksNetwork: s.NetworkForks, Memory: int64(s.Memory), Rules: w.rules[name].of,
			}
		}
	}
	return scanners
}

// requireCage is an error where commands may run in a full cage only, and the kernel gives none.
func (w *wiring) requireCage() error {
	if level := w.cageLevel(); level != nil && w.config.Runner.Cage == config.CageRequire && !level().IsFull() {
		return fmt.Errorf("runner.cage is require, but the cage here is %s: %s, or write cage: best; scanhook check shows more",
			level(), level().Advice())
	}
	return nil
}

// cageLevel is nil where no command runs.
func (w *wiring) cageLevel() func() cage.Level {
	if w.config.RunsCommands() && w.parts.Has(cli.Runner) {
		return cage.Kernel
	}
	return nil
}

// fault is nil where no job runs.
func (w *wiring) fault() func() error {
	if w.parts.Has(cli.Runner) {
		return w.runner.Fault
	}
	return nil
}

func (w *wiring) partsHere() (list []health.Part) {
	for _, part := range cli.AllParts() {
		list = append(list, health.Part{Name: string(part), Here: w.parts.Has(part)})
	}
	return list
}

// hidden are the files of Scanhook itself, which no command may see.
func (w *wiring) hidden() (paths []string) {
	files := []string{w.config.Source.File, w.config.Server.TLS.KeyFile, w.mirrors.Dir, filepath.Join(os.TempDir(), "scanhook-*")}
	if file := w.config.Database.URL.File(); file != "" {
		files = append(files, file+"*")
	}
	for _, platform := range w.config.Platforms {
		if platform.App != nil {
			files = append(files, platform.App.PrivateKeyFile)
		}
	}
	for _, file := range files {
		if path, err := filepath.Abs(file); err == nil && file != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// aiOf is nil where no AI is configured.
func aiOf(cfg *config.Config) *runner.AI {
	if !cfg.AI.Enabled() {
		return nil
	}
	client := ai.New(ai.Config{
		URL: cfg.AI.URL, Model: cfg.AI.Model, Token: cfg.AI.Token.Reveal(), Timeout: cfg.AI.Timeout,
	})
	return &runner.AI{Client: client, MayDismiss: cfg.AI.MayDismiss, MaxFindings: int(cfg.AI.MaxFindings)}
}

// paceOf is the shortest time between two posts to each platform.
func paceOf(cfg *config.Config) map[string]time.Duration {
	pace := map[string]time.Duration{}
	for name, p := range cfg.Platforms {
		pace[name] = p.MinPostInterval
		web, err := url.Parse(p.URL)
		if kind := kindOf(p); p.MinPostInterval == 0 && kind.PostInterval != nil && err == nil {
			pace[name] = kind.PostInterval(web)
		}
	}
	return pace
}

func monitoredPlatforms(cfg *config.Config) (monitored []health.Platform) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Platforms)) {
		p := cfg.Platforms[name]
		monitored = append(monitored, health.Platform{
			Name: name, Listen: p.Enabled(), Posts: p.Posts(),
		})
	}
	return monitored
}

// disks names the directories that fill up: an embedded database, and where commits are fetched and checked out.
func (w *wiring) disks() map[string]string {
	disks := map[string]string{"checkouts": os.TempDir()}
	if w.mirrors.Dir != "" {
		disks["mirrors"] = w.mirrors.Dir
	}
	if file := w.config.Database.URL.File(); file != "" {
		disks["database"] = filepath.Dir(file)
	}
	return disks
}

// newPages makes the pages for people.
func (w *wiring) newPages() (*web.Web, error) {
	platforms := web.Platforms{}
	for name, p := range w.config.Platforms {
		platforms[name] = web.Platform{Links: kindOf(p).Links, URL: p.URL, Posts: p.Posts()}
	}
	var secrets []web.Secret
	for _, s := range hookSecrets(w.config) {
		secrets = append(secrets, web.Secret{Platform: s.Platform, Place: s.Place, ID: s.ID, Match: s.Match})
	}
	accounts, err := githubOf(w.config.Web.GitHub)
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		Store: w.db, Tokens: tokensOf(w.config), OIDC: oidcOf(w.config.Web.OIDC), GitHub: accounts, Platforms: platforms, Secrets: secrets,
		MaySign: maySign(w.config), Policies: w.policies, Rules: func(entry int) web.Rule { return ruleOf(w.config, entry) },
		PublicURL: w.config.Server.PublicURL, Version: buildVersion(), Public: w.config.Web.Public, Throttle: w.throttle, Log: w.log,
		Hook: w.health.Hook, Silent: w.health.Silent,
	})
}

// ruleOf is an entry of the configuration's repositories with the lines that its values come from.
func ruleOf(cfg *config.Config, entry int) web.Rule {
	file := filepath.Base(cfg.Source.File)
	rule := web.Rule{Where: fmt.Sprintf("%s:%d", file, cfg.Source.Lines[fmt.Sprintf("repositories[%d].match", entry)])}
	for _, s := range cfg.Effective(entry) {
		where := string(s.From)
		if s.Line > 0 {
			where = fmt.Sprintf("%s:%d, %s", file, s.Line, s.From)
		}
		rule.Settings = append(rule.Settings, web.Setting{Key: s.Key, Value: s.Value, Where: where})
	}
	return rule
}

// oidcOf is nil where no identity provider is configured.
func oidcOf(cfg config.OIDC) *signin.OIDC {
	if !cfg.Enabled() {
		return nil
	}
	var people []signin.People
	for _, entry := range cfg.People {
		people = append(people, signin.People{Matches: entry.Who, Grant: grantOf(entry.Grant)})
	}
	return &signin.OIDC{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Name: cfg.Name,
		Scopes: cfg.Scopes, GroupsClaim: cfg.GroupsClaim, People: people,
	}
}

// githubOf is nil where nobody logs in with GitHub.
func githubOf(cfg config.GitHub) (*signin.GitHub, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	address, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("reading web.github.url: %w", err)
	}
	var people []signin.People
	for _, entry := range cfg.People {
		people = append(people, signin.People{Matches: entry.Who, Grant: grantOf(entry.Grant)})
	}
	return &signin.GitHub{
		URL: cfg.URL, APIURL: github.APIAddress(address), ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Name: cfg.Name,
		People: people,
	}, nil
}

// newRouter has the routes of the parts that this process does, and those by which it is watched.
func (w *wiring) newRouter() (*gin.Engine, error) {
	router := httpx.NewRouter(w.log, health.Observe(w.meter))
	if err := router.SetTrustedProxies(w.config.Server.TrustedProxies); err != nil {
		return nil, fmt.Errorf("reading server.trusted_proxies: %w", err)
	}
	program := w.newAPI()
	program.MountHealth(router)
	if w.config.Server.MetricsListen == "" {
		router.GET(metricsPath, gin.WrapH(w.meter.Handler()))
	}
	router.NoRoute(httpx.Handle(w.log, w.partElsewhere))
	if w.parts.Has(cli.Intake) {
		webhooks.New(webhooks.Config{Platforms: w.platforms, Store: w.db, Meter: w.meter, Trace: w.tracer, Log: w.log}).Register(router)
	}
	if w.parts.Has(cli.API) {
		program.Register(router)
	}
	if w.parts.Has(cli.Web) {
		w.pages.Register(router)
	}
	return router, nil
}

const metricsPath = "/metrics"

// partElsewhere answers for paths that this process does not know.
func (w *wiring) partElsewhere(*gin.Context) error {
	return fmt.Errorf("%w: there is nothing at this path; this process does %s only, other paths are those of others", core.ErrNotFound,
		w.parts.Here())
}

func (w *wiring) newAPI() *api.API {
	return api.New(api.Config{
		Store: w.db, Platforms: w.platforms, Tokens: tokensOf(w.config), Version: buildVersion(), Report: w.health.Report,
		PublicURL: w.config.Server.PublicURL, Jobs: jobsOf(w.config, w.db, w.log), Evidence: w.evidence, Throttle: w.throttle, Log: w.log,
	})
}

func tokensOf(cfg *config.Config) (tokens auth.Tokens) {
	for _, t := range cfg.API.Tokens {
		tokens = append(tokens, tokenOf(t))
	}
	return tokens
}

func tokenOf(t config.Token) auth.Token {
	return auth.Token{Name: t.Name, Token: t.Token.Reveal(), Grant: grantOf(t.Grant), Expires: t.Expires.End()}
}

func grantOf(g config.Grant) access.Grant {
	return access.Grant{Role: access.Role(g.Role), Projects: g.Projects, Scanners: g.Scanners}
}

// close ends what requests have left in the background before what that works with.
func (a *app) close() error {
	if a.metricsListener != nil {
		_ = a.metricsListener.Close() // which is not served where the start failed
	}
	a.evidence.Close()
	a.tracer.Close()
	return errors.Join(a.mirrors.Close(), a.store.Close())
}
