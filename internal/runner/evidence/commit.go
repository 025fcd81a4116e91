package evidence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/source"
	"github.com/scanhook/scanhook/store"
)

const (
	changesTimeout = time.Minute
	codeTimeout    = 10 * time.Second // for the code around the findings of a job

	maxShown  = 1000   // findings of a job that are kept with code; more are hardly read
	maxBeside = 20_000 // findings of a report that is shown with code: secrets may be in all of their lines
)

// ChangesIn compares a commit with its baseline, line by line, unless no file that matters differs. It is an aid: without it,
// findings are recognised by their code alone, so only a damaged mirror, which is made anew, is an error.
func ChangesIn(
	ctx context.Context, m *mirror.Mirror, log *slog.Logger, base, sha string, matters func(path string) bool,
) (*core.Changes, error) {
	if base == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, changesTimeout, fmt.Errorf("it took more than %s", changesTimeout))
	defer cancel()
	known, err := m.Reach(ctx, base)
	if err == nil && !known {
		err = errors.New("the platform does not hand it out")
	}
	var changes *core.Changes
	if err == nil {
		changes, err = m.Diff(ctx, base, sha, matters)
	}
	if err != nil {
		log.Info("baseline not compared line by line", "baseline", base, keyError, err)
	}
	if errors.As(err, new(mirror.Damaged)) {
		return nil, err
	}
	return changes, nil
}

// ShowCode stores the code around the findings of a finished job, for people to read. No commit status waits for it; a
// finding that is left without it, when the time is over or after a crash, still links to its place.
func ShowCode(ctx context.Context, jobs *store.Store, log *slog.Logger, job core.Job, report core.Report, dir string) {
	all := report.All(maxBeside)
	if len(all) == 0 && report.Files == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, codeTimeout, fmt.Errorf("it took more than %s", codeTimeout))
	defer cancel()
	found, err := jobs.ListWithoutCode(ctx, job, maxShown)
	found = slices.DeleteFunc(found, core.Finding.IsPast) // the code of now is not theirs
	if err == nil && len(found) > 0 {
		source.Quote(ctx, jobs.SecretKey(), found, slices.Concat(all, found), dir) // some may be those of earlier scans
		keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), codeTimeout)
		defer cancel()
		err = jobs.PutCode(keeping, job, found)
	}
	if err != nil {
		log.Warn("code around findings not kept", keyError, err)
	}
}
