package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // registers at the default mux too, which nobody serves
	"net/netip"
	"os"
	"os/user"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
)

const (
	headerTimeout   = 10 * time.Second
	readTimeout     = time.Minute // uploads extend it
	idleTimeout     = 2 * time.Minute
	maxHeader       = 16 << 10 // bytes of a request's header
	shutdownTimeout = 15 * time.Second
	reloadTimeout   = 3 * time.Second // nobody is answered meanwhile: platforms and probes give up soon
	firstAwait      = time.Second
	longestAwait    = 15 * time.Second
)

func newServe(opts *cli.Options) *cobra.Command {
	var parts cli.Parts
	cmd := &cobra.Command{
		Use: "serve", Short: "Receive webhooks, scan, and post commit statuses until stopped",
		Long: "Receives webhooks, scans, and posts commit statuses until it is stopped.\n\n" +
			"One process does all, or several with one database do some parts each, with --only or --except:\n" + cli.DescribeParts(),
		Example: "  scanhook serve --config /etc/scanhook/config.yaml\n" +
			"  scanhook serve --except=runner\n  scanhook serve --only=runner    # beside it, on another machine perhaps",
		Args: cli.Exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := parts.Load(opts)
			if err != nil {
				return err
			}
			log := opts.Logger(cmd.ErrOrStderr())
			reload := newReloader(opts.Parse, cfg, log)
			defer reload.stop()
			return serveParts(cmd.Context(), reload, parts)
		},
	}
	parts.AddFlags(cmd)
	return cmd
}

// serveParts works until ctx ends, with one configuration after the other. Who calls meanwhile waits at the listener, which stays.
func serveParts(ctx context.Context, reload *reloader, parts cli.Parts) error {
	as, log := instance{parts: parts, host: sqldb.HostClock{}.Lasting(), fault: reload.Fault}, reload.log
	app, err := start(ctx, reload.current, as, log)
	if err != nil {
		return err
	}
	listener, err := listen(reload.current.Server)
	if err != nil {
		return errors.Join(err, app.close())
	}
	defer func() { _ = listener.Close() }()
	boundMemory()
	for {
		log.Info("serving", "listen", listener.Addr().String(), "public_url", reload.current.Server.PublicURL,
			"database", reload.current.Database.URL, "version", buildVersion(), "parts", parts.Here())
		next, err := app.serveUntil(ctx, reload, listener)
		if err != nil || next == nil {
			return err
		}
		if app, err = restart(ctx, reload, next, as); err != nil {
			return err
		}
	}
}

// restart starts with another configuration, or else with the one before.
func restart(ctx context.Context, reload *reloader, next *config.Config, as instance) (*app, error) {
	beside := contentBeside(next)
	app, err := start(ctx, next, as, reload.log)
	if err == nil {
		reload.started(next, beside)
		return app, nil
	}
	reload.failed(err)
	return start(ctx, reload.current, as, reload.log)
}

// start builds the app, which is not served yet.
func start(ctx context.Context, cfg *config.Config, as instance, log *slog.Logger) (*app, error) {
	for _, warning := range as.parts.Warnings(cfg) {
		log.Warn("configuration: " + warning)
	}
	return awaitApp(ctx, cfg, as, log)
}

// equippedApp is an app with what it takes besides, and whose configuration is noted.
func equippedApp(ctx context.Context, cfg *config.Config, as instance, log *slog.Logger) (*app, error) {
	app, err := newAppAs(ctx, cfg, as, log)
	if err != nil {
		return nil, err
	}
	if app.tls, err = newTLS(cfg.Server.TLS, log); err == nil {
		err = app.offerMetrics(cfg.Server.MetricsListen, log)
	}
	if err == nil {
		err = noteConfiguration(ctx, app.store, cfg, as.parts, log)
	}
	if err != nil {
		return nil, errors.Join(err, app.close())
	}
	return app, nil
}

// errReload is why an app ends that another one follows.
var errReload = errors.New("the configuration is reloaded")

// closingTimeout is how long requests may go on when a context has ended.
func closingTimeout(ended context.Context) time.Duration {
	if errors.Is(context.Cause(ended), errReload) {
		return reloadTimeout
	}
	return shutdownTimeout
}

// serveUntil serves until ctx ends or another configuration is there, which it returns. The app is closed afterwards.
func (a *app) serveUntil(ctx context.Context, reload *reloader, listener net.Listener) (next *config.Config, err error) {
	serving, end := context.WithCancelCause(ctx)
	defer end(nil)
	noticed := make(chan *config.Config, 1)
	go func() {
		cfg := reload.next(serving)
		if noticed <- cfg; cfg != nil {
			reload.log.Info("reloading the configuration")
			end(errReload)
		}
	}()
	err = errors.Join(a.serve(serving, keep(listener), reload.log), a.close())
	end(nil)
	if next = <-noticed; next != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		reload.log.Warn("requests that went on were ended for the reload", "error", err)
		err = nil
	}
	if ctx.Err() != nil {
		next = nil
	}
	return next, err
}

