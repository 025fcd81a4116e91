package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/cage"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/blobs"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/source"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// maxChanged bounds the paths that a command gets, in bytes: systems take no more. With more, it looks at all files.
const maxChanged = 100 << 10

// maxPushed is how many pushes that were not searched are looked at, the newest: one forced push after the other takes them away.
const maxPushed = 50

// everything is what a command gets instead of changed files where these are not known: the directory that it runs in.
var everything = []string{"."}

// runOverFiles runs a command over the files of the commit. Each job has files of its own: commands write to the directory that
// they run in, and one must not find what another one has made.
//
// It returns findings even if it returns an error.
func (r *Runner) runOverFiles(
	ctx context.Context, t *task, scanner Scanner, remote platforms.Remote,
) (report core.Report, err error) {
	scan, base, err := r.baselineOf(ctx, t)
	if err != nil {
		return core.Report{}, err
	}
	if mentions(scanner.Command, changedPlaceholder) {
		t.searched = &search{task: t, scan: scan, version: scanner.version(t.job.Scanner), whole: true}
	}
	err = r.Mirrors.Use(ctx, mirror.ProjectOf(t.scan, remote), t.scan.CommitSHA, func(ctx context.Context, m *mirror.Mirror) error {
		if err := m.LayOut(ctx, t.space); err != nil {
			return err
		}
		changes, err := r.changesIn(ctx, m, t, base, anyFile)
		if err != nil {
			return err
		}
		looked := partial{files: everything}
		if changes != nil && t.searched != nil {
			if looked, err = r.partOf(ctx, m, t.searched, base); err != nil {
				return err
			}
		}
		if len(looked.files) > 0 {
			report, err = r.runConfined(ctx, m, t, scanner, looked.files)
		}
		places, _, lost := source.Locate(ctx, m, t.scan.CommitSHA, source.Named(report))
		if lost != nil {
			return cmp.Or(err, lost)
		}
		places[0].MoveIn(&report, changes)
		source.Describe(report.Findings, r.key, t.space.Source)
		report.Changes, report.Files = changes, looked.differ
		return err
	})
	return report, err
}

// runConfined runs a command over the files of a job.
func (r *Runner) runConfined(ctx context.Context, m *mirror.Mirror, t *task, scanner Scanner, files []string) (core.Report, error) {
	in, release, err := r.confine(t, m)
	if err != nil {
		return core.Report{}, err
	}
	defer release()
	return scanner.run(ctx, t.job.Scanner, in, files, r.key)
}

// confine makes the place where the command of a job is run. The caller releases it.
func (r *Runner) confine(t *task, m *mirror.Mirror) (in confinement, release func(), err error) {
	in = confinement{level: cage.Kernel(), space: t.space, hidden: r.Hidden, objects: m.ObjectsDir(), fork: t.scan.Fork}
	kept := filepath.Join(r.Mirrors.ScannersDir(), t.job.Scanner)
	if t.scan.Fork {
		kept = filepath.Join(kept, "forks") // what a stranger's code leaves there must not reach other jobs
	}
	home, lock, err := takeHome(kept)
	if err != nil {
		return in, nil, r.Mirrors.Unusable(err)
	}
	in.space.Home = home
	return in, func() { _ = lock.Close() }, nil
}

// partial is what a command looks at.
type partial struct {
	files  []string        // what it gets in place of {changed}
	differ map[string]bool // these and those that are gone, as reports name them: what the baseline has in others stays; nil where that is none
}

// partOf chooses the files that have changed since the baseline or were not searched for it, and makes it the job's.
// With more than a command line takes, or where another command made the baseline, it is everything.
func (r *Runner) partOf(ctx context.Context, m *mirror.Mirror, s *search, base string) (partial, error) {
	known, usable, err := r.knownFrom(ctx, s, base)
	if err != nil || !usable {
		return partial{files: everything}, err
	}
	changed, gone, err := m.Changed(ctx, base, s.scan.CommitSHA)
	if err != nil {
		return partial{}, err
	}
	left, all, err := unsearchedAt(ctx, m, s.scan.CommitSHA, known.Coverage, gone)
	if err != nil || all {
		return partial{files: everything}, err
	}
	files := slices.Compact(slices.Sorted(slices.Values(slices.Concat(changed, left))))
	size, differ := 0, make(map[string]bool)
	for _, path := range slices.Concat(files, gone) {
		size += len(path) + 1
		differ[core.Printable(path)] = true
	}
	if size > maxChanged {
		return partial{files: everything}, nil
	}
	s.baseline = known
	return partial{files, differ}, nil
}

