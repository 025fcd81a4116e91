package reconcile

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	trackChunk  = 200              // projects that one transaction begins to track
	startPause  = 10 * time.Second // until the first sync of tracked projects: webhooks that the platforms held back come first
	startSpread = 20 * time.Second
	lookAgain   = time.Hour // after which all projects are looked at: one that was gone may bear its name again
)

// discovery finds projects to track, and remembers which are tracked.
type discovery struct {
	*Config
	found   poll.Bell // rings when there are new projects
	started bool      // the projects that were tracked at the start have their time
	last    int64     // id up to which projects were looked at
	whole   time.Time // when all were
	tracked map[int64]bool
}

func newDiscovery(cfg *Config) *discovery {
	return &discovery{Config: cfg, tracked: map[int64]bool{}}
}

// discover begins to track new projects: those that are known, and those that the configuration names.
func (d *discovery) discover(ctx context.Context) (worked bool, err error) {
	since := d.last - overlap
	whole := d.whole.IsZero() || d.Now().Sub(d.whole) >= lookAgain
	if whole {
		since = 0
	}
	fresh, last, err := d.undiscovered(ctx, since)
	if err != nil {
		return false, err
	}
	if !d.started {
		if err := d.Store.MarkProjectsDue(ctx, d.afterStart()); err != nil {
			return false, err
		}
		d.started = true
	}
	for chunk := range slices.Chunk(fresh, trackChunk) {
		if err := d.Store.TrackProjects(ctx, chunk); err != nil {
			return false, err
		}
	}
	d.last = max(d.last, last)
	for _, project := range fresh {
		d.tracked[project.ID] = project.ID != 0 // else it is known by its id next time
	}
	if whole {
		d.whole = d.Now()
	}
	if len(fresh) > 0 {
		d.found.Ring()
	}
	return false, nil
}

// afterStart is when the projects that are tracked already are first synced.
func (d *discovery) afterStart() time.Duration {
	return min(startPause+rand.N(startSpread), d.Every)
}

// undiscovered lists the configured projects that became known after the one with an id and are not tracked yet. If it is 0, those
// that only the configuration names are among them. last is the highest id that it looked at.
func (d *discovery) undiscovered(ctx context.Context, since int64) (fresh []store.KnownProject, last int64, err error) {
	projects, err := d.Store.ListKnownProjects(ctx, since)
	if err != nil {
		return nil, 0, err
	}
	for _, project := range projects {
		last = max(last, project.ID)
	}
	if since == 0 {
		projects = append(projects, onlyNamed(NamedProjects(d.Policies), projects)...)
	}
	return slices.DeleteFunc(projects, func(p store.KnownProject) bool { return d.tracked[p.ID] || !d.wanted(p) }), last, nil
}

// onlyNamed keeps the named projects that are not known, each once. Platforms compare names without case.
func onlyNamed(named, known []store.KnownProject) []store.KnownProject {
	type key struct{ platform, name string }
	keyOf := func(p store.KnownProject) key { return key{p.SourcePlatform, core.ProjectKey(p.ProjectName)} }
	seen := map[key]bool{}
	for _, p := range known {
		seen[keyOf(p)] = true
	}
	return slices.DeleteFunc(named, func(p store.KnownProject) bool {
		again := seen[keyOf(p)]
		seen[keyOf(p)] = true
		return again
	})
}

// NamedProjects lists the projects that policies name without a glob.
func NamedProjects(policies core.Policies) []store.KnownProject {
	var projects []store.KnownProject
	for _, rule := range policies {
		platform, project, ok := strings.Cut(rule.Match, "/")
		if ok && !strings.ContainsAny(rule.Match, `*?[]{}\`) {
			projects = append(projects, store.KnownProject{SourcePlatform: platform, ProjectName: project})
		}
	}
	return projects
}

// wanted tells whether a project is configured and its name can be part of an address.
func (d *discovery) wanted(project store.KnownProject) bool {
	_, served := d.Platforms[project.SourcePlatform]
	_, configured := d.Policies.For(project.SourcePlatform, project.ProjectName)
	return served && configured && platforms.CheckProject(project.ProjectName) == nil
}
