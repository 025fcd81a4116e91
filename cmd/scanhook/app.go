package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/api"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/enrich"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/retention"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/internal/web"
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
		return nil, fmt.Errorf("%w; scanhook check tells more about %s", err, cfg.Database.URL)
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
		Store: db, Platforms: set, Tokens: tokensOf(cfg), Version: buildVersion(), Report: monitor.health.Lines,
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

// hookAddresses tells where each platform's webhooks call.
func hookAddresses(cfg *config.Config) func(string) string {
	return func(platform string) string { return hookAddress(cfg.Server.PublicURL, platform) }
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
			Context: core.Narrow(repository.Context), Branches: repository.Branches, Tags: repository.Tags,
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

// scannersOf leaves out the scanners that deliver from outside.
func scannersOf(cfg *config.Config) map[string]runner.Scanner {
	scanners := map[string]runner.Scanner{}
	for name, s := range cfg.Scanners {
		if !s.Upload {
			scanners[name] = runner.Scanner{Builtin: s.Builtin, Command: s.Command, Timeout: s.Timeout}
		}
	}
	return scanners
}

// kindsOf tells of every scanner whether it runs here.
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
