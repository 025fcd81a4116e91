package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/internal/statuses"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const metricsPath = "/metrics"

// monitoring is what sees that everything flows, with the poster, which knows how posting goes.
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
