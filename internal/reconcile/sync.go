package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

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

	settled []core.Head // to be remembered when all that was missed is accepted
	gone    []string
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
	return result, s.Store.PutHeads(ctx, t.ID, result.settled, result.gone)
}

func (s *syncer) accept(ctx context.Context, result SyncResult, push core.Push) (core.Receipt, error) {
	return s.Store.AcceptPush(ctx, core.Delivery{
		Platform: result.Platform, Project: result.Project, Name: core.OriginReconcile,
		Key:        platforms.DeliveryKey(core.OriginReconcile, result.Project, push.Ref+"@"+push.After, push.Before),
		ReceivedAt: s.Now().UTC(), Event: push,
	}, push)
}

// compare finds what a project misses, and changes nothing. With all, refs that have always been there count too.
func (s *syncer) compare(ctx context.Context, t store.TrackedProject, all bool) (SyncResult, error) {
	result := SyncResult{Platform: t.SourcePlatform, Project: t.ProjectName, First: t.SyncedAt == nil}
	known, err := s.recall(ctx, t)
	if err != nil {
		return result, err
	}
	// Read before the server is asked: a webhook that arrives before its answer is about something newer.
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
	if len(refs.Heads) == 0 && len(known.heads) > 0 {
		return result, fmt.Errorf("%s shows no branch any more, which is not believed: nothing is forgotten", remote.URL)
	}
	if refs.DefaultBranch == "" {
		refs.DefaultBranch = last.DefaultBranch
	}
	known.all = all
	if err := s.recallScans(ctx, last, known.changed(refs), known); err != nil {
		return result, err
	}
	pushes := s.candidates(t, refs, known, projectOf(t, remote, last, refs))
	if pushes, err = s.uncovered(ctx, t, pushes); err != nil {
		return result, err
	}
	result.divide(refs, known, pushes, s.maxOpened)
	return result, nil
}

// memory is what is known of a project before a sync.
type memory struct {
	first bool                 // the project was never synced before
	all   bool                 // refs that have always been there are wanted too
	heads map[string]core.Head // by ref: where they stood at the last sync
	last  map[string]core.Scan // by branch or tag: its newest scan
}

// recall reads what is known of a project's refs, without the scans. An orphaned ref counts as moved: it stands at a commit
// that it should have left, because pushes there and back may have been announced in the wrong order.
func (s *syncer) recall(ctx context.Context, t store.TrackedProject) (memory, error) {
	known := memory{first: t.SyncedAt == nil, heads: map[string]core.Head{}, last: map[string]core.Scan{}}
	heads, err := s.Store.ListHeads(ctx, t.ID)
	if err != nil {
		return known, err
	}
	for _, h := range heads {
		known.heads[h.Ref] = h
	}
	orphaned, err := s.Store.ListOrphanedRefs(ctx, t)
	for _, ref := range orphaned {
		delete(known.heads, ref)
	}
	return known, err
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

// recallScans adds the newest scans of the refs that have moved.
func (s *syncer) recallScans(ctx context.Context, last core.Scan, changed []core.Head, known memory) error {
	names := make([]string, len(changed))
	for i, h := range changed {
		names[i] = h.Name()
	}
	scans, err := s.Store.ListLastScans(ctx, last, names)
	for _, scan := range scans {
		known.last[scan.Branch] = scan
	}
	return err
}

// changed lists the refs that moved since the last sync.
func (m memory) changed(refs gitproto.Refs) []core.Head {
	var changed []core.Head
	for _, h := range refs.Heads {
		if m.all || m.heads[h.Ref].SHA != h.SHA {
			changed = append(changed, h)
		}
	}
	return changed
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
	for _, h := range known.changed(refs) {
		if push, ok := known.candidate(h, policy, project, refs.DefaultBranch); ok {
			pushes = append(pushes, push)
		}
	}
	return pushes
}

// candidate returns the push that would have announced a ref. ok is false if none is missed: the ref is where it was, it was
// there before the first sync, or the policy does not want it.
func (m memory) candidate(
	h core.Head, policy core.Policy, project core.Project, defaultBranch string,
) (push core.Push, ok bool) {
	before, seen := m.before(h)
	isDefault := h.Ref == "refs/heads/"+defaultBranch
	usual := before == h.SHA || !seen && m.first && !isDefault
	if usual && !m.all {
		return core.Push{}, false
	}
	created := !seen || before == h.SHA
	if created {
		before = strings.Repeat("0", len(h.SHA))
	}
	push = core.Push{
		Project: project, Ref: h.Ref, Before: before, After: h.SHA, CommitSHA: h.SHA, Created: created,
	}
	return push, policy.Refuses(push) == ""
}

// before returns where a ref stood last, as far as we know; ok is false for one that was never seen.
func (m memory) before(h core.Head) (sha string, ok bool) {
	head, seen := m.heads[h.Ref]
	scan, scanned := m.last[h.Name()]
	if scanned && (!seen || scan.Timestamp.After(head.SeenAt)) {
		return scan.CommitSHA, true
	}
	return head.SHA, seen
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

// covers tells whether a push needs nothing beyond a scan. A scan of another branch must know that it is shared, and one that
// a newer push superseded must be revived. A scan of the project under an earlier name stays as it is.
func covers(scan core.Scan, push core.Push) bool {
	own := scan.Branch == push.Branch()+push.Tag() || scan.Branch == ""
	return scan.SupersededBy == "" && (own || scan.SharedRefs) || scan.ProjectName != push.Project.Name
}

// divide sorts the refs: at most so many are missed, the others are left for the next sync, or settled.
func (r *SyncResult) divide(refs gitproto.Refs, known memory, pushes []core.Push, most int) {
	left := map[string]bool{}
	for i, push := range pushes {
		if i < most {
			r.Missed = append(r.Missed, MissedPush{Push: push})
			continue
		}
		left[push.Ref] = true
	}
	r.Left = len(left)
	r.settled = slices.DeleteFunc(known.changed(refs), func(h core.Head) bool { return left[h.Ref] })
	r.gone = known.gone(refs)
}

// gone lists the refs that exist no more. It is unknown if not all refs were listed.
func (m memory) gone(refs gitproto.Refs) []string {
	var gone []string
	for ref := range m.heads {
		if !refs.Has(ref) && !refs.Truncated {
			gone = append(gone, ref)
		}
	}
	return gone
}
