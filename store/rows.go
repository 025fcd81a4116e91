package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// oneRow turns the result of a compare-and-set into core.ErrConflict when nothing matched.
func oneRow(result sql.Result, err error, conflict string) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %s", core.ErrConflict, conflict)
	}
	return nil
}

// scanID resolves a reference_id. Text that is no UUID is not found, not an error of the database; core.ErrGone for a
// scan that retention removed.
func scanID(ctx context.Context, q sqlx.ExtContext, reference string) (int64, error) {
	parsed, err := uuid.Parse(reference)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not the reference_id of a scan", core.ErrNotFound, reference)
	}
	var id int64
	err = sqlx.GetContext(ctx, q, &id, q.Rebind(`SELECT id FROM scans WHERE reference_id = ?`), parsed.String())
	if errors.Is(err, sql.ErrNoRows) {
		return 0, whyMissing(ctx, q, parsed.String())
	}
	if err != nil {
		return 0, fmt.Errorf("scan %s: %w", reference, classify(err))
	}
	return id, nil
}

// rowsChanged runs a statement and returns how many rows it changed.
func rowsChanged(ctx context.Context, tx *sqlx.Tx, statement string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, tx.Rebind(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
