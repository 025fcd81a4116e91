package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// loadRuns reads the runs of the pipelines that the items tell of, in the order of their attempts.
func loadRuns(ctx context.Context, tx *sqlx.Tx, items []*intake) (map[pipelineKey][]core.PipelineRun, error) {
	known := map[pipelineKey][]core.PipelineRun{}
	var args []any
	for _, item := range items {
		key := item.pipelineKey()
		if _, asked := known[key]; !asked {
			known[key] = nil
			args = append(args, key.platform, key.project, key.id)
		}
	}
	if len(known) == 0 {
		return known, nil
	}
	var rows []core.PipelineRun
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`
		WITH wanted (source_platform, project_name, pipeline_id) AS (VALUES `+typedTuples(len(known))+`)
		SELECT `+of("m", runColumns)+`
		FROM wanted w
		JOIN pipeline_metrics m ON m.source_platform = w.source_platform AND m.project_name = w.project_name
			AND m.pipeline_id = w.pipeline_id
		ORDER BY m.pipeline_attempt`), args...)
	for _, row := range rows {
		key := pipelineKey{row.SourcePlatform, row.ProjectName, row.PipelineID}
		known[key] = append(known[key], row)
	}
	return known, err
}

// typedTuples are tuples whose last column is a number: PostgreSQL takes parameters in VALUES for text.
func typedTuples(rows int) string {
	return strings.Join(slices.Repeat([]string{"(?, ?, CAST(? AS BIGINT))"}, rows), ", ")
}

// writeRuns writes all runs of one pipeline, the last attempt first: attempts only ever move up, and two runs must not
// share one on the way.
func (s *Store) writeRuns(ctx context.Context, tx *sqlx.Tx, item *intake, runs []core.PipelineRun) error {
	for _, run := range slices.Backward(runs) {
		if run.ID != 0 {
			if err := updateRun(ctx, tx, run); err != nil {
				return err
			}
			continue
		}
		run.ScanID, run.SourcePlatform, run.RecordedAt = item.scan.ID, item.delivery.Platform, s.clock()
		if err := insertRun(ctx, tx, run); err != nil {
			return err
		}
	}
	return s.askArtifacts(ctx, tx, item)
}

func updateRun(ctx context.Context, tx *sqlx.Tx, run core.PipelineRun) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE pipeline_metrics SET build_duration_seconds = :build_duration_seconds,
			artifact_size_bytes = :artifact_size_bytes, branch = :branch, on_default_branch = :on_default_branch,
			source = :source, pipeline_attempt = :pipeline_attempt, pipeline_name = :pipeline_name,
			pipeline_status = :pipeline_status, phase = :phase, queued_seconds = :queued_seconds, url = :url,
			restarted_after = :restarted_after, finished_at = :finished_at, updated_at = :updated_at
		WHERE id = :id`, run)
	return err
}

func insertRun(ctx context.Context, tx *sqlx.Tx, run core.PipelineRun) error {
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO pipeline_metrics (scan_id, build_duration_seconds, artifact_size_bytes, num_changed_files,
			source_platform, project_name, branch, on_default_branch, source, pipeline_id, pipeline_attempt,
			pipeline_name, pipeline_status, phase, queued_seconds, url, restarted_after, finished_at, updated_at,
			recorded_at)
		VALUES (:scan_id, :build_duration_seconds, :artifact_size_bytes,
			(SELECT num_changed_files FROM scans WHERE id = :scan_id),
			:source_platform, :project_name, :branch, :on_default_branch, :source, :pipeline_id, :pipeline_attempt,
			:pipeline_name, :pipeline_status, :phase, :queued_seconds, :url, :restarted_after, :finished_at, :updated_at,
			:recorded_at)`, run)
	return err
}

// runsOfCommit reads the runs of all pipelines of a scan's commit, in whichever attempt of the scan they were recorded.
func runsOfCommit(ctx context.Context, tx *sqlx.Tx, scan core.Scan) ([]core.PipelineRun, error) {
	var runs []core.PipelineRun
	err := tx.SelectContext(ctx, &runs, tx.Rebind(`
		SELECT `+of("m", runColumns)+` FROM pipeline_metrics m
		JOIN scans s ON s.id = m.scan_id
		WHERE `+ofCommit+`
		ORDER BY m.pipeline_id, m.pipeline_attempt`), keyOf(&scan).args()...)
	return runs, err
}
