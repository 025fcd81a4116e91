package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var deliveryColumns = sqldb.ColumnsOf[core.KeptDelivery]()

// deliveryKey contains the project: ids of deliveries are not signed, so a caller who may speak for one project could
// otherwise use up the ids of another one.
type deliveryKey struct{ platform, key, project string }

// findDuplicates gives repeated deliveries the receipt of the first one. One that was ignored then and is accepted now
// is no duplicate: this is how an administrator has a push scanned after correcting the configuration.
func (s *Store) findDuplicates(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	first := map[deliveryKey]*intake{}
	var args []any
	for _, item := range batch {
		if item.delivery == nil || item.refused != "" {
			continue
		}
		key := deliveryKey{item.delivery.Platform, item.delivery.Key, item.delivery.Project}
		if item.twin = first[key]; item.twin == nil {
			first[key] = item
			args = append(args, key.platform, key.key, key.project)
		}
	}
	if len(first) == 0 {
		return nil
	}
	var known []struct {
		Platform    string `db:"platform"`
		DeliveryKey string `db:"delivery_key"`
		ProjectName string `db:"project_name"`
		ReferenceID string `db:"reference_id"`
		Ignored     bool   `db:"ignored"`
	}
	err := tx.SelectContext(ctx, &known, tx.Rebind(`
		WITH wanted (platform, delivery_key, project_name) AS (VALUES `+sqldb.Tuples(len(first), 3)+`)
		SELECT d.platform, d.delivery_key, d.project_name, COALESCE(CAST(s.reference_id AS TEXT), '') AS reference_id,
			d.outcome = 'ignored' AS ignored
		FROM wanted w
		JOIN deliveries d ON d.platform = w.platform AND d.delivery_key = w.delivery_key
			AND d.project_name || '' = w.project_name -- which no index leads to: all of a project would be read
		LEFT JOIN scans s ON s.id = d.scan_id`), args...)
	for _, row := range known {
		item := first[deliveryKey{row.Platform, row.DeliveryKey, row.ProjectName}]
		if row.Ignored && item.scan != nil {
			continue
		}
		item.receipt = core.Receipt{Outcome: core.Duplicate, Reference: row.ReferenceID}
	}
	return err
}

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

// keepDeliveries writes the log of deliveries, by which repetitions are recognised.
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

// deliveryRows omits repetitions, and completes the receipts of those and of ignored deliveries.
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
			d.Platform, d.Key, d.Name, d.Project, item.receipt.Outcome, item.receipt.Reason, nil, s.clock.Timestamp(),
			d.Verification.Secret(), d.Verification.Signed,
		}
		if item.scan != nil {
			row.ScanID = &item.scan.ID
		}
		rows = append(rows, row)
	}
	return rows
}

// DeliveryFilter selects deliveries; empty fields select everything. Before and After are exclusive, for paging from
// the newest on and back; one of them is 0.
type DeliveryFilter struct {
	Platform, Project string
	Outcome           core.Outcome
	ScanID            int64
	Before, After     int64
	Limit             int
}

// ListDeliveries returns the newest deliveries first; with After, those that come directly before that one in the list.
func (s *Store) ListDeliveries(ctx context.Context, f DeliveryFilter) ([]core.KeptDelivery, error) {
	var list []core.KeptDelivery
	ways, err := s.waysToDeliveries(ctx, f)
	if err == nil && !ways.Empty() {
		picked, args := ways.With()
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
			SELECT `+sqldb.Qualify("d", deliveryColumns)+`, COALESCE(CAST(s.reference_id AS TEXT), '') AS reference_id
			FROM picked JOIN deliveries d ON d.id = picked.id LEFT JOIN scans s ON s.id = d.scan_id
			ORDER BY d.id DESC`), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", sqldb.Classify(err))
	}
	return list, nil
}

func (s *Store) waysToDeliveries(ctx context.Context, f DeliveryFilter) (*sqldb.KeysetUnion, error) {
	ways := &sqldb.KeysetUnion{Table: `deliveries`, Before: f.Before, After: f.After, Limit: f.Limit}
	project, err := s.spellingsOf(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, err
	}
	if f == (DeliveryFilter{Before: f.Before, After: f.After, Limit: f.Limit}) || f.ScanID != 0 {
		ways.AddTable(f.conditions(project))
		return ways, nil
	}
	platforms, outcomes := []string{f.Platform}, []core.Outcome{f.Outcome}
	if f.Outcome == "" {
		outcomes = core.KeptOutcomes
	}
	if f.Platform == "" {
		if platforms, err = s.db.DistinctValues(ctx, `deliveries`, `platform`); err != nil {
			return nil, err
		}
	}
	for _, f.Platform = range platforms {
		for _, f.Outcome = range outcomes {
			ways.AddTable(f.conditions(project))
		}
	}
	return ways, nil
}

func (f DeliveryFilter) conditions(project namedProject) (where sqldb.Conditions) {
	where.Add(f.Platform != "", `platform = ?`, f.Platform)
	project.addTo(&where)
	where.Add(f.Outcome != "", `outcome = ?`, f.Outcome)
	where.Add(f.ScanID != 0, `scan_id = ?`, f.ScanID)
	return where
}

// maxAsked is how many delivery keys one statement asks about.
const maxAsked = 500

// KnownDeliveries tells which of the keys were received from a platform, whatever their outcome.
func (s *Store) KnownDeliveries(ctx context.Context, platform string, keys []string) (map[string]bool, error) {
	known := map[string]bool{}
	for chunk := range slices.Chunk(keys, maxAsked) {
		var found []string
		err := sqldb.SelectIn(ctx, s.db, &found, `
			SELECT delivery_key FROM deliveries WHERE platform = ? AND delivery_key IN (?)`, platform, chunk)
		if err != nil {
			return nil, fmt.Errorf("looking for deliveries: %w", sqldb.Classify(err))
		}
		for _, key := range found {
			known[key] = true
		}
	}
	return known, nil
}
