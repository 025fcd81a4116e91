package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/platforms"
)

// recoverHooks has the platforms deliver again what did not arrive, and says so webhook by webhook.
func recoverHooks(ctx context.Context, r *rescue) error {
	checks := reconcile.NewHooks(reconcile.Config{
		Store: r.store, Platforms: r.set, Address: hookAddresses(r.config), Log: slog.New(slog.DiscardHandler),
	})
	failed := 0
	err := checks.CheckNow(ctx, reconcile.CheckOrder{Projects: r.projects, DryRun: r.dry, Report: func(found reconcile.HookResult) {
		limit := new(platforms.RateLimited)
		if found.Err != nil && !errors.Is(found.Err, core.ErrConflict) && !errors.As(found.Err, &limit) {
			failed++
		}
		if text := hookNews(found, r.dry); text != "" {
			fmt.Fprintf(r.out, "webhook of %s on %s: %s\n", oneLine(found.Target.String()), found.Platform, oneLine(text))
		}
	}})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%s could not be looked at, see above", core.Plural(failed, "webhook"))
	}
	return err
}

// hookNews is what a person wants to know of a webhook, or nothing.
func hookNews(found reconcile.HookResult, dry bool) string {
	switch {
	case errors.Is(found.Err, core.ErrConflict):
		return "another process is looking at it"
	case found.Missing > 0 && dry:
		return core.Plural(found.Missing, "event") + " did not arrive"
	case found.Missing > found.Redelivered:
		why := found.Note
		if found.Err != nil {
			why = found.Err.Error()
		}
		return fmt.Sprintf("%s did not arrive, %d are sent again now, the others later: %s",
			core.Plural(found.Missing, "event"), found.Redelivered, cmp.Or(why, "they were tried a moment ago"))
	case found.Missing > 0:
		return core.Plural(found.Missing, "event") + " did not arrive and are sent again"
	case found.Err != nil:
		return found.Err.Error()
	case found.Revived:
		return "the platform had disabled it, and calls it again now"
	case found.State == reconcile.HookHidden || found.State == reconcile.HookNone:
		return "" // check tells of it
	}
	return found.Note
}
