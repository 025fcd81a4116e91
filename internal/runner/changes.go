package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const changesTimeout = time.Minute

// changesSince tells what became of the lines of the commit that the job's findings are compared with. It is an aid:
// without it, findings are recognised by their code alone, so that no failure of it fails the job.
func (r *Runner) changesSince(ctx context.Context, space workspace, remote platforms.Remote, t *task) *core.Changes {
	log := r.Log.With(t.attrs()...)
	scan, err := r.Platforms.FindMergeBase(ctx, t.scan, r.Jobs.RecordMergeBase)
	if err != nil {
		log.Info("merge base not known, compared with the default branch", keyError, err)
	}
	base, err := r.Jobs.GetBaseline(ctx, scan, t.job)
	if err != nil {
		if !errors.Is(err, core.ErrNotFound) {
			log.Warn("baseline not known", keyError, err)
		}
		return nil
	}
	ctx, cancel := space.bound(ctx, changesTimeout, fmt.Errorf("it took more than %s", changesTimeout))
	defer cancel(nil)
	changes, err := diffCommits(ctx, space, remote, base, scan.CommitSHA)
	if err != nil {
		log.Info("baseline not compared line by line", "baseline", base, keyError, err)
		return nil
	}
	return changes
}

// diffCommits fetches the base commit beside the one that is checked out, of which the server sends only what differs,
// and compares them. White space does not count, and renamed files are followed.
func diffCommits(
	ctx context.Context, space workspace, remote platforms.Remote, base, head string,
) (*core.Changes, error) {
	if err := fetchable(remote.URL, base); err != nil {
		return nil, err
	}
	from, to := strings.ToLower(base), strings.ToLower(head)
	git := gitRunner{space: space, remote: remote}
	err := git.runAuthorized(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
		"--no-auto-maintenance", "--negotiation-tip="+to, "--", remote.URL, from)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", core.ShortSHA(base), err)
	}
	if err := git.countPaths(ctx, from); err != nil { // a report from outside may be of any commit
		return nil, fmt.Errorf("comparing with %s: %w", core.ShortSHA(base), err)
	}
	output := filepath.Join(space.temp, "changes.diff")
	err = git.run(ctx, "diff", "--output="+output, "--unified=0", "--ignore-all-space", "--find-renames",
		"--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", from, to, "--")
	if err != nil {
		return nil, fmt.Errorf("comparing with %s: %w", core.ShortSHA(base), err)
	}
	file, err := os.Open(output)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	changed, err := parseDiff(file)
	if err != nil {
		return nil, fmt.Errorf("reading what git says of %s: %w", core.ShortSHA(base), err)
	}
	return &core.Changes{Base: base, Files: changed}, nil
}
