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
func (c *Catchup) catchUp(ctx context.Context, w store.Watched) (Found, error) {
	found, err := c.compare(ctx, w)
	if err != nil {
		return found, err
	}
	for i, missed := range found.Missed {
		if found.Missed[i].Receipt, err = c.accept(ctx, w, missed.Push); err != nil {
			return found, err
		}
	}
	return found, c.Store.PutHeads(ctx, w.ID, found.settled, found.gone)
}

func (c *Catchup) accept(ctx context.Context, w store.Watched, push core.Push) (core.Receipt, error) {
	return c.Store.AcceptPush(ctx, core.Delivery{
		Platform: w.SourcePlatform, Project: w.ProjectName, Name: core.Recovered,
		Key:        platforms.DeliveryKey(core.Recovered, w.ProjectName, push.Ref+"@"+push.After, push.Before),
		ReceivedAt: c.Now().UTC(), Event: push,
	}, push)
}

// compare finds what a project misses, and changes nothing.
func (c *Catchup) compare(ctx context.Context, w store.Watched) (Found, error) {
	found := Found{Platform: w.SourcePlatform, Project: w.ProjectName, First: w.LookedAt == nil}
	remote, err := c.Platforms[w.SourcePlatform].Remote(ctx, w.ProjectName)
	if err != nil {
		return found, err
	}
	taken, err := c.askers[w.SourcePlatform].ask(ctx, remote)
	if err != nil {
		return found, err
	}
	found.Refs, found.More = len(taken.heads), taken.more
	known, err := c.recall(ctx, w)
	if err != nil {
		return found, err
	}
	if len(taken.heads) == 0 && len(known.heads) > 0 {
		return found, fmt.Errorf("%s shows no branch any more, which is not believed: nothing is forgotten", remote.URL)
	}
	project, err := c.projectOf(ctx, w, remote, &taken)
	if err != nil {
		return found, err
	}
	return found, c.judge(ctx, &found, taken, known, project)
}

// recall reads what is known of a project's refs; of scans, nothing yet.
func (c *Catchup) recall(ctx context.Context, w store.Watched) (memory, error) {
	known := memory{first: w.LookedAt == nil, heads: map[string]core.Head{}, last: map[string]core.Scan{}}
	heads, err := c.Store.ListHeads(ctx, w.ID)
	for _, h := range heads {
		known.heads[h.Ref] = h
	}
	return known, err
}

// projectOf tells of the project what a webhook would: the newest scan knows it. The default branch is the server's
// word, or else what it was.
func (c *Catchup) projectOf(
	ctx context.Context, w store.Watched, remote platforms.Remote, taken *snapshot,
) (core.Project, error) {
	project := core.Project{
		Name: w.ProjectName, Ref: w.ProjectRef, URL: strings.TrimSuffix(remote.URL, ".git"), CloneURL: remote.URL,
	}
	last, err := c.Store.GetLastScan(ctx, w.SourcePlatform, w.ProjectName)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return core.Project{}, err
	}
	if last.RepoURL != "" {
		project.URL = last.RepoURL
	}
	if taken.defaultBranch == "" {
		taken.defaultBranch = last.DefaultBranch
	}
	project.DefaultBranch = taken.defaultBranch
	return project, nil
}

// judge tells the heads apart: missed, or settled.
func (c *Catchup) judge(ctx context.Context, found *Found, taken snapshot, known memory, project core.Project) error {
	policy, _ := c.Policies.For(found.Platform, found.Project)
	changed := taken.changed(known)
	if err := c.recallScans(ctx, found, changed, known); err != nil {
		return err
	}
	var pushes []core.Push
	for _, h := range changed {
		if push, ok := taken.candidate(h, known, policy, project); ok {
			pushes = append(pushes, push)
		}
	}
	pushes, err := c.uncovered(ctx, found, pushes)
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for i, push := range pushes {
		if i < maxOpened {
			found.Missed = append(found.Missed, Missed{Push: push})
			continue
		}
		left[push.Ref] = true
	}
	found.Left = len(left)
	found.settled = slices.DeleteFunc(changed, func(h core.Head) bool { return left[h.Ref] })
	found.gone = taken.gone(known)
	return nil
}

// recallScans reads the newest scans of the refs that have moved.
func (c *Catchup) recallScans(ctx context.Context, found *Found, changed []core.Head, known memory) error {
	names := make([]string, len(changed))
	for i, h := range changed {
		names[i] = h.Name()
	}
	scans, err := c.Store.ListLastScans(ctx, found.Platform, found.Project, names)
	for _, scan := range scans {
		known.last[scan.Branch] = scan
	}
	return err
}

// uncovered are the pushes whose commit has no scan that is all they ask for.
func (c *Catchup) uncovered(ctx context.Context, found *Found, pushes []core.Push) ([]core.Push, error) {
	commits := make([]string, len(pushes))
	for i, push := range pushes {
		commits[i] = push.CommitSHA
	}
	scans, err := c.Store.ListScansOf(ctx, found.Platform, found.Project, commits)
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
