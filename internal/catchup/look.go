package catchup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// maxOpened bounds how many scans one look opens; the next look, soon after, goes on.
const maxOpened = 1000

// Found is what a look at a project found.
type Found struct {
	Platform, Project string
	Refs              int  // branches and tags that the project has
	First             bool // nobody has looked at the project before
	Missed            []Missed
	Left              int   // missed heads that wait for the next look
	More              bool  // not all branches and tags were looked at
	Err               error // why the project could not be looked at

	settled []core.Head // to be remembered when all that was missed is accepted
	gone    []string
}

// Missed is a head that no webhook announced, as the push that it would have announced.
type Missed struct {
	Push    core.Push
	Receipt core.Receipt // empty where nothing was to be changed
}

// Opened counts the scans that were opened.
func (f Found) Opened() (opened int) {
	for _, m := range f.Missed {
		if m.Receipt.Outcome == core.ScanCreated {
			opened++
		}
	}
	return opened
}

// catchUp opens a scan for each head that a claimed project misses, and remembers where its heads stand.
func (c *Catchup) catchUp(ctx context.Context, w store.Watched, all bool) (Found, error) {
	found, err := c.compare(ctx, w, all)
	if err != nil {
		return found, err
	}
	if found.Project != w.ProjectName {
		err := c.Store.RenameWatched(ctx, w, found.Project)
		if errors.Is(err, core.ErrConflict) {
			found.Missed = nil // the project's other row has its own turn
			return found, nil
		}
		if err != nil {
			return found, err
		}
	}
	for i, missed := range found.Missed {
		if found.Missed[i].Receipt, err = c.accept(ctx, found, missed.Push); err != nil {
			return found, err
		}
	}
	return found, c.Store.PutHeads(ctx, w.ID, found.settled, found.gone)
}

func (c *Catchup) accept(ctx context.Context, found Found, push core.Push) (core.Receipt, error) {
	return c.Store.AcceptPush(ctx, core.Delivery{
		Platform: found.Platform, Project: found.Project, Name: core.Recovered,
		Key:        platforms.DeliveryKey(core.Recovered, found.Project, push.Ref+"@"+push.After, push.Before),
		ReceivedAt: c.Now().UTC(), Event: push,
	}, push)
}

// compare finds what a project misses, and changes nothing. With all, heads that have always been there count too.
func (c *Catchup) compare(ctx context.Context, w store.Watched, all bool) (Found, error) {
	found := Found{Platform: w.SourcePlatform, Project: w.ProjectName, First: w.LookedAt == nil}
	known, err := c.recall(ctx, w)
	if err != nil {
		return found, err
	}
	// Read before the server is asked: a webhook that overtakes the answer tells of what comes after it.
	last, err := c.lastScan(ctx, w)
	if err != nil {
		return found, err
	}
	taken, remote, err := c.snapshot(ctx, &w)
	if err != nil {
		return found, err
	}
	if core.SameProject(w.ProjectName, found.Project) {
		w.ProjectName = found.Project // another spelling is no other name
	}
	found.Project, found.Refs, found.More = w.ProjectName, len(taken.heads), taken.more
	if len(taken.heads) == 0 && len(known.heads) > 0 {
		return found, fmt.Errorf("%s shows no branch any more, which is not believed: nothing is forgotten", remote.URL)
	}
	if taken.defaultBranch == "" {
		taken.defaultBranch = last.DefaultBranch
	}
	known.all = all
	if err := c.recallScans(ctx, last, taken.changed(known), known); err != nil {
		return found, err
	}
	pushes := c.candidates(w, taken, known, projectOf(w, remote, last, taken))
	if pushes, err = c.uncovered(ctx, w, pushes); err != nil {
		return found, err
	}
	found.divide(taken, known, pushes, c.most)
	return found, nil
}

// recall reads what is known of a project's refs; of scans, nothing yet. A ref that should have left its commit is
// taken for one that moved: pushes there and back may have been announced the wrong way round.
func (c *Catchup) recall(ctx context.Context, w store.Watched) (memory, error) {
	known := memory{first: w.LookedAt == nil, heads: map[string]core.Head{}, last: map[string]core.Scan{}}
	heads, err := c.Store.ListHeads(ctx, w.ID)
	if err != nil {
		return known, err
	}
	for _, h := range heads {
		known.heads[h.Ref] = h
	}
	deserted, err := c.Store.ListDeserted(ctx, w)
	for _, ref := range deserted {
		delete(known.heads, ref)
	}
	return known, err
}

// lastScan is the newest scan of a project, or one without an id where it has none.
func (c *Catchup) lastScan(ctx context.Context, w store.Watched) (core.Scan, error) {
	last, err := c.Store.GetLastScan(ctx, w.SourcePlatform, w.ProjectName)
	if errors.Is(err, core.ErrNotFound) {
		return core.Scan{SourcePlatform: w.SourcePlatform, ProjectName: w.ProjectName}, nil
	}
	return last, err
}

// recallScans reads the newest scans of the refs that have moved.
func (c *Catchup) recallScans(ctx context.Context, last core.Scan, changed []core.Head, known memory) error {
	names := make([]string, len(changed))
	for i, h := range changed {
		names[i] = h.Name()
	}
	scans, err := c.Store.ListLastScans(ctx, last, names)
	for _, scan := range scans {
		known.last[scan.Branch] = scan
	}
	return err
}

// projectOf tells of the project what a webhook would.
func projectOf(w store.Watched, remote platforms.Remote, last core.Scan, taken snapshot) core.Project {
	project := core.Project{
		Name: w.ProjectName, Ref: w.ProjectRef, CloneURL: remote.URL, DefaultBranch: taken.defaultBranch,
		URL: strings.TrimSuffix(remote.URL, ".git"),
	}
	if last.RepoURL != "" && last.ProjectName == w.ProjectName {
		project.URL = last.RepoURL
	}
	return project
}

func (c *Catchup) candidates(w store.Watched, taken snapshot, known memory, project core.Project) []core.Push {
	policy, _ := c.Policies.For(w.SourcePlatform, w.ProjectName)
	var pushes []core.Push
	for _, h := range taken.changed(known) {
		if push, ok := taken.candidate(h, known, policy, project); ok {
			pushes = append(pushes, push)
		}
	}
	return pushes
}

// uncovered are the pushes whose commit has no scan that is all they ask for.
func (c *Catchup) uncovered(ctx context.Context, w store.Watched, pushes []core.Push) ([]core.Push, error) {
	commits := make([]string, len(pushes))
	for i, push := range pushes {
		commits[i] = push.CommitSHA
	}
	scans, err := c.Store.ListScansOf(ctx, w, commits)
	if err != nil {
		return nil, err
	}
	latest := map[string]core.Scan{}
	for _, scan := range scans {
		latest[scan.CommitSHA] = scan
	}
	return slices.DeleteFunc(pushes, func(push core.Push) bool {
		scan, scanned := latest[push.CommitSHA]
		return scanned && covers(scan, push)
	}), nil
}

// divide tells the heads apart: at most so many missed, the others left for the next look, or settled.
func (f *Found) divide(taken snapshot, known memory, pushes []core.Push, most int) {
	left := map[string]bool{}
	for i, push := range pushes {
		if i < most {
			f.Missed = append(f.Missed, Missed{Push: push})
			continue
		}
		left[push.Ref] = true
	}
	f.Left = len(left)
	f.settled = slices.DeleteFunc(taken.changed(known), func(h core.Head) bool { return left[h.Ref] })
	f.gone = taken.gone(known)
}
