package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/enrich"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/retention"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/internal/statuses"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/webhooks"
)

// app is Scanhook put together: what answers requests, and the loops that work behind it.
type app struct {
	store   *store.Store
	handler http.Handler
	metrics http.Handler
	pages   *web.Web
	loops   []func(context.Context)
}

// newApp builds everything that the configuration asks for and opens the database, which it serves alone if it is a file.
// Close it after use.
func newApp(ctx context.Context, cfg *config.Config, log *slog.Logger) (*app, error) {
	return newAppOn(ctx, cfg, sqldb.HostClock{}, log)
}

// newAppOn is newApp on a host with a clock of its own, in tests.
func newAppOn(ctx context.Context, cfg *config.Config, host sqldb.HostClock, log *slog.Logger) (*app, error) {
	reports.HideCredentials(cfg.Credentials()...)
	policies, err := policiesOf(cfg)
	if err != nil {
		return nil, err
	}
	set, err := platformsOf(cfg)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: policies,
		Scanners: kindsOf(cfg), Host: host,
		Waiting: func(what string) { log.Info("waiting to bring the schema up to date", "because", what) },
	})
	if err != nil {
		return nil, fmt.Errorf("%w; scanhook check shows more about %s", err, cfg.Database.URL)
	}
	waiting := time.AfterFunc(time.Second, func() { log.Info("waiting for the process that serves this database to end") })
	err = db.TakeOver(ctx)
	waiting.Stop()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	scanning := runner.New(runner.Config{
		Jobs: db, Platforms: set, Scanners: scannersOf(cfg), MaxPaths: cfg.Runner.MaxPaths, AI: aiOf(cfg), Log: log,
	})
	monitor, err := newMonitoring(cfg, db, set, scanning, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	throttle := httpx.NewLoginThrottle()
	pages, err := newPages(cfg, db, policies, monitor.health, throttle, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	handler, err := newHandler(cfg, db, set, pages, monitor, throttle, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	projects := reconcile.NewProjects(reconcile.Config{
		Store: db, Platforms: enabled(cfg, set), Policies: policies, Every: time.Duration(cfg.Recover.Every), Log: log,
		Now: db.Now,
	})
	hooks := reconcile.NewHooks(reconcile.Config{
		Store: db, Platforms: set, Address: hookAddresses(cfg), Every: time.Duration(cfg.Recover.Every), Log: log,
		Now: db.Now,
	})
	loops := append(newLoops(cfg, db, set, log), scanning.Run, projects.Run, hooks.Run, monitor.poster.Run, monitor.health.Run,
		keepTime(db, log))
	return &app{store: db, handler: handler, metrics: monitor.meter.Handler(), pages: pages, loops: loops}, nil
}

func newHandler(
	cfg *config.Config, db *store.Store, set platforms.Set, pages *web.Web, monitor monitoring,
	throttle *httpx.LoginThrottle, log *slog.Logger,
) (http.Handler, error) {
	router := httpx.NewRouter(log, health.Observe(monitor.meter))
	if err := router.SetTrustedProxies(cfg.Server.TrustedProxies); err != nil {
		return nil, fmt.Errorf("reading server.trusted_proxies: %w", err)
	}
	webhooks.New(webhooks.Config{Platforms: set, Store: db, Meter: monitor.meter, Log: log}).Register(router)
	api.New(api.Config{
		Store: db, Platforms: set, Tokens: tokensOf(cfg), Version: buildVersion(), Report: monitor.health.Report,
		Throttle: throttle, Log: log,
	}).Register(router)
	if cfg.Server.MetricsListen == "" {
		router.GET(metricsPath, gin.WrapH(monitor.meter.Handler()))
	}
	pages.Register(router)
	return httpx.Compress(httpx.DropFinalSlash(httpx.AnswerHead(router)))
}

func newLoops(cfg *config.Config, db *store.Store, set platforms.Set, log *slog.Logger) []func(context.Context) {
	lists := epss.New(epss.Config{
		Store: db, URLs: feedsOf(cfg), Asked: askedFor(cfg), Every: cfg.EPSS.Every, Log: log,
	})
	asking := enrich.New(enrich.Config{Store: db, Platforms: set, Log: log, Now: db.Now})
	keeping := retention.New(retention.Config{
		Store: db, Deliveries: cfg.Retention.Deliveries.Duration(), Scans: cfg.Retention.Scans.Duration(),
		KeepScans: int(cfg.Retention.KeepScans), Log: log, Now: db.Now,
	})
	return []func(context.Context){lists.Run, asking.Run, keeping.Run}
}

func (a *app) close() error { return a.store.Close() }

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
			Scanners: repository.Scanners, Gate: gateOf(failOn, repository.Gate),
			Supersede: repository.Supersede, ScanTimeout: repository.ScanTimeout,
			Anomalies: core.AnomalyMode(repository.Anomalies),
		}})
	}
	return policies, nil
}

