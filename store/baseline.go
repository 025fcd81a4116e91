package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// compare recognises the findings of a job in what its scanner found before.
func compare(ctx context.Context, tx *sqlx.Tx, scan core.Scan, d *delivered) (*core.Comparison, error) {
	job := &d.job
	base, err := baselineOf(ctx, tx, scan, *job)
	if err != nil {
		return nil, fmt.Errorf("choosing the baseline: %w", err)
	}
	if err := linkNames(ctx, tx, scan.SourcePlatform, scan.ProjectName, base.proven); err != nil {
		return nil, fmt.Errorf("noting the project's former name: %w", err)
	}
	var past core.Past
	if base.found() {
		job.BaselineScanID = &base.ScanID
		if past.Known, err = selectKnown(ctx, tx, base.NumFindings,
			`SELECT fingerprint, anchor, file, line FROM findings WHERE job_id = ?`, base.JobID); err != nil {
			return nil, fmt.Errorf("reading the baseline: %w", err)
		}
		if err := nameBaseline(ctx, tx, scan, base.ScanID); err != nil {
			return nil, fmt.Errorf("naming the baseline: %w", err)
		}
		if d.Changes != nil && d.Changes.Base == base.CommitSHA {
			past.Changes = d.Changes
		}
	}
	if past.Branch, err = newOnBranch(ctx, tx, scan, base.names, *job); err != nil {
		return nil, fmt.Errorf("reading the branch's last run: %w", err)
	}
	return d.examined.Compare(past), nil
}

// newOnBranch is what was new in the last complete run on the scan's branch: it stays the same finding, and what people
// said of it holds, while the branch moves on and its baseline does not have it yet.
func newOnBranch(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, names []string, job core.Job) (known core.Earlier, err error) {
	if branch, _, err := comparedWith(ctx, tx, scan); err != nil || branch == scan.Branch {
		return known, err
	}
	if scan.Branch == "" {
		return known, nil
	}
	run, _, err := newestRun(ctx, tx, scan, names, job.Scanner,
		atCommit(scan.BeforeSHA, `s.branch = ? AND s.id < ?`, scan.Branch, scan.ID),
		onBranch(scan.Branch, scan.ID))
	if err != nil || !run.found() {
		return known, err
	}
	return selectKnown(ctx, tx, 0, `
		SELECT fingerprint, anchor, file, line FROM findings WHERE job_id = ? AND baseline_state = 'new'`, run.JobID)
}

// nameBaseline makes the newest of its jobs' baselines the one that the scan names.
func nameBaseline(ctx context.Context, tx *sqlx.Tx, scan core.Scan, chosen int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scans SET baseline_scan_id = ? WHERE id = ? AND COALESCE(baseline_scan_id, 0) < ?`), chosen, scan.ID, chosen)
	return err
}

// baseline is the run that a job is compared with, if there is one.
type baseline struct {
	completeRun
	names  []string // under which the project was scanned, its own first
	proven []string // of these, the former ones that nobody has noted yet
}

// baselineOf chooses, once per job, the run of its scanner to compare it with. Only complete runs count, each scanner's
// for itself: one that failed in the newest scan is compared with an older one.
//
// On the default branch it is that of the commit that was pushed onto, elsewhere that of the commit where the branch
// left the default branch; where there is none, the default branch's last one before the commit was first seen.
func baselineOf(ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job) (b baseline, err error) {
	wishes, err := baselineWishes(ctx, q, scan, job)
	if err != nil {
		return b, err
	}
	if b.names, err = linkedNames(ctx, q, scan); err != nil {
		return b, err
	}
	if meant, err := b.choose(ctx, q, scan, job, wishes); meant || err != nil {
		return b, err
	}
	if b.proven, err = provenNames(ctx, q, scan, b.names); err != nil || len(b.proven) == 0 {
		return b, err
	}
	b.names = append(b.names, b.proven...)
	_, err = b.choose(ctx, q, scan, job, wishes)
	return b, err
}

// choose tells whether it has found a run of the very commit that is meant.
func (b *baseline) choose(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job, wishes []wish) (meant bool, err error) {
	run, granted, err := newestRun(ctx, q, scan, b.names, job.Scanner, wishes...)
	b.completeRun = run
	return run.found() && granted < len(wishes)-1, err
}

// baselineWishes end with the one that is content with any commit of the branch.
func baselineWishes(ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job) (wishes []wish, err error) {
	branch, commit, err := comparedWith(ctx, q, scan)
	if err != nil {
		return nil, err
	}
	first, err := firstSeen(ctx, q, scan)
	if err != nil {
		return nil, err
	}
	if job.BaselineScanID != nil {
		wishes = append(wishes, thatScan(*job.BaselineScanID, `s.commit_sha = ? OR s.branch = ? AND s.id < ?`,
			commit, branch, first))
	}
	if commit != "" {
		wishes = append(wishes, atCommit(commit, `TRUE`))
	}
	return append(wishes, onBranch(branch, first)), nil
}

// firstSeen is the number of the first scan of a scan's commit: a rescan is compared as that was.
func firstSeen(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (id int64, err error) {
	if scan.Attempt <= 1 {
		return scan.ID, nil
	}
	err = sqlx.GetContext(ctx, q, &id, q.Rebind(`
		SELECT MIN(s.id + 0) FROM scans s WHERE `+ofCommit), keyOf(&scan).args()...)
	return id, err
}

// comparedWith names the branch whose runs a scan is compared with, and the commit of it that is meant, or "".
func comparedWith(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (branch, commit string, err error) {
	if branch = scan.DefaultBranch; branch == "" {
		branch, err = defaultBranch(ctx, q, scan)
	}
	switch {
	case err != nil:
		return "", "", err
	case branch == "" || branch == scan.Branch:
		return scan.Branch, scan.BeforeSHA, nil
	}
	return branch, scan.MergeBaseSHA, nil
}

// defaultBranch is what another scan knows of the project: an upload does not say it.
func defaultBranch(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (branch string, err error) {
	project := scan.SourcePlatform + "/" + scan.ProjectName
	err = sqlx.GetContext(ctx, q, &branch, q.Rebind(`
		SELECT default_branch FROM scans s
		WHERE `+projectOf("s")+` >= ? AND `+projectOf("s")+` <= ? AND default_branch <> ''
		ORDER BY `+projectOf("s")+` DESC, id DESC LIMIT 1`), project, project)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return branch, err
}

// GetBaseline returns the commit that a job's findings will be compared with, as things stand; core.ErrNotFound when
// there is none.
func (s *Store) GetBaseline(ctx context.Context, scan core.Scan, job core.Job) (sha string, err error) {
	base, err := baselineOf(ctx, s.db, scan, job)
	if err == nil && !base.found() {
		err = fmt.Errorf("%w: %s has not completed a scan to compare with", core.ErrNotFound, job.Scanner)
	}
	if err != nil {
		return "", fmt.Errorf("getting baseline: %w", classify(err))
	}
	return base.CommitSHA, nil
}

// RecordMergeBase keeps the commit where the scan's branch left the default branch.
func (s *Store) RecordMergeBase(ctx context.Context, scan core.Scan, sha string) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET merge_base_sha = ? WHERE id = ?`), sha, scan.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording merge base: %w", err)
	}
	return nil
}