// knownFrom is the baseline of a job, usable if it is of that commit and the same command made it.
func (r *Runner) knownFrom(ctx context.Context, s *search, base string) (known store.Baseline, usable bool, err error) {
	err = r.step(ctx, func(ctx context.Context) (err error) {
		if usable, err = r.Jobs.IsSearched(ctx, s.scan.ProjectID, base, s.version); err != nil || !usable {
			return err
		}
		known, err = r.Jobs.FindBaseline(ctx, s.scan, s.task.job, base)
		if errors.Is(err, core.ErrNotFound) {
			usable, err = false, nil
		}
		return err
	})
	if err != nil {
		return store.Baseline{}, false, retryable{err, true}
	}
	return known, usable, nil
}

// unsearchedAt finds the files of a commit that its baseline did not search. It may be all of them where that is not known, or
// where what was left out is no file.
func unsearchedAt(
	ctx context.Context, m *mirror.Mirror, sha string, base *core.Coverage, gone []string,
) (files []string, all bool, err error) {
	left, known := base.UnsearchedFiles()
	if len(left) == 0 || !known {
		return nil, !known, nil
	}
	_, err = m.Files(ctx, sha, func(f mirror.File) {
		if left[core.Printable(f.Path)] {
			files = append(files, f.Path)
		}
	})
	for _, path := range slices.Concat(files, gone) {
		delete(left, core.Printable(path))
	}
	return files, len(left) > 0, err
}

// search is the job of the built-in scanner, or of a command that looks only at changed files.
type search struct {
	task     *task
	scan     core.Scan // with its merge base
	baseline store.Baseline
	version  string // of the rules, or the command, and of all else that decides what is found
	blobs    blobs.Scan
	beyond   int                   // pushes that were not searched and are not looked at
	since    time.Time             // when it began to read what earlier ones came to; zero if it needs none of that
	fresh    core.SearchedContents // what it found out, once it has ended
	whole    bool                  // nothing of it is left for the next one but commits that its coverage tells
}

// searchObjects searches what a push brings in git's objects, without a checkout. Its report has findings of the tree, and
// after them those that only former commits have.
func (r *Runner) searchObjects(ctx context.Context, t *task, scanner Scanner, remote platforms.Remote) (core.Report, error) {
	s, err := r.prepareSearch(ctx, t, scanner)
	if err != nil {
		return core.Report{}, err
	}
	timeout := cmp.Or(scanner.Timeout, defaultTimeout)
	ctx, cancel := t.space.Bound(ctx, fetchTimeout+timeout, tooSlow(t.job.Scanner, fetchTimeout+timeout))
	defer cancel(nil)
	var result blobs.Result
	var changes *core.Changes
	err = r.Mirrors.Use(ctx, mirror.ProjectOf(s.scan, remote), s.scan.CommitSHA, func(ctx context.Context, m *mirror.Mirror) (err error) {
		s.blobs.Time = timeout
		if result, err = s.blobs.Run(ctx, m, s.scan.CommitSHA); err != nil {
			return err
		}
		if err := blobs.LayOut(ctx, m, result.Files, t.space.Source); err != nil {
			return err
		}
		changes, err = r.movesIn(ctx, m, s, result)
		return err
	})
	if err != nil {
		return core.Report{}, err
	}
	result.Coverage.Commits = true
	result.Coverage.LeaveOut(core.LeftHistory, s.beyond)
	s.fresh, s.whole, t.searched = result.Fresh, result.Whole, s
	source.Describe(result.Findings, r.key, t.space.Source)
	found := append(result.Findings, result.History...)
	return core.Report{Findings: found, Results: len(found), Coverage: &result.Coverage, Changes: changes}, nil
}

