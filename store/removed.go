package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// removedScan is what is left of a scan that retention removed.
type removedScan struct {
	ReferenceID    string    `db:"reference_id"`
	SourcePlatform string    `db:"source_platform"`
	ProjectName    string    `db:"project_name"`
	CommitSHA      string    `db:"commit_sha"`
	Outcome        string    `db:"outcome"` // what the commit status said
	ScannedAt      time.Time `db:"scanned_at"`
	RemovedAt      time.Time `db:"removed_at"`
}

// whyMissing is core.ErrGone for a scan that was removed, with what it was, and core.ErrNotFound for one that never
// was.
func whyMissing(ctx context.Context, q sqlx.ExtContext, reference string) error {
	var was removedScan
	err := sqlx.GetContext(ctx, q, &was, q.Rebind(`
		SELECT reference_id, source_platform, project_name, commit_sha, outcome, scanned_at, removed_at
		FROM removed_scans WHERE reference_id = ?`), reference)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("scan %s: %w", reference, classify(err))
	}
	if err != nil {
		return classify(err)
	}
	return fmt.Errorf("%w: %s, commit %s, was scanned on %s (%s); the scan was removed on %s, as the configuration's"+
		" retention says", core.ErrGone, was.ProjectName, core.ShortSHA(was.CommitSHA),
		was.ScannedAt.Format(time.DateOnly), was.Outcome, was.RemovedAt.Format(time.DateOnly))
}
