package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reconcile"
)

// recoverHeads compares branches and tags with the scans, and says what it found project by project.
func recoverHeads(ctx context.Context, r *rescue) error {
	syncing := reconcile.NewProjects(reconcile.Config{
		Store: r.store, Platforms: r.set, Policies: r.policies, Every: time.Duration(r.config.Recover.Every),
		Log: slog.New(slog.DiscardHandler),
	})
	var projects, missed, opened, failed int
	err := syncing.SyncNow(ctx, reconcile.SyncOrder{Projects: r.projects, DryRun: r.dry, All: r.all, Report: func(found reconcile.SyncResult) {
		projects++
		missed += len(found.Missed)
		opened += found.Opened()
		if found.Err != nil && !errors.Is(found.Err, core.ErrConflict) {
			failed++
		}
		sayFound(r.out, found)
	}})
	if err != nil {
		return err
	}
	sayRound(r, projects, missed, opened)
	if failed > 0 {
		return fmt.Errorf("%s could not be looked at, see above", core.Plural(failed, "project"))
	}
	return nil
}

func sayFound(out io.Writer, found reconcile.SyncResult) {
	name := oneLine(found.Platform + "/" + found.Project)
	switch {
	case errors.Is(found.Err, core.ErrConflict):
		fmt.Fprintf(out, "%s: another process is looking at it\n", name)
	case found.Err != nil:
		fmt.Fprintf(out, "%s: %s\n", name, oneLine(found.Err.Error()))
	case len(found.Missed) == 0:
		fmt.Fprintf(out, "%s: nothing missed (%s)\n", name, core.Plural(found.Refs, "ref"))
	default:
		fmt.Fprintf(out, "%s: %d missed (%s)\n", name, len(found.Missed)+found.Left, core.Plural(found.Refs, "ref"))
	}
	for _, m := range found.Missed {
		fmt.Fprintf(out, "  %-12s %s  %s\n", outcomeOf(m), core.ShortSHA(m.Push.CommitSHA), oneLine(m.Push.Ref))
	}
	if found.Left > 0 {
		fmt.Fprintf(out, "  and %d more, which wait for the next look\n", found.Left)
	}
	if found.Truncated {
		fmt.Fprintf(out, "  it has more refs than are looked at\n")
	}
}

func outcomeOf(m reconcile.MissedPush) string {
	if m.Receipt.Outcome == "" {
		return "missed"
	}
	return string(m.Receipt.Outcome)
}

func sayRound(r *rescue, projects, missed, opened int) {
	switch {
	case projects == 0:
		fmt.Fprintln(r.out, "No project is known yet: one becomes known by its first webhook, or by standing under")
		fmt.Fprintln(r.out, "repositories in the configuration without a glob.")
	case r.dry:
		fmt.Fprintf(r.out, "%d missed in %s; nothing was changed.\n", missed, core.Plural(projects, "project"))
	default:
		fmt.Fprintf(r.out, "%s opened in %s; scanhook serve works them off.\n", core.Plural(opened, "scan"),
			core.Plural(projects, "project"))
	}
}
