package redelivery

import (
	"context"
	"errors"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Order is what one round of checks shall look at.
type Order struct {
	Projects []store.KnownProject // all that are under watch when empty
	DryRun   bool                 // find, and change nothing
	Tell     func(Finding)        // called for each place
}

// Round checks once each place of the projects, also where no check is due. A place that another process looks at
// meanwhile is told with core.ErrConflict. The error is the store's.
func (r *Redelivery) Round(ctx context.Context, order Order) error {
	for _, w := range r.workers {
		places, err := w.placesOf(ctx, order.Projects)
		if err != nil {
			return err
		}
		for _, place := range places {
			found, err := w.checkNow(ctx, place, order.DryRun)
			if err != nil {
				return err
			}
			order.Tell(found)
		}
	}
	return nil
}

func (w *worker) placesOf(ctx context.Context, projects []store.KnownProject) ([]platforms.HookTarget, error) {
	var names []string
	for _, project := range projects {
		if project.SourcePlatform == w.name {
			names = append(names, project.ProjectName)
		}
	}
	if len(projects) > 0 {
		return w.places(names), nil
	}
	watched, err := w.Store.ListWatchedSince(ctx, w.name, 0)
	for _, project := range watched {
		names = append(names, project.ProjectName)
	}
	return w.places(names), err
}

func (w *worker) checkNow(ctx context.Context, place platforms.HookTarget, dry bool) (Finding, error) {
	if dry {
		found := w.check(ctx, w.rows(place)[0], true)
		if errors.Is(found.Err, core.ErrUnavailable) || ctx.Err() != nil {
			return found, found.Err
		}
		return found, nil
	}
	claimed, err := w.Store.ClaimHookPlaceNow(ctx, w.rows(place)[0], lease)
	if errors.Is(err, core.ErrConflict) {
		return Finding{Platform: w.name, Place: place, Err: err}, nil
	}
	if err != nil {
		return Finding{}, err
	}
	return w.visit(ctx, claimed)
}
