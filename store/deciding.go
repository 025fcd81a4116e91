package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// listDeciding keeps with a failed scan which findings the gate fails it for: core.Gate's rules in SQL, for a scan may
// have more findings than are worth reading.
func listDeciding(
	ctx context.Context, tx *sqlx.Tx, scan *core.Scan, gate core.Gate, told *core.ReportTally,
) error {
	scan.PutDeciding(nil, 0)
	switch {
	case *scan.Verdict != core.Fail:
		return nil
	case told != nil:
		return putTold(ctx, tx, scan, told)
	}
	var rows []struct {
		ID    int64 `db:"id"`
		Total int   `db:"total"`
	}
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`
		SELECT findings.id, COUNT(*) OVER () AS total
		FROM findings
		LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
		WHERE findings.scan_id = ? AND NOT `+dismissed+` AND (findings.baseline_state <> 'unchanged' OR NOT ?)
			AND (? AND `+severityRank+` >= ? OR ? AND e.kev OR ? AND e.probability >= ?)
		ORDER BY `+severityRank+` DESC, findings.id
		LIMIT ?`),
		scan.ID, gate.NewOnly, gate.FailOn != core.Never, gate.FailOn.Rank(), gate.KEV, gate.EPSS > 0, gate.EPSS,
		core.MaxDeciding)
	if err != nil || len(rows) == 0 {
		return err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	scan.PutDeciding(ids, rows[0].Total)
	return nil
}

// putTold is listDeciding for findings of which only the ids are not known.
func putTold(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, told *core.ReportTally) error {
	at := make(map[string]int, len(told.First))
	prints := make([]string, len(told.First))
	for n, d := range told.First {
		at[d.Fingerprint], prints[n] = n, d.Fingerprint
	}
	query, args, err := sqlx.In(`SELECT id, fingerprint FROM findings WHERE scan_id = ? AND fingerprint IN (?)`,
		scan.ID, prints)
	if err != nil {
		return err
	}
	var rows []core.Finding
	if err := tx.SelectContext(ctx, &rows, tx.Rebind(query), args...); err != nil {
		return err
	}
	ids := make([]int64, len(told.First))
	for _, row := range rows {
		ids[at[row.Fingerprint]] = row.ID
	}
	scan.PutDeciding(ids, told.Deciding)
	return nil
}

// keepVerdict writes what judge has put into scan.
func keepVerdict(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scans SET verdict = :verdict, verdict_reason = :verdict_reason, deciding = :deciding,
			num_deciding = :num_deciding, summary = :summary
		WHERE id = :id`, scan)
	return err
}
