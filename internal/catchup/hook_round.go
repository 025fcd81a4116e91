package catchup

import (
	"context"
	"errors"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// HookOrder is what one round of checks shall look at.
type HookOrder struct {
	Projects []store.Sighting  // all that are under watch when empty
	DryRun   bool              // find, and change nothing
	Tell     func(HookFinding) // called for each place
}

// Round checks once each place of the projects, also where no check is due. A place that another process looks at
// meanwhile is told with core.ErrConflict. The error is the store's.
func (w *HookWatch) Round(ctx context.Context, order HookOrder) error {
	for _, c := range w.carers {
		places, err := c.placesOf(ctx, order.Projects)
		if err != nil {
			return err
		}
		for _, place := range places {
			found, err := c.checkNow(ctx, place, order.DryRun)
			if err != nil {
				return err
			}
			order.Tell(found)
		}
	}
	return nil
}

func (c *carer) placesOf(ctx context.Context, projects []store.Sighting) ([]platforms.HookPlace, error) {
	var names []string
	for _, project := range projects {
		if project.SourcePlatform == c.name {
			names = append(names, project.ProjectName)
		}
	}
	if len(projects) > 0 {
		return c.places(names), nil
	}
	watched, err := c.Store.ListWatchedSince(ctx, c.name, 0)
	for _, project := range watched {
		names = append(names, project.ProjectName)
	}
	return c.places(names), err
}

func (c *carer) checkNow(ctx context.Context, place platforms.HookPlace, dry bool) (HookFinding, error) {
	if dry {
		found := c.check(ctx, c.kept(place)[0], true)
		if errors.Is(found.Err, core.ErrUnavailable) || ctx.Err() != nil {
			return found, found.Err
		}
		return found, nil
	}
	claimed, err := c.Store.ClaimHookPlaceNow(ctx, c.kept(place)[0], lease)
	if errors.Is(err, core.ErrConflict) {
		return HookFinding{Platform: c.name, Place: place, Err: err}, nil
	}
	if err != nil {
		return HookFinding{}, err
	}
	return c.visit(ctx, claimed)
}
