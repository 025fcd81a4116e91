package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// maxOpened bounds how many scans one sync opens; the next sync, soon after, goes on.
const maxOpened = 1000

// syncer compares projects with their scans.
type syncer struct {
	*Config
	clients   map[string]*gitproto.Client // by platform
	maxOpened int
}

func newSyncer(cfg *Config) *syncer {
	s := &syncer{Config: cfg, clients: map[string]*gitproto.Client{}, maxOpened: maxOpened}
	for name, platform := range cfg.Platforms {
		s.clients[name] = gitproto.New(platform, cfg.Now)
	}
	return s
}

// SyncResult is what a sync found of a project.
type SyncResult struct {
	Platform, Project string
	Refs              int  // branches and tags that the project has
	First             bool // the project was never synced before
	Missed            []MissedPush
	Left              int   // missed refs that wait for the next sync
	Truncated         bool  // not all branches and tags were compared
	Err               error // why the project could not be compared

	known store.Picture // before the platform was asked
	seen  []core.Ref    // what needs no scan: refs that stand elsewhere, are gone, or were in doubt
}

// MissedPush is the push that a webhook would have announced.
type MissedPush struct {
	Push    core.Push
	Receipt core.Receipt // empty where nothing was to be changed
}

// Opened counts the scans that were opened.
func (r SyncResult) Opened() (opened int) {
	for _, m := range r.Missed {
		if m.Receipt.Outcome == core.ScanCreated {
			opened++
		}
	}
	return opened
}

// sync opens a scan for each ref that a tracked project misses, and remembers where its refs stand.
func (s *syncer) sync(ctx context.Context, t store.TrackedProject, all bool) (SyncResult, error) {
	result, err := s.compare(ctx, t, all)
	if err != nil {
		return result, err
	}
	if result.Project != t.ProjectName {
		err := s.Store.RenameProject(ctx, t, result.Project)
		if errors.Is(err, core.ErrConflict) {
			result.Missed = nil // the new name is tracked already and has its own turn
			return result, nil
		}
		if err != nil {
			return result, err
		}
	}
	for i, missed := range result.Missed {
		if result.Missed[i].Receipt, err = s.accept(ctx, result, missed.Push); err != nil {
			return result, err
		}
	}
	return result, s.Store.SeeRefs(ctx, t, result.known, result.seen)
}

func (s *syncer) accept(ctx context.Context, result SyncResult, push core.Push) (core.Receipt, error) {
	asked := result.known.At.Format(time.RFC3339Nano) // the same may be missed again, when its scan was removed
	return s.Store.Accept(ctx, core.Delivery{
		Platform: result.Platform, Project: result.Project, Name: core.OriginReconcile,
		Key:        platforms.DeliveryKey(core.OriginReconcile, result.Project, push.Ref+"@"+push.After, push.Before, asked),
		ReceivedAt: result.known.At, Event: push,
	})
}

// compare finds what a project misses, and changes nothing. With all, refs that have always been there count too.
func (s *syncer) compare(ctx context.Context, t store.TrackedProject, all bool) (SyncResult, error) {
	result := SyncResult{Platform: t.SourcePlatform, Project: t.ProjectName, First: t.SyncedAt == nil}
	// Read before the server is asked: a webhook that arrives before its answer is about something newer.
	picture, err := s.Store.GetPicture(ctx, t.ProjectID)
	if err != nil {
		return result, err
	}
	last, err := s.lastScan(ctx, t)
	if err != nil {
		return result, err
	}
	refs, remote, err := s.listRefs(ctx, &t)
	if err != nil {
		return result, err
	}
	if core.SameProject(t.ProjectName, result.Project) {
		t.ProjectName = result.Project // a different spelling is the same name
	}
	result.Project, result.Refs, result.Truncated = t.ProjectName, len(refs.Heads), refs.Truncated
	if len(refs.Heads) == 0 && len(picture.Refs) > 0 {
		return result, fmt.Errorf("%s shows no branch any more, which is not believed: nothing is forgotten", remote.URL)
	}
	if refs.DefaultBranch == "" {
		refs.DefaultBranch = last.DefaultBranch
	}
	known := memory{Picture: picture, first: result.First, all: all}
	pushes := s.candidates(t, refs, known, projectOf(t, remote, last, refs))
	if pushes, err = s.uncovered(ctx, t, pushes); err != nil {
		return result, err
	}
	result.divide(refs, known, pushes, s.maxOpened)
	return result, nil
}

// memory is what is known of a project before a sync.
type memory struct {
	store.Picture
	first bool // the project was never synced before
	all   bool // refs that have always been there are wanted too
}

// lastScan returns the newest scan of a project, or one without an id if there is none.
func (s *syncer) lastScan(ctx context.Context, t store.TrackedProject) (core.Scan, error) {
	last, err := s.Store.GetLastScan(ctx, t.SourcePlatform, t.ProjectName)
	if errors.Is(err, core.ErrNotFound) {
		return core.Scan{SourcePlatform: t.SourcePlatform, ProjectName: t.ProjectName}, nil
	}
	return last, err
}