// movesIn compares the commit with its baseline, line by line, if a file that has findings in either of them differs: other
// changes move none.
func (r *Runner) movesIn(ctx context.Context, m *mirror.Mirror, s *search, found blobs.Result) (*core.Changes, error) {
	if len(s.baseline.Findings) == 0 {
		return nil, nil
	}
	files := make(map[string]bool)
	for _, list := range [][]core.Finding{s.baseline.Findings, found.Findings, found.History} {
		for _, f := range list {
			files[f.File] = true
		}
	}
	return r.changesIn(ctx, m, s.task, s.baseline.CommitSHA, func(path string) bool { return files[path] })
}

// prepareSearch finds out from what commit on is to be searched, and what is known already. Without an answer of the database
// the search would leave something out, so it waits for one.
func (r *Runner) prepareSearch(ctx context.Context, t *task, scanner Scanner) (*search, error) {
	rules, err := scanner.rulesFor(t.scan.SourcePlatform, t.scan.ProjectName)
	if err != nil {
		return nil, err
	}
	rules = rules.WithKey(r.key)
	scan, err := r.withMergeBase(ctx, t)
	if err != nil {
		return nil, err
	}
	s := &search{task: t, scan: scan, version: rules.Version()}
	policy, _ := r.Policies.For(s.scan.SourcePlatform, s.scan.ProjectName)
	s.blobs = blobs.Scan{Rules: rules, History: policy.ScanHistory}
	since := r.Jobs.Now()
	err = r.step(ctx, func(ctx context.Context) (err error) {
		if s.baseline, err = r.Jobs.LoadBaseline(ctx, s.scan, t.job); err != nil {
			return err
		}
		if err := r.chooseBase(ctx, s); err != nil {
			return err
		}
		s.blobs.Known, err = r.Jobs.ListSearched(ctx, s.scan.ProjectID, s.version)
		return err
	})
	if err != nil {
		return nil, retryable{err, true}
	}
	if len(s.blobs.Known)+len(s.blobs.Trees) > 0 {
		s.since = since
	}
	s.blobs.Past = pastOf(s.baseline)
	return s, nil
}

// chooseBase chooses the commit after which commits are searched: that of the baseline, or where the branch left the default
// branch, or else the one onto which everything was pushed that was not searched. What was pushed and not searched since counts
// also where a forced push has taken it away: it was there to be read.
func (r *Runner) chooseBase(ctx context.Context, s *search) error {
	s.blobs.Base = cmp.Or(s.baseline.CommitSHA, s.scan.MergeBaseSHA)
	left, err := r.Jobs.FindUnsearched(ctx, s.scan, s.version)
	if err != nil {
		return err
	}
	switch {
	case s.blobs.Base == "":
		s.blobs.Base, s.blobs.Whole = left.From, left.Begins
	case left.Begins:
		left.Pushed = append(left.Pushed, left.From)
	}
	if known := slices.Index(left.Pushed, s.blobs.Base); known >= 0 {
		left.Pushed = left.Pushed[:known]
	}
	s.blobs.Pushed = left.Pushed[:min(len(left.Pushed), maxPushed)]
	s.beyond = len(left.Pushed) - len(s.blobs.Pushed)
	isNew, isDefault := core.IsZeroSHA(s.scan.BeforeSHA), s.scan.Branch == s.scan.DefaultBranch
	// A scan that was asked for does not say after what it was pushed. What the default branch had before its first scan nobody pushed.
	s.blobs.Branch = isNew || s.scan.BeforeSHA == "" && s.scan.Branch != "" && !isDefault
	s.blobs.Root = s.blobs.Base == "" && isNew && isDefault
	before := slices.Compact([]string{s.blobs.Base, s.scan.BeforeSHA})
	if s.blobs.Trees, err = r.Jobs.FindSearched(ctx, s.scan.ProjectID, s.version, before...); err != nil {
		return err
	}
	return r.goOn(ctx, s)
}

