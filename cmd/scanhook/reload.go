package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scanhook/scanhook/internal/config"
)

// lookAtConfig is how often the file of the configuration is looked at.
const lookAtConfig = time.Second

// reloader notices that the configuration is another one. What is in use then ends as at the end of the process, within it and behind
// its listener, and is built anew: so there is nothing that keeps an old value.
type reloader struct {
	load    func() (*config.Config, error)
	current *config.Config
	log     *slog.Logger

	hangups chan os.Signal
	state   string                // of the file, when it was last read
	fault   atomic.Pointer[error] // why the file is not in use
}

// newReloader also keeps SIGHUP from ending the process until stop is called.
func newReloader(load func() (*config.Config, error), current *config.Config, log *slog.Logger) *reloader {
	r := &reloader{load: load, current: current, log: log, hangups: make(chan os.Signal, 1), state: stateOf(current.Source.File)}
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

// stateOf changes when a file does, or what a link leads to.
func stateOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(info.Size(), info.ModTime())
}

// next waits for another configuration that can be used, and is nil when ctx ends first.
func (r *reloader) next(ctx context.Context) *config.Config {
	ticker := time.NewTicker(lookAtConfig)
	defer ticker.Stop()
	seen := r.state
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangups:
			asked = true
		case <-ticker.C:
		}
		state := stateOf(r.current.Source.File)
		whole := state == seen // whoever writes it has come to the end
		if seen = state; !asked && (state == r.state || !whole) {
			continue
		}
		r.state = state
		if cfg := r.read(asked); cfg != nil {
			return cfg
		}
	}
}

// read returns the configuration of the file where that can be used. Where nobody has asked, it must also be another one.
func (r *reloader) read(asked bool) *config.Config {
	cfg, err := r.load()
	if err == nil {
		err = restartsFor(r.current, cfg)
	}
	switch {
	case err != nil:
		r.fail(err)
		return nil
	case !asked && reflect.DeepEqual(cfg, r.current):
		r.fault.Store(nil)
		return nil
	}
	return cfg
}

func (r *reloader) fail(err error) {
	r.fault.Store(&err)
	r.log.Error("the configuration was not reloaded, the old one stays in use as a whole", "error", err)
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