// listRefs asks where a project's refs stand. If the project has moved, t gets its new name.
func (s *syncer) listRefs(ctx context.Context, t *store.TrackedProject) (gitproto.Refs, platforms.Remote, error) {
	platform := s.Platforms[t.SourcePlatform]
	remote, err := platform.Remote(ctx, t.ProjectName)
	if err != nil {
		return gitproto.Refs{}, remote, err
	}
	refs, err := s.clients[t.SourcePlatform].ListRefs(ctx, remote)
	moved := new(gitproto.Moved)
	if !errors.As(err, &moved) {
		return refs, remote, err
	}
	if t.ProjectName, err = s.newName(*t, remote, moved.Path); err != nil {
		return gitproto.Refs{}, remote, err
	}
	if remote, err = platform.Remote(ctx, t.ProjectName); err != nil {
		return gitproto.Refs{}, remote, err
	}
	refs, err = s.clients[t.SourcePlatform].ListRefs(ctx, remote)
	return refs, remote, err
}

// newName takes the name of a moved project out of its new path.
func (s *syncer) newName(t store.TrackedProject, remote platforms.Remote, path string) (string, error) {
	address, err := url.Parse(remote.URL)
	if err != nil {
		return "", err
	}
	base := strings.TrimSuffix(strings.TrimSuffix(address.Path, ".git"), t.ProjectName)
	name, ok := strings.CutPrefix(path, base)
	if !ok || platforms.CheckProject(name) != nil {
		return "", fmt.Errorf("%w: %s leads to another address: check the platform's url", platforms.ErrRefused, remote.URL)
	}
	if _, configured := s.Policies.For(t.SourcePlatform, name); !configured {
		return "", fmt.Errorf("%w: the project is called %s now, which matches no entry of repositories in the configuration",
			platforms.ErrRefused, platforms.Clean(name))
	}
	return name, nil
}

// projectOf describes the project as a webhook would.
func projectOf(t store.TrackedProject, remote platforms.Remote, last core.Scan, refs gitproto.Refs) core.Project {
	project := core.Project{
		Name: t.ProjectName, Ref: t.ProjectRef, CloneURL: remote.URL, DefaultBranch: refs.DefaultBranch,
		URL: strings.TrimSuffix(remote.URL, ".git"),
	}
	if last.RepoURL != "" && last.ProjectName == t.ProjectName {
		project.URL = last.RepoURL
	}
	return project
}

func (s *syncer) candidates(t store.TrackedProject, refs gitproto.Refs, known memory, project core.Project) []core.Push {
	policy, _ := s.Policies.For(t.SourcePlatform, t.ProjectName)
	var pushes []core.Push
	for _, ref := range refs.Heads {
		if push, ok := known.candidate(ref, policy, project, refs.DefaultBranch); ok {
			pushes = append(pushes, push)
		}
	}
	return pushes
}

// candidate returns the push that would have announced a ref. ok is false if none is missed: the ref is where it was and what
// stands there is not superseded, it was there before the first sync, or the policy does not want it.
func (m memory) candidate(
	ref core.Ref, policy core.Policy, project core.Project, defaultBranch string,
) (push core.Push, ok bool) {
	before, known := m.Refs[ref.Name]
	isDefault := ref.Name == core.BranchRef(defaultBranch)
	usual := before.SHA == ref.SHA || !known && m.first && !isDefault
	if usual && !m.all && !m.Superseded[ref.Name] {
		return core.Push{}, false
	}
	push = core.Push{
		Project: project, Ref: ref.Name, Before: before.SHA, After: ref.SHA, CommitSHA: ref.SHA,
		Created: !known || before.SHA == ref.SHA,
	}
	if push.Created {
		push.Before = strings.Repeat("0", len(ref.SHA))
	}
	return push, policy.Refuses(push) == ""
}

// uncovered keeps the pushes whose commit has no scan that covers them.
func (s *syncer) uncovered(ctx context.Context, t store.TrackedProject, pushes []core.Push) ([]core.Push, error) {
	commits := make([]string, len(pushes))
	for i, push := range pushes {
		commits[i] = push.CommitSHA
	}
	scans, err := s.Store.ListScansOf(ctx, t, commits)
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

// covers tells whether a push needs nothing beyond a scan. A scan of another branch must know that it is shared.
func covers(scan core.Scan, push core.Push) bool {
	return scan.SupersededBy == "" && (scan.Ref == push.Ref || scan.Ref == "" || scan.SharedRefs)
}

// divide sorts the refs: at most so many are missed, the others are left for the next sync, or only seen.
func (r *SyncResult) divide(refs gitproto.Refs, known memory, pushes []core.Push, most int) {
	missed := map[string]bool{}
	for i, push := range pushes {
		missed[push.Ref] = true
		if i < most {
			r.Missed = append(r.Missed, MissedPush{Push: push})
		} else {
			r.Left++
		}
	}
	r.known = known.Picture
	for _, ref := range refs.Heads {
		if !missed[ref.Name] && (known.Refs[ref.Name].SHA != ref.SHA || known.Doubtful[ref.Name]) {
			r.seen = append(r.seen, ref)
		}
	}
	for _, name := range known.gone(refs) {
		r.seen = append(r.seen, core.Ref{Name: name})
	}
}

// gone lists the known refs that do not exist. That is unknown if not all refs were listed.
func (m memory) gone(refs gitproto.Refs) (gone []string) {
	if refs.Truncated {
		return nil
	}
	missing := func(name string) bool { return !refs.Has(name) && !core.IsRequestRef(name) } // heads of requests are not listed
	for name := range m.Refs {
		if missing(name) {
			gone = append(gone, name)
		}
	}
	for name := range m.Doubtful {
		if _, known := m.Refs[name]; !known && missing(name) {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}