// goOn finds out which commits earlier scans left out: those that came before the base where that is a commit of the same
// branch, and on a branch that has left another one those that its last scan left out.
func (r *Runner) goOn(ctx context.Context, s *search) error {
	before := s.scan.BeforeSHA
	switch {
	case s.blobs.Base == "":
	case s.blobs.Base == s.baseline.CommitSHA && (before == s.blobs.Base || s.scan.Ref == core.BranchRef(s.scan.DefaultBranch)):
		s.blobs.Left = s.baseline.Coverage.Unread()
	case before == s.blobs.Base || slices.Contains(s.blobs.Trees, before):
		last, err := r.Jobs.LoadCoverage(ctx, s.scan.ProjectID, before, s.task.job.Scanner)
		if err != nil {
			return err
		}
		s.blobs.Left = last.Unread()
		if before != s.blobs.Base {
			s.blobs.Done = []string{before}
		}
	}
	return nil
}

// pastOf are the findings of a baseline, each with the commit that has it: those in history first, which are older.
func pastOf(base store.Baseline) (past []core.Finding) {
	var tree []core.Finding
	for _, f := range base.Findings {
		f.PartialFingerprint = secrets.MaskIn(f.Snippet)
		if f.Commit == "" {
			f.Commit = base.CommitSHA
			tree = append(tree, f)
		} else {
			past = append(past, f)
		}
	}
	return append(past, tree...)
}

// recordSearch keeps for later scans what a search found out whose report is stored: they do not look again at what it searched,
// so nobody would report it if its report was lost. It is an aid: without it, they search the same again.
func (r *Runner) recordSearch(ctx context.Context, s *search) {
	err := r.step(ctx, func(ctx context.Context) error {
		if !s.whole {
			return r.Jobs.RecordContents(ctx, s.scan, s.version, s.fresh)
		}
		err := r.Jobs.RecordSearch(ctx, s.scan, s.version, s.fresh, s.since)
		if err == nil && s.blobs.Known.HasClean() {
			err = r.Jobs.ForgetClean(ctx, s.scan.ProjectID, s.version)
		}
		return err
	})
	if err != nil {
		r.Log.Warn("search not recorded, it will be done again", append(s.task.attrs(), keyError, err)...)
	}
}

// HistoryDepth is how many commits the mirror of a project gets at once while all of them are searched.
const HistoryDepth = 10_000

const (
	headPause    = 2 * time.Second  // between two looks for the scan of the default branch's head
	headPatience = 10 * time.Minute // after which one that has not ended is no longer waited for
	pageOfRefs   = 1000
)

// HistoryResult is what a search of all commits came to.
type HistoryResult struct {
	blobs.Progress
	Refs  int       // branches, tags and requests
	More  bool      // there are more branches and tags, which were not looked at
	Added int       // secrets that the scan did not have
	Scan  core.Scan // that has them
}

// SearchHistory searches all commits that the branches, tags and requests of a project reach, and adds what it finds to the scan of
// the default branch's head, as known. core.ErrNotFound when that head was not scanned, core.ErrConflict when its scan does not
// end; other errors are those of the platform, git and the database.
func (r *Runner) SearchHistory(ctx context.Context, project core.KeptProject, report func(blobs.Progress)) (result HistoryResult, err error) {
	scan := core.Scan{
		ProjectID: project.ID, SourcePlatform: project.Platform, ProjectName: project.Name, ProjectRef: project.Ref,
		DefaultBranch: project.DefaultBranch,
	}
	name, rules, err := r.searcherOf(scan)
	if err != nil {
		return result, err
	}
	remote, err := r.remoteOf(ctx, scan)
	if err != nil {
		return result, err
	}
	heads := &projectHeads{names: make(map[string]bool)}
	if err := heads.list(ctx, r, &scan, remote); err != nil {
		return result, err
	}
	if _, err = r.Jobs.FindHead(ctx, scan.ProjectID, scan.DefaultBranch, name); err != nil && !errors.Is(err, core.ErrConflict) {
		return result, err
	}
	all := &blobs.History{
		Jobs: r.Jobs, Project: scan.ProjectID, Rules: rules, Heads: heads.commits, Report: report,
		Time: cmp.Or(r.Scanners[name].Timeout, defaultTimeout),
	}
	err = r.Mirrors.Use(ctx, mirror.ProjectOf(scan, remote), heads.commits[0], all.Run)
	result.Progress, result.Refs, result.More = all.Progress, len(heads.names), heads.more
	if err == nil {
		err = r.addHistory(ctx, all, store.History{
			Project: scan.ProjectID, Branch: scan.DefaultBranch, Scanner: name, Rules: rules.Version(),
			Heads: all.Reached(), Left: all.Rest(), Lost: all.Lost(),
		}, &result)
	}
	return result, err
}

