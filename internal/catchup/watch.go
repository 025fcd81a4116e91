package catchup

import (
	"context"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	// overlap is how many ids are looked at again, because transactions do not end in the order of their ids.
	overlap = 1000
	// watchChunk is how many projects one transaction puts under watch.
	watchChunk = 200
)

type projectKey struct{ platform, project string }

// watcher notices the projects that are there to be watched.
type watcher struct {
	found             poll.Bell // rings when there are new ones
	started           bool
	scans, deliveries int64                 // ids that were looked at
	known             map[projectKey]bool   // by their names
	names             map[projectKey]string // by their numbers
}

// watch puts new projects under watch: those of scans and deliveries, and those that the configuration names.
func (c *Catchup) watch(ctx context.Context) (worked bool, err error) {
	fresh, err := c.sightings(ctx)
	if err != nil {
		return false, err
	}
	if !c.started {
		if err := c.Store.HastenLooks(ctx, c.afterStart()); err != nil {
			return false, err
		}
		c.started = true
	}
	for chunk := range slices.Chunk(fresh, watchChunk) {
		if err := c.Store.WatchProjects(ctx, chunk); err != nil {
			return false, err
		}
	}
	for _, p := range fresh {
		c.remember(p)
	}
	if len(fresh) > 0 {
		c.found.Ring()
	}
	return false, nil
}

func (w *watcher) remember(p store.KnownProject) {
	if w.known == nil {
		w.known, w.names = map[projectKey]bool{}, map[projectKey]string{}
	}
	w.known[keyOf(p)] = true
	w.names[numberOf(p)] = p.ProjectName
}

// knows tells whether a sighting says nothing new: a project that bears another name is news.
func (w *watcher) knows(p store.KnownProject) bool {
	return w.known[keyOf(p)] && (p.ProjectRef == "" || w.names[numberOf(p)] == p.ProjectName)
}

// sightings are the configured projects that were named since the last time and are not known yet. Of a project that
// bore several names only the last one counts.
func (c *Catchup) sightings(ctx context.Context) ([]store.KnownProject, error) {
	scanned, err := c.Store.ListScanned(ctx, c.scans-overlap)
	if err != nil {
		return nil, err
	}
	announced, err := c.Store.ListAnnounced(ctx, c.deliveries-overlap)
	if err != nil {
		return nil, err
	}
	c.scans, c.deliveries = lastID(scanned, c.scans), lastID(announced, c.deliveries)
	all := slices.Concat(latestNames(scanned), unnumbered(announced, scanned))
	all = append(all, unspelt(Literal(c.Policies), all)...)
	return slices.DeleteFunc(all, func(p store.KnownProject) bool { return c.knows(p) || !c.wanted(p) }), nil
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
		if p.ProjectRef == "" || !named[numberOf(p)] {
			latest = append(latest, p)
		}
		named[numberOf(p)] = true
	}
	slices.Reverse(latest)
	return latest
}

// unnumbered are the announced projects of which no scan tells more.
func unnumbered(announced, scanned []store.KnownProject) []store.KnownProject {
	told := map[projectKey]bool{}
	for _, p := range scanned {
		told[keyOf(p)] = true
	}
	return slices.DeleteFunc(announced, func(p store.KnownProject) bool { return told[keyOf(p)] })
}

// unspelt are the configured projects that nothing else names, in whatever letters: platforms do not tell A from a.
func unspelt(configured, named []store.KnownProject) []store.KnownProject {
	spelt := map[projectKey]bool{}
	for _, p := range named {
		spelt[projectKey{p.SourcePlatform, core.ProjectKey(p.ProjectName)}] = true
	}
	return slices.DeleteFunc(configured, func(p store.KnownProject) bool {
		return spelt[projectKey{p.SourcePlatform, core.ProjectKey(p.ProjectName)}]
	})
}

// Literal are the projects that rules name without a glob.
func Literal(policies core.Policies) []store.KnownProject {
	var projects []store.KnownProject
	for _, rule := range policies {
		platform, project, ok := strings.Cut(rule.Match, "/")
		if ok && !strings.ContainsAny(rule.Match, `*?[]{}\`) {
			projects = append(projects, store.KnownProject{SourcePlatform: platform, ProjectName: project})
		}
	}
	return projects
}

// wanted tells whether the configuration speaks of a project, and its name can be part of an address.
func (c *Catchup) wanted(p store.KnownProject) bool {
	_, served := c.Platforms[p.SourcePlatform]
	_, configured := c.Policies.For(p.SourcePlatform, p.ProjectName)
	return served && configured && platforms.CheckProject(p.ProjectName) == nil
}

func keyOf(p store.KnownProject) projectKey    { return projectKey{p.SourcePlatform, p.ProjectName} }
func numberOf(p store.KnownProject) projectKey { return projectKey{p.SourcePlatform, p.ProjectRef} }
