package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/check"
	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/actions"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/enrich"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/internal/ingest"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/internal/retention"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/removal"
)

// loops work in the background until their context ends: those of the parts that this process does, and what every
// process needs.
func (w *wiring) loops() []func(context.Context) {
	list := []func(context.Context){keepTime(w.db, w.log), w.health.Run, w.tracer.Run}
	for _, loop := range slices.Concat(w.loopsOfPushes(), w.loopsOfUpkeep()) {
		if w.parts.Has(loop.part) {
			list = append(list, loop.run)
		}
	}
	return list
}

// partLoop is a loop of a part.
type partLoop struct {
	part cli.Part
	run  func(context.Context)
}

// loopsOfPushes take a push from the call to the status.
func (w *wiring) loopsOfPushes() []partLoop {
	calls := ingest.New(ingest.Config{Store: w.db, Platforms: w.platforms, Version: buildVersion(), Log: w.log})
	metadata := enrich.New(enrich.Config{Store: w.db, Platforms: w.platforms, Log: w.log, Now: w.db.Now})
	buttons := actions.New(actions.Config{Store: w.db, Platforms: w.platforms, Log: w.log, Now: w.db.Now})
	return []partLoop{
		{cli.Ingest, calls.Run}, {cli.Runner, w.runner.Run}, {cli.Runner, w.forgetMirrors()}, {cli.Statuses, w.poster.Run},
		{cli.Statuses, buttons.Run}, {cli.Enrich, metadata.Run},
	}
}

// loopsOfUpkeep see to what no push brings.
func (w *wiring) loopsOfUpkeep() []partLoop {
	cfg, every := w.config, time.Duration(w.config.Recover.Every)
	lists := epss.New(epss.Config{
		Store: w.db, URLs: feedsOf(cfg), Asked: askedFor(cfg), Every: cfg.EPSS.Every, Log: w.log,
	})
	retention := retention.New(retention.Config{
		Store: w.db, Deliveries: cfg.Retention.Deliveries.Duration(), Scans: cfg.Retention.Scans.Duration(),
		KeepScans: int(cfg.Retention.KeepScans), Log: w.log, Now: w.db.Now,
	})
	projects := reconcile.NewProjects(reconcile.Config{
		Store: w.db, Platforms: enabled(cfg, w.platforms), Policies: w.policies, Every: every, Log: w.log, Now: w.db.Now,
	})
	hooks := reconcile.NewHooks(reconcile.Config{
		Store: w.db, Platforms: w.platforms, Address: hookAddresses(cfg), Every: every, Log: w.log, Now: w.db.Now,
	})
	return []partLoop{
		{cli.EPSS, lists.Run}, {cli.Reconcile, projects.Run}, {cli.Reconcile, hooks.Run}, {cli.Retention, retention.Run}, {cli.Retention, retention.RunRemovals},
		{cli.Verdicts, judgeHeads(w.db, w.log)}, {cli.Verdicts, endAcceptedRisks(w.db, w.log)}, {cli.Verdicts, w.runner.EndOverdue},
	}
}

// forgetMirrors removes the mirrors that this process has of projects that were deleted.
func (w *wiring) forgetMirrors() func(context.Context) {
	var since time.Time
	once := func(ctx context.Context) (bool, error) {
		deleted, err := w.db.Removal().Since(ctx, since)
		for _, project := range deleted {
			if err = errors.Join(err, w.mirrors.Forget(ctx, w.mirrorOf(ctx, project), project.AskedAt)); err == nil {
				since = project.AskedAt.Add(time.Microsecond)
			}
		}
		return false, err
	}
	return poll.Loop{Name: "mirrors of deleted projects", Every: time.Minute, Once: once, Log: w.log}.Run
}

// mirrorOf is the key of the mirror of a deleted project. Where the platform does not tell any more where that was fetched from, its page does.
func (w *wiring) mirrorOf(ctx context.Context, project removal.Removal) string {
	remote := platforms.Remote{URL: project.RepoURL}
	if platform, configured := w.platforms[project.Platform]; configured {
		if from, err := platform.Remote(ctx, project.Name); err == nil {
			remote = from
		}
	}
	return mirror.ProjectOf(core.Scan{
		SourcePlatform: project.Platform, ProjectRef: project.PlatformRef, ProjectName: project.Name,
	}, remote).Key
}

// judgeHeads judges where branches stand by the gates of the configuration, which may have changed since they were judged.
func judgeHeads(db *store.Store, log *slog.Logger) func(context.Context) {
	return func(ctx context.Context) {
		turned, err := db.JudgeHeads(ctx)
		if err != nil && ctx.Err() == nil {
			log.Warn("branches not judged by the present gates: the next start tries again", "error", err)
		}
		if turned > 0 {
			log.Info("verdicts turned by the present gates", "scans", turned)
		}
	}
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

const keepTimeEvery = time.Minute

// keepTime compares the clocks and corrects times that a wrong one has written. It logs when the host's begins to differ
// from the database's, and when the one that is used has jumped.
func keepTime(db *store.Store, log *slog.Logger) func(context.Context) {
	differs, doubted := false, false
	once := func(ctx context.Context) (bool, error) {
		skew, err := db.SyncClock(ctx)
		if err != nil {
			return false, err
		}
		if skew != 0 && !differs {
			log.Warn("the database's clock is used: " + check.ClockAdvice(skew, "the database's"))
		}
		differs = skew != 0
		doubt := db.Doubt()
		if doubt != 0 && !doubted {
			log.Warn("the clock has jumped; it is followed when it stays so, and no deadline passes meanwhile", "by", doubt.Round(time.Second))
		}
		doubted = doubt != 0
		corrected, err := db.RepairTimes(ctx)
		if corrected > 0 {
			log.Warn("times that a wrong clock had written were corrected", "rows", corrected)
		}
		return false, err
	}
	return poll.Loop{Name: "clock", Every: keepTimeEvery, Once: once, Log: log}.Run
}

// endAcceptedRisks lets findings count again when the end of their acceptance has come.
func endAcceptedRisks(db *store.Store, log *slog.Logger) func(context.Context) {
	once := func(ctx context.Context) (bool, error) {
		ended, err := db.EndAcceptedRisks(ctx)
		if ended > 0 {
			log.Info("accepted risks have ended, their alerts count again", "alerts", ended)
		}
		return ended > 0, err
	}
	return poll.Loop{Name: "accepted risks", Every: time.Minute, Once: once, Log: log}.Run
}