func gateOf(failOn core.Severity, gate config.Gate) core.Gate {
	return core.Gate{FailOn: failOn, NewOnly: gate.NewOnly, EPSS: gate.EPSS, KEV: gate.KEV}
}

// scannersOf are the scanners that run here.
func scannersOf(cfg *config.Config) map[string]runner.Scanner {
	scanners := map[string]runner.Scanner{}
	for name, s := range cfg.Scanners {
		if !s.Upload {
			scanners[name] = runner.Scanner{Builtin: s.Builtin, Command: s.Command, Timeout: s.Timeout}
		}
	}
	return scanners
}

// kindsOf says of every scanner whether it runs here.
func kindsOf(cfg *config.Config) core.Scanners {
	kinds := core.Scanners{}
	for name, s := range cfg.Scanners {
		kinds[name] = core.RunsHere
		if s.Upload {
			kinds[name] = core.Uploaded
		}
	}
	return kinds
}

func tokensOf(cfg *config.Config) httpx.Tokens {
	var tokens httpx.Tokens
	for _, t := range cfg.API.Tokens {
		tokens = append(tokens, httpx.Token{Name: t.Name, Token: t.Token.Reveal(), Role: httpx.Role(t.Role)})
	}
	return tokens
}

const metricsPath = "/metrics"

// monitoring is what measures how everything flows; the poster knows how posting goes.
type monitoring struct {
	meter  *metrics.Meter
	health *health.Health
	poster *statuses.Poster
}

func newMonitoring(
	cfg *config.Config, db *store.Store, set platforms.Set, scanning *runner.Runner, log *slog.Logger,
) (monitoring, error) {
	meter := metrics.New(buildVersion())
	poster := statuses.New(statuses.Config{Store: db, Platforms: set, Pace: paceOf(cfg), Meter: meter, Log: log, Now: db.Now})
	state := health.New(health.Config{
		Store: db, Platforms: monitoredPlatforms(cfg), Scanners: slices.Sorted(maps.Keys(cfg.Scanners)),
		Disks: disksOf(cfg), Log: log, Fault: scanning.Fault, Pause: poster.PausedUntil, LastPost: poster.LastPost, Now: db.Now,
	})
	return monitoring{meter, state, poster}, meter.Add(state)
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

// disksOf names the directories that fill up: an embedded database, and where commits are checked out.
func disksOf(cfg *config.Config) map[string]string {
	disks := map[string]string{"checkouts": os.TempDir()}
	if file := cfg.Database.URL.File(); file != "" {
		disks["database"] = filepath.Dir(file)
	}
	return disks
}

// newPages makes the pages for people.
func newPages(
	cfg *config.Config, db *store.Store, policies core.Policies, hooks *health.Health, throttle *httpx.LoginThrottle,
	log *slog.Logger,
) (*web.Web, error) {
	platforms := web.Platforms{}
	for name, p := range cfg.Platforms {
		platforms[name] = web.Platform{Links: kindOf(p).Links, URL: p.URL, Posts: p.Posts()}
	}
	var secrets []web.Secret
	for _, s := range hookSecrets(cfg) {
		secrets = append(secrets, web.Secret{Platform: s.Platform, Place: s.Place, ID: s.ID, Match: s.Match})
	}
	return web.New(web.Config{
		Store: db, Tokens: tokensOf(cfg), OIDC: oidcOf(cfg.Web.OIDC), Platforms: platforms, Secrets: secrets,
		MaySign: maySign(cfg), Policies: policies, Rules: func(entry int) web.Rule { return ruleOf(cfg, entry) },
		PublicURL: cfg.Server.PublicURL, Public: cfg.Web.Public, Throttle: throttle, Log: log, Hook: hooks.Hook, Silent: hooks.Silent,
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
	return &signin.OIDC{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Name: cfg.Name,
		Scopes: cfg.Scopes, GroupsClaim: cfg.GroupsClaim, Admins: cfg.Admins, Viewers: cfg.Viewers,
	}
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

// feedsOf names the lists to fetch: none unless that is switched on.
func feedsOf(cfg *config.Config) map[core.FeedKind]string {
	if !cfg.EPSS.Enabled {
		return nil
	}
	return map[core.FeedKind]string{core.FeedEPSS: cfg.EPSS.URL, core.FeedKEV: cfg.EPSS.KEVURL}
}

// askedFor names the lists without which gates of the configuration would pass what they should not.
func askedFor(cfg *config.Config) []core.FeedKind {
	var scores, catalog []core.FeedKind
	for _, repository := range cfg.Repositories {
		if repository.Gate.EPSS > 0 {
			scores = []core.FeedKind{core.FeedEPSS}
		}
		if repository.Gate.KEV {
			catalog = []core.FeedKind{core.FeedKEV}
		}
	}
	return append(scores, catalog...)
}
