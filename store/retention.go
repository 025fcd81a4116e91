package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// pruneBatch is how many rows one transaction of retention looks at or removes, so that none holds up a webhook.
const pruneBatch = 500

// AgingTable is a table whose rows go when they are old, and nothing else is asked.
type AgingTable string

// The aging tables.
const (
	AgingDeliveries   AgingTable = "deliveries"
	AgingRemovedScans AgingTable = "removed_scans"
)

// since names the column that tells a row's age.
func (t AgingTable) since() string {
	return map[AgingTable]string{AgingDeliveries: "received_at", AgingRemovedScans: "removed_at"}[t]
}

// PruneTable removes a batch of the rows that are older than before, and returns how many; 0 when none is left. It
// looks at the first rows only, which are the oldest but for a few: no index has to be kept for it.
func (s *Store) PruneTable(ctx context.Context, table AgingTable, before time.Time) (removed int, err error) {
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		n, err := rowsChanged(ctx, tx, `
			DELETE FROM `+string(table)+` WHERE id IN (
				SELECT id FROM (SELECT id, `+table.since()+` AS since FROM `+string(table)+` ORDER BY id LIMIT ?) oldest
				WHERE since < ?)`, pruneBatch, before.UTC())
		removed = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("pruning %s: %w", table, err)
	}
	return removed, nil
}

// prune runs work in one transaction, unless another replica is pruning at this moment: then nothing is done.
func (s *Store) prune(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.transact(ctx, func(tx *sqlx.Tx) error {
		if s.dialect.mayPrune != "" {
			var ours bool
			if err := tx.GetContext(ctx, &ours, s.dialect.mayPrune); err != nil || !ours {
				return err
			}
		}
		return work(tx)
	})
}
