package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// deliveryRow is a delivery as it is kept.
type deliveryRow struct {
	Platform    string       `db:"platform"`
	DeliveryKey string       `db:"delivery_key"`
	Event       string       `db:"event"`
	ProjectName string       `db:"project_name"`
	Outcome     core.Outcome `db:"outcome"`
	Reason      string       `db:"reason"`
	ScanID      *int64       `db:"scan_id"`
	ReceivedAt  time.Time    `db:"received_at"`
	VerifiedBy  string       `db:"verified_by"`
	Signed      bool         `db:"signed"`
}

// keepDeliveries writes the log of deliveries, which is also what makes a repetition a repetition.
func (s *Store) keepDeliveries(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	rows := s.deliveryRows(batch)
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO deliveries (platform, delivery_key, event, project_name, outcome, reason, scan_id, received_at,
			verified_by, signed)
		VALUES (:platform, :delivery_key, :event, :project_name, :outcome, :reason, :scan_id, :received_at,
			:verified_by, :signed)
		ON CONFLICT (platform, delivery_key, project_name) DO UPDATE SET outcome = excluded.outcome,
			reason = excluded.reason, scan_id = excluded.scan_id, received_at = excluded.received_at,
			verified_by = excluded.verified_by, signed = excluded.signed
		WHERE deliveries.outcome = 'ignored'`, rows)
	return err
}

// deliveryRows leaves out the repetitions, and settles the receipts of those and of what is ignored.
func (s *Store) deliveryRows(batch []*intake) (rows []deliveryRow) {
	for _, item := range batch {
		switch {
		case item.twin != nil:
			item.receipt = core.Receipt{Outcome: core.Duplicate, Reference: item.twin.receipt.Reference}
			continue
		case item.delivery == nil || !item.open():
			continue
		case item.scan == nil:
			item.receipt = core.Receipt{Outcome: core.OutcomeIgnored, Reason: item.ignored}
		}
		d := item.delivery
		row := deliveryRow{
			d.Platform, d.Key, d.Name, d.Project, item.receipt.Outcome, item.receipt.Reason, nil, s.clock(),
			d.Proof.Secret(), d.Proof.Signed,
		}
		if item.scan != nil {
			row.ScanID = &item.scan.ID
		}
		rows = append(rows, row)
	}
	return rows
}
