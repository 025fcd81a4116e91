package catchup

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Order is what one round shall look at.
type Order struct {
	Projects []store.KnownProject // all that are known when empty
	DryRun   bool                 // find, and change nothing
	All      bool                 // open scans of all wanted heads that have none, however long they have been there
	Tell     func(Found)          // called for each project, one at a time
}

// Round looks once at each project, also where none is due. A project that another process looks at meanwhile is told
// with core.ErrConflict. The error is the store's.
func (c *Catchup) Round(ctx context.Context, order Order) error {
	projects := order.Projects
	if len(projects) == 0 {
		all, err := c.sightings(ctx)
		if err != nil {
			return err
		}
		projects = distinct(all)
	}
	var telling sync.Mutex
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(parallel)
	for _, p := range projects {
		looks.Go(func() error {
			found, err := c.lookAt(ctx, p, order)
			if err == nil {
				telling.Lock()
				defer telling.Unlock()
				order.Tell(found)
			}
			return err
		})
	}
	return looks.Wait()
}

// distinct keeps the first of several sightings of one project.
func distinct(projects []store.KnownProject) []store.KnownProject {
	seen := map[projectKey]bool{}
	return slices.DeleteFunc(projects, func(p store.KnownProject) bool {
		again := seen[keyOf(p)]
		seen[keyOf(p)] = true
		return again
	})
}

func (c *Catchup) lookAt(ctx context.Context, p store.KnownProject, order Order) (Found, error) {
	if order.DryRun {
		return c.compareOnly(ctx, p, order.All)
	}
	watched, err := c.Store.ClaimProject(ctx, p, lease)
	if errors.Is(err, core.ErrConflict) {
		return Found{Platform: p.SourcePlatform, Project: p.ProjectName, Err: err}, nil
	}
	if err != nil {
		return Found{}, err
	}
	return c.visit(ctx, watched, order.All)
}

func (c *Catchup) compareOnly(ctx context.Context, p store.KnownProject, all bool) (Found, error) {
	watched, err := c.Store.GetWatched(ctx, p.SourcePlatform, p.ProjectName)
	if errors.Is(err, core.ErrNotFound) {
		watched = store.Watched{SourcePlatform: p.SourcePlatform, ProjectName: p.ProjectName, ProjectRef: p.ProjectRef}
	} else if err != nil {
		return Found{}, err
	}
	found, err := c.compare(ctx, watched, all)
	if errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil {
		return found, err
	}
	found.Err = err
	return found, nil
}