// awaitApp builds the app as soon as the database server can be reached: at boot it may start after us. Every other error
// is final.
func awaitApp(ctx context.Context, cfg *config.Config, as instance, log *slog.Logger) (*app, error) {
	for failures := 0; ; failures++ {
		app, err := equippedApp(ctx, cfg, as, log)
		if !errors.Is(err, core.ErrUnavailable) || cfg.Database.URL.File() != "" || ctx.Err() != nil {
			return app, err
		}
		pause := poll.Backoff(firstAwait, failures, longestAwait)
		log.Error("database cannot be reached, trying again", "again_in", pause, "error", err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("stopped while waiting: %w", err)
		case <-time.After(pause):
		}
	}
}

// offerMetrics makes /metrics reachable at an address of its own; empty for none.
func (a *app) offerMetrics(address string, log *slog.Logger) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; change server.metrics_listen or stop what holds it", address, err)
	}
	log.Info("serving metrics", "listen", listener.Addr().String())
	a.metricsListener = listener
	a.loops = append(a.loops, func(ctx context.Context) { serveMetrics(ctx, listener, a.metrics, log) })
	return nil
}

// onThisMachine refuses everybody else: a profile costs time, and shows how the process works.
func onThisMachine(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !caller.Addr().Unmap().IsLoopback() {
			http.Error(w, "profiles are for callers on this machine", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

func serveMetrics(ctx context.Context, listener net.Listener, metrics http.Handler, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, metrics)
	for path, profile := range map[string]http.HandlerFunc{
		"": pprof.Index, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.Handle("GET /debug/pprof/"+path, onThisMachine(profile))
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error("serving metrics failed", "error", err)
	}
}

// noteConfiguration stores the configuration, so that the audit log shows when it changed. Of several processes that share
// the parts, the one that derives scans does that.
func noteConfiguration(ctx context.Context, db *store.Store, cfg *config.Config, parts cli.Parts, log *slog.Logger) error {
	settings := cfg.Settings()
	if !parts.Has(cli.Ingest) {
		return compareConfiguration(ctx, db, settings, log)
	}
	changed, err := db.PutConfiguration(ctx, startedBy(), settings)
	if err == nil && len(changed) > 0 && len(changed) < len(settings) { // all of them: the database is new
		log.Info("the configuration is not the one of the last start", "changed", changed)
	}
	return err
}

// compareConfiguration warns where this process would judge otherwise than the one that stores its configuration.
func compareConfiguration(ctx context.Context, db *store.Store, settings map[string]string, log *slog.Logger) error {
	differ, err := db.CompareConfiguration(ctx, settings)
	differ = slices.DeleteFunc(differ, func(key string) bool {
		shared := slices.ContainsFunc([]string{"repositories", "defaults", "scanners"}, func(section string) bool { return strings.HasPrefix(key, section) })
		return !shared || strings.Contains(key, ".webhook_secrets[") || strings.Contains(key, ".signing_tokens[")
	})
	if len(differ) > 0 {
		log.Warn("the configuration differs from that of the process that does ingest, so verdicts may, too: give both the same", "in", differ)
	}
	return err
}

// startedBy is the account that this process runs as, user@host.
func startedBy() string {
	name, host := "unknown", "unknown"
	if account, err := user.Current(); err == nil {
		name = account.Username
	}
	if known, err := os.Hostname(); err == nil {
		host = known
	}
	return name + "@" + host
}

const (
	// memoryLimit is where the garbage collector works harder, in bytes; live memory may exceed it.
	memoryLimit = 140 << 20
	// gcPercent is lower than Go's 100: a large report has few pointers, so that collecting garbage more often costs less
	// than the memory.
	gcPercent = 33
)

// boundMemory leaves the choice to the administrator's GOMEMLIMIT and GOGC where they are set.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// encrypted is a listener of TLS, if the app speaks it.
func (a *app) encrypted(listener net.Listener) net.Listener {
	if a.tls == nil {
		return listener
	}
	return tls.NewListener(listener, a.tls)
}

// serve answers requests and runs the loops until ctx ends. It then stops accepting, lets requests and posts under way
// finish, gives back the jobs it holds, and returns.
func (a *app) serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	limited := newLimitedListener(listener, maxConnections)
	server := &http.Server{
		Handler: limited.follow(a.handler), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ConnState: limited.connState, ConnContext: limited.connContext,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(a.pages.Stop)
	loops, stopLoops := context.WithCancel(ctx)
	defer stopLoops()
	var running sync.WaitGroup
	for _, loop := range a.loops {
		running.Go(func() { loop(loops) })
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(a.encrypted(limited)) }()

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping")
		_ = limited.Close()
		log.Debug("no more calls are taken", "because", <-failed)
		limited.drain(requestGrace)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTimeout(ctx))
		defer cancel()
		if err = server.Shutdown(closing); err != nil {
			_ = server.Close() // nobody goes on with what is about to be closed
		}
	}
	stopLoops()
	running.Wait()
	log.Info("stopped")
	return err
}
