package main

import (
	"context"
	"log/slog"
	"os"
	"os/user"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store"
)

// noteConfiguration keeps what Scanhook starts with, so that the audit log tells when it changed.
func noteConfiguration(ctx context.Context, db *store.Store, cfg *config.Config, log *slog.Logger) error {
	settings := cfg.Settings()
	changed, err := db.PutConfiguration(ctx, startedBy(), settings)
	if err == nil && len(changed) > 0 && len(changed) < len(settings) { // all of them: the database is new
		log.Info("the configuration is not the one of the last start", "changed", changed)
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
