package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

var deliveryColumns = sqldb.ColumnsOf[core.KeptDelivery]()

// loadReceived reads which of the deliveries were received before.
func loadReceived(ctx context.Context, tx *sqlx.Tx, requests []*intake.Request) (map[intake.Key]intake.Received, error) {
	received := map[intake.Key]intake.Received{}
	asked := map[intake.Key]bool{}
	var args []any
	for _, request := range requests {
		if request.Delivery == nil || asked[request.Key()] {
			continue
		}
		key := request.Key()
		asked[key] = true
		args = append(args, key.Platform, key.Delivery, key.Project)
	}
	if len(asked) == 0 {
		return received, nil
	}
	var known []struct {
		Platform    string `db:"platform"`
		DeliveryKey string `db:"delivery_key"`
		ProjectName string `db:"project_name"`
		ReferenceID string `db:"reference_id"`
		Ignored     bool   `db:"ignored"`
	}
	err := tx.SelectContext(ctx, &known, tx.Rebind(`
		WITH wanted (platform, delivery_key, project_name) AS (VALUES `+sqldb.Tuples(len(asked), 3)+`)
		SELECT d.platform, d.delivery_key, d.project_name, COALESCE(CAST(s.reference_id AS TEXT), '') AS reference_id,
			d.outcome = 'ignored' AS ignored
		FROM wanted w
		JOIN deliveries d ON d.platform = w.platform AND d.delivery_key = w.delivery_key
			AND d.project_name || '' = w.project_name -- which no index leads to: all of a project would be read
		LEFT JOIN scans s ON s.id = d.scan_id`), args...)
	for _, row := range known {
		received[intake.Key{Platform: row.Platform, Delivery: row.DeliveryKey, Project: row.ProjectName}] = intake.Received{
			ReferenceID: row.ReferenceID, Ignored: row.Ignored,
		}
	}
	return received, err
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
func (s *Store) keepDeliveries(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	if len(items) == 0 {
		return nil
	}
	rows := make([]deliveryRow, len(items))
	for n, item := range items {
		d := item.Delivery
		rows[n] = deliveryRow{
			d.Platform, d.Key, d.Name, d.Project, item.Receipt.Outcome, item.Receipt.Reason, nil, s.clock.Timestamp(),
			d.Verification.Secret(), d.Verification.Signed,
		}
		if item.Scan != nil {
			rows[n].ScanID = &item.Scan.ID
		}
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
	union, err := s.deliveryUnion(ctx, f)
	if err == nil && !union.Empty() {
		picked, args := union.With()
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

func (s *Store) deliveryUnion(ctx context.Context, f DeliveryFilter) (*sqldb.KeysetUnion, error) {
	union := &sqldb.KeysetUnion{Table: `deliveries`, Before: f.Before, After: f.After, Limit: f.Limit}
	project, err := s.spellingsOf(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, err
	}
	if f == (DeliveryFilter{Before: f.Before, After: f.After, Limit: f.Limit}) || f.ScanID != 0 {
		union.AddTable(f.conditions(project))
		return union, nil
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
			union.AddTable(f.conditions(project))
		}
	}
	return union, nil
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