// searcherOf is the first of the project's scanners that searches commits.
func (r *Runner) searcherOf(scan core.Scan) (name string, rules *gitleaks.Rules, err error) {
	policy, _ := r.Policies.For(scan.SourcePlatform, scan.ProjectName)
	for _, name := range policy.Scanners {
		if scanner := r.Scanners[name]; scanner.Builtin == gitleaks.Name {
			rules, err := scanner.rulesFor(scan.SourcePlatform, scan.ProjectName)
			if err != nil {
				return "", nil, err
			}
			return name, rules.WithKey(r.key), nil
		}
	}
	return "", nil, fmt.Errorf("none of the scanners of %s searches commits: add %s to its scanners", scan.ProjectName, gitleaks.Name)
}

// projectHeads are where the refs of a project stand.
type projectHeads struct {
	names   map[string]bool
	commits []string // that of the default branch first
	more    bool     // there are more branches and tags
}

func (h *projectHeads) add(ref core.Ref) {
	if !h.names[ref.Name] && !slices.Contains(h.commits, ref.SHA) {
		h.commits = append(h.commits, ref.SHA)
	}
	h.names[ref.Name] = true
}

// list asks the platform where branches and tags stand, and which is the default branch, and the database for requests.
func (h *projectHeads) list(ctx context.Context, r *Runner, scan *core.Scan, remote platforms.Remote) error {
	refs, err := gitproto.New(r.Platforms[scan.SourcePlatform], r.Jobs.Now).ListRefs(ctx, remote)
	if err != nil {
		return fmt.Errorf("listing the branches of %s: %w", scan.ProjectName, err)
	}
	scan.DefaultBranch, h.more = cmp.Or(refs.DefaultBranch, scan.DefaultBranch), refs.Truncated
	first := slices.IndexFunc(refs.Heads, func(ref core.Ref) bool { return ref.Name == core.BranchRef(scan.DefaultBranch) })
	if first >= 0 {
		h.add(refs.Heads[first])
	}
	for _, ref := range refs.Heads {
		h.add(ref)
	}
	for after, more := "", true; more; {
		known, err := r.Jobs.ListRefs(ctx, scan.SourcePlatform, scan.ProjectName, after, pageOfRefs)
		if err != nil {
			return err
		}
		for _, ref := range known {
			if after = ref.Name; !strings.HasPrefix(ref.Name, "refs/heads/") && !strings.HasPrefix(ref.Name, "refs/tags/") {
				h.add(ref.Ref)
			}
		}
		more = len(known) == pageOfRefs
	}
	if len(h.commits) == 0 {
		return fmt.Errorf("%w: %s has no branches", core.ErrNotFound, scan.ProjectName)
	}
	return nil
}

// addHistory adds what was found to the scan of the default branch's head, once that has ended.
func (r *Runner) addHistory(ctx context.Context, all *blobs.History, put store.History, result *HistoryResult) error {
	found := core.Report{Findings: all.Findings()}
	reports.Redact(&found, r.key)
	put.Findings = found.Findings
	for deadline := r.Jobs.Now().Add(headPatience); ; {
		var err error
		result.Scan, result.Added, err = r.Jobs.PutHistory(ctx, put)
		if !errors.Is(err, core.ErrConflict) || r.Jobs.Now().After(deadline) {
			return err
		}
		waiting := all.Progress
		waiting.Waiting = true
		all.Report(waiting)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(headPause):
		}
	}
}
