package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store/sqldb"
)

const (
	// lookAtConfig is how often the file of the configuration is looked at.
	lookAtConfig = time.Second
	// wholeAfter is how many looks in a row must find the same in it: whoever writes it has come to the end then.
	wholeAfter = 3
	// firstRetry and longestRetry are after how long a configuration is tried again with which the start failed.
	firstRetry, longestRetry = 15 * time.Second, 5 * time.Minute
)

// reloader notices that the configuration is another one. What is in use then ends as at the end of the process, within it and behind
// its listener, and is built anew: so there is nothing that keeps an old value.
type reloader struct {
	parse   func([]byte) (*config.Config, error)
	current *config.Config
	beside  string // what was in the files that it names
	log     *slog.Logger

	hangups  chan os.Signal
	asked    bool                  // somebody wants it to be read again
	seen     string                // what the last look found
	looks    int                   // that found the same
	taken    string                // what was read last
	failures int                   // of starts, one after the other
	retry    time.Duration         // until what was read last is read again, by looks; 0 for never
	fault    atomic.Pointer[error] // why the file is not in use
}

// newReloader also keeps SIGHUP from ending the process until stop is called.
func newReloader(parse func([]byte) (*config.Config, error), current *config.Config, log *slog.Logger) *reloader {
	r := &reloader{parse: parse, current: current, beside: contentBeside(current), log: log, hangups: make(chan os.Signal, 1)}
	signal.Notify(r.hangups, syscall.SIGHUP)
	return r
}

func (r *reloader) stop() { signal.Stop(r.hangups) }

// Fault says why the configuration that is in use is not that of the file; nil where it is.
func (r *reloader) Fault() error {
	if fault := r.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

// contentOf changes when what was read does.
func contentOf(data []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// contentBeside changes when the files do that a configuration names and that are read at the start only: keys of Apps, and rules.
func contentBeside(cfg *config.Config) (content string) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Platforms)) {
		if app := cfg.Platforms[name].App; app != nil {
			content += contentOf(os.ReadFile(app.PrivateKeyFile))
		}
	}
	var rules []string
	for _, name := range slices.Sorted(maps.Keys(cfg.Scanners)) {
		rules = append(rules, cfg.Scanners[name].Rules)
	}
	for _, repository := range cfg.Repositories {
		rules = append(rules, repository.Gitleaks.Rules)
	}
	for _, file := range rules {
		if file != "" {
			content += contentOf(readRules(file))
		}
	}
	return content
}

// next waits for another configuration that can be used, and is nil when ctx ends first.
func (r *reloader) next(ctx context.Context) *config.Config {
	ticker := time.NewTicker(lookAtConfig)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangups:
			r.asked = true
		case <-ticker.C:
			if cfg := r.look(); cfg != nil {
				return cfg
			}
		}
	}
}

// look reads the file, and returns its configuration where that is whole, another one, and can be used.
func (r *reloader) look() *config.Config {
	data, err := config.ReadFile(r.current.Source.File)
	content := contentOf(data, err)
	if content != r.seen {
		r.seen, r.looks = content, 0
	}
	if r.looks++; r.looks < wholeAfter {
		return nil
	}
	if content == r.taken && !r.asked && !r.isTime() {
		return nil
	}
	r.taken, r.asked, r.retry = content, false, 0
	if err != nil {
		r.fail(err)
		return nil
	}
	return r.read(data)
}

// isTime counts the looks until it is time to try again what failed.
func (r *reloader) isTime() bool {
	if r.retry == 0 {
		return false
	}
	r.retry -= lookAtConfig
	return r.retry == 0
}

// read returns the configuration in data where that is another one that can be used, or files that it names have changed.
func (r *reloader) read(data []byte) *config.Config {
	cfg, err := r.parse(data)
	if err == nil && reflect.DeepEqual(cfg, r.current) && contentBeside(cfg) == r.beside {
		r.fault.Store(nil)
		return nil
	}
	if err == nil {
		err = faultOf(r.current, cfg)
	}
	if err != nil {
		r.fail(err)
		return nil
	}
	return cfg
}

func (r *reloader) fail(err error) {
	r.fault.Store(&err)
	r.log.Error("the configuration was not reloaded, the old one stays in use as a whole", "error", err)
}

// started notes that a configuration is in use.
func (r *reloader) started(cfg *config.Config, beside string) {
	r.current, r.beside, r.failures = cfg, beside, 0
	r.fault.Store(nil)
}

// failed notes that the start with what was read last has failed. Where that may pass, it is tried again, later each time: each
// attempt ends what runs.
func (r *reloader) failed(err error) {
	r.fail(err)
	if isPassing(err) {
		r.retry = poll.Backoff(firstRetry, r.failures, longestRetry)
		r.failures++
	}
}

// isPassing tells whether a start may succeed later with the same configuration: the database is away or full, or an address in use.
func isPassing(err error) bool {
	return errors.Is(err, core.ErrUnavailable) || sqldb.IsUnwritable(err) || errors.Is(err, syscall.EADDRINUSE)
}

// faultOf says why cfg cannot take the place of old. A file that sets nothing is valid at a start, but here it was cut off.
func faultOf(old, cfg *config.Config) error {
	if len(cfg.Source.Lines) == 0 {
		return errors.New("the file sets nothing: write it again; to use the defaults, restart Scanhook")
	}
	return restartsFor(old, cfg)
}

// restartsFor is an error where a restart is needed for what has changed.
func restartsFor(old, cfg *config.Config) error {
	switch {
	case old.Server.Listen != cfg.Server.Listen:
		return errors.New("server.listen has changed, for which Scanhook must be restarted")
	case old.Database.URL != cfg.Database.URL:
		return errors.New("database.url has changed, for which Scanhook must be restarted")
	}
	return nil
}

// keptListener is a listener for one configuration: when it is closed, the one behind it goes on to take connections, which wait.
type keptListener struct {
	net.Listener
	closed chan struct{}
	end    func()
}

// deadliner is a listener of TCP or of a Unix socket.
type deadliner interface{ SetDeadline(time.Time) error }

// keep lends a listener.
func keep(listener net.Listener) net.Listener {
	behind, ok := listener.(deadliner)
	if !ok {
		return listener
	}
	_ = behind.SetDeadline(time.Time{})
	k := &keptListener{Listener: listener, closed: make(chan struct{})}
	k.end = sync.OnceFunc(func() {
		close(k.closed)
		_ = behind.SetDeadline(time.Now())
	})
	return k
}

// Accept waits until a connection comes, or until Close.
func (k *keptListener) Accept() (net.Conn, error) {
	conn, err := k.Listener.Accept()
	select {
	case <-k.closed:
		if err != nil {
			return nil, net.ErrClosed
		}
	default:
	}
	return conn, err
}

// Close ends Accept.
func (k *keptListener) Close() error {
	k.end()
	return nil
}
