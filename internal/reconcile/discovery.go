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
)

// projectKey is a platform, and a project's name or number there.
type projectKey struct{ platform, project string }

func keyOfName(p store.KnownProject) projectKey   { return projectKey{p.SourcePlatform, p.ProjectName} }
func keyOfNumber(p store.KnownProject) projectKey { return projectKey{p.SourcePlatform, p.ProjectRef} }

// discovery finds projects to track, and remembers which are tracked.
type discovery struct {
	*Config
	found             poll.Bell // rings when there are new projects
	started           bool
	scans, deliveries int64                 // ids up to which rows were read
	known             map[projectKey]bool   // by name
	names             map[projectKey]string // by number
}

func newDiscovery(cfg *Config) *discovery {
	return &discovery{Config: cfg, known: map[projectKey]bool{}, names: map[projectKey]string{}}
}

// discover begins to track new projects: those of scans and deliveries, and those that the configuration names.
func (d *discovery) discover(ctx context.Context) (worked bool, err error) {
	fresh, err := d.undiscovered(ctx)
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
	for _, project := range fresh {
		d.remember(project)
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

func (d *discovery) remember(p store.KnownProject) {
	d.known[keyOfName(p)] = true
	d.names[keyOfNumber(p)] = p.ProjectName
}

// undiscovered lists the configured projects that were mentioned since the last call and are not tracked yet. Of the names
// of one project only the latest counts.
func (d *discovery) undiscovered(ctx context.Context) ([]store.KnownProject, error) {
	scanned, err := d.Store.ListScanned(ctx, d.scans-overlap)
	if err != nil {
		return nil, err
	}
	announced, err := d.Store.ListAnnounced(ctx, d.deliveries-overlap)
	if err != nil {
		return nil, err
	}
	d.scans, d.deliveries = lastID(scanned, d.scans), lastID(announced, d.deliveries)
	all := slices.Concat(latestNames(scanned), unscanned(announced, scanned))
	all = append(all, unmentioned(NamedProjects(d.Policies), all)...)
	return slices.DeleteFunc(all, func(project store.KnownProject) bool { return d.knows(project) || !d.wanted(project) }), nil
}

func lastID(list []store.KnownProject, before int64) int64 {
	if len(list) == 0 {
		return before
	}
	return max(before, list[len(list)-1].LastID)
}

// latestNames drops the names that projects had before they were renamed.
func latestNames(list []store.KnownProject) []store.KnownProject {
	named := map[projectKey]bool{}
	var latest []store.KnownProject
	for _, p := range slices.Backward(list) {
		if p.ProjectRef == "" || !named[keyOfNumber(p)] {
			latest = append(latest, p)
		}
		named[keyOfNumber(p)] = true
	}
	slices.Reverse(latest)
	return latest
}

// unscanned keeps the announced projects that have no scan.
func unscanned(announced, scanned []store.KnownProject) []store.KnownProject {
	has := map[projectKey]bool{}
	for _, p := range scanned {
		has[keyOfName(p)] = true
	}
	return slices.DeleteFunc(announced, func(p store.KnownProject) bool { return has[keyOfName(p)] })
}

// unmentioned keeps the configured projects that nothing else mentions. Platforms compare names without case.
func unmentioned(configured, mentioned []store.KnownProject) []store.KnownProject {
	key := func(p store.KnownProject) projectKey {
		return projectKey{p.SourcePlatform, core.ProjectKey(p.ProjectName)}
	}
	known := map[projectKey]bool{}
	for _, p := range mentioned {
		known[key(p)] = true
	}
	return slices.DeleteFunc(configured, func(p store.KnownProject) bool { return known[key(p)] })
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

// knows tells whether a project is tracked under its name. A project with a new name is news.
func (d *discovery) knows(p store.KnownProject) bool {
	return d.known[keyOfName(p)] && (p.ProjectRef == "" || d.names[keyOfNumber(p)] == p.ProjectName)
}

// wanted tells whether a project is configured and its name can be part of an address.
func (d *discovery) wanted(project store.KnownProject) bool {
	_, served := d.Platforms[project.SourcePlatform]
	_, configured := d.Policies.For(project.SourcePlatform, project.ProjectName)
	return served && configured && platforms.CheckProject(project.ProjectName) == nil
}
