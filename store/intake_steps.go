package store

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// The steps of commitIntake, in order. Each is one statement over the whole batch.

// deliveryKey has the project in it: ids of deliveries are not signed, so that whoever may speak for one project could
// use up those of another one.
type deliveryKey struct{ platform, key, project string }

// findDuplicates gives deliveries that came before their first receipt's scan. One that was ignored then and is wanted
// now is no duplicate: that is how an administrator has a push scanned after mending the configuration.
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
		WITH wanted (platform, delivery_key, project_name) AS (VALUES `+tuples(len(first), 3)+`)
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

// insertScans creates the scans that do not exist yet.
func (s *Store) insertScans(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	byReference := map[string]*intake{}
	var scans []*core.Scan
	for _, item := range batch {
		if item.scan != nil && item.open() {
			byReference[item.scan.ReferenceID] = item
			scans = append(scans, item.scan)
		}
	}
	if len(scans) == 0 {
		return nil
	}
	var created []struct {
		ID          int64  `db:"id"`
		ReferenceID string `db:"reference_id"`
	}
	err := named(ctx, tx, &created, `
		INSERT INTO scans (reference_id, source_platform, project_name, project_ref, repo_url, branch, default_branch,
			commit_sha, before_sha, attempt, context, origin, timestamp, status, num_changed_files,
			changed_files_truncated, overtaken, deadline_at)
		VALUES (:reference_id, :source_platform, :project_name, :project_ref, :repo_url, :branch, :default_branch,
			:commit_sha, :before_sha, :attempt, :context, :origin, :timestamp, :status, :num_changed_files,
			:changed_files_truncated, :overtaken, :deadline_at)
		ON CONFLICT (source_platform, project_name, commit_sha, attempt) DO NOTHING
		RETURNING id, reference_id`, scans)
	for _, row := range created {
		item := byReference[row.ReferenceID]
		item.created = true
		item.scan.ID = row.ID
		item.receipt = core.Receipt{Outcome: core.ScanCreated, Reference: row.ReferenceID}
	}
	return err
}

// insertJobs gives each new scan one job for each scanner of its repository.
func (s *Store) insertJobs(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var jobs []core.Job
	for _, item := range batch {
		if item.created {
			for _, scanner := range item.policy.Scanners {
				jobs = append(jobs, core.Job{ScanID: item.scan.ID, Scanner: scanner})
			}
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `INSERT INTO scan_jobs (scan_id, scanner) VALUES (:scan_id, :scanner)`, jobs)
	return err
}

// wantFirst asks for the pending status of each new scan.
func (s *Store) wantFirst(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var scans []core.Scan
	for _, item := range batch {
		if item.created {
			scans = append(scans, *item.scan)
		}
	}
	return s.wantStatuses(ctx, tx, scans)
}

// tuples writes rows×columns placeholders for a VALUES list.
func tuples(rows, columns int) string {
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(tuple+", ", rows), ", ")
}
