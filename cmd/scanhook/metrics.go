package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

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
	a.loops = append(a.loops, func(ctx context.Context) { serveMetrics(ctx, listener, a.metrics, log) })
	return nil
}

func serveMetrics(ctx context.Context, listener net.Listener, metrics http.Handler, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error("serving metrics failed", "error", err)
	}
}
