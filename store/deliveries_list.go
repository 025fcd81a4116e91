package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

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
	if err == nil && len(ways.parts) > 0 {
		picked, args := ways.picked()
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
			SELECT `+of("d", deliveryColumns)+`, COALESCE(CAST(s.reference_id AS TEXT), '') AS reference_id
			FROM picked JOIN deliveries d ON d.id = picked.id LEFT JOIN scans s ON s.id = d.scan_id
			ORDER BY d.id DESC`), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", classify(err))
	}
	return list, nil
}

func (s *Store) waysToDeliveries(ctx context.Context, f DeliveryFilter) (*walks, error) {
	ways := &walks{table: `deliveries`, before: f.Before, after: f.After, limit: f.Limit}
	project, err := s.spellingsOf(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, err
	}
	if f == (DeliveryFilter{Before: f.Before, After: f.After, Limit: f.Limit}) || f.ScanID != 0 {
		ways.along(f.conditions(project))
		return ways, nil
	}
	platforms, outcomes := []string{f.Platform}, []core.Outcome{f.Outcome}
	if f.Outcome == "" {
		outcomes = core.KeptOutcomes
	}
	if f.Platform == "" {
		if platforms, err = s.platformsIn(ctx, `deliveries`, `platform`); err != nil {
			return nil, err
		}
	}
	for _, f.Platform = range platforms {
		for _, f.Outcome = range outcomes {
			ways.along(f.conditions(project))
		}
	}
	return ways, nil
}

func (f DeliveryFilter) conditions(project namedProject) (where conditions) {
	where.add(f.Platform != "", `platform = ?`, f.Platform)
	project.addTo(&where)
	where.add(f.Outcome != "", `outcome = ?`, f.Outcome)
	where.add(f.ScanID != 0, `scan_id = ?`, f.ScanID)
	return where
}
