package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
)

// judgeCommits judges the runs of the named pipelines of each scan's commit, all where none is named, and writes what
// the commit should show. A measure that is still being asked for is left out; the run is judged again when it comes.
func (s *Store) judgeCommits(ctx context.Context, tx *sqlx.Tx, pipelines map[int64]map[int64]bool) error {
	var wishes []core.Status
	for _, id := range slices.Sorted(maps.Keys(pipelines)) {
		scan, err := speakerOf(ctx, tx, id)
		if err != nil {
			return err
		}
		runs, err := runsOfCommit(ctx, tx, scan)
		if err != nil {
			return err
		}
		for i := range runs {
			if named := pipelines[id]; len(named) == 0 || named[runs[i].PipelineID] {
				if err := s.judgeRun(ctx, tx, scan, &runs[i]); err != nil {
					return fmt.Errorf("judging run %d: %w", runs[i].ID, err)
				}
			}
		}
		wish, ok, err := s.pipelineWish(ctx, tx, scan, runs)
		if err != nil {
			return err
		}
		if ok {
			wishes = append(wishes, wish)
		}
	}
	return s.putWishes(ctx, tx, wishes)
}

// ofSameCommit joins the attempts twin of one scan, each of which examines the same commit.
var ofSameCommit = `JOIN scans named ON ` + sameCommit("twin", "named") + ` WHERE named.id = ?`

// speakerOf is the latest attempt of a scan, the one that speaks for the commit.
func speakerOf(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	var scan core.Scan
	err := tx.GetContext(ctx, &scan, tx.Rebind(`
		SELECT `+of("twin", scanColumns)+` FROM scans twin `+ofSameCommit+` ORDER BY twin.attempt DESC LIMIT 1`), id)
	return scan, err
}

// judgeRun compares a run with those that succeeded before it.
func (s *Store) judgeRun(ctx context.Context, tx *sqlx.Tx, scan core.Scan, run *core.PipelineRun) error {
	before := *run
	run.NumChangedFiles = scan.NumChangedFiles
	run.AnomalyScore, run.AnomalyReason = nil, ""
	if run.Succeeded() {
		history, err := historyOf(ctx, tx, *run)
		if err != nil {
			return err
		}
		assessment := anomaly.Assess(history, run.Point(scan.ChangedFilesTruncated))
		run.AnomalyScore = assessment.Score()
		if assessment.Anomaly != nil {
			run.AnomalyReason = assessment.Anomaly.Reason
		}
	}
	if equal(before.NumChangedFiles, run.NumChangedFiles) && equal(before.AnomalyScore, run.AnomalyScore) &&
		before.AnomalyReason == run.AnomalyReason {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `
		UPDATE pipeline_metrics SET num_changed_files = :num_changed_files, anomaly_score = :anomaly_score,
			anomaly_reason = :anomaly_reason
		WHERE id = :id`, run)
	return err
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// sameSeries selects the runs m that are compared with each other. Pipelines without a name are told apart by what
// started them: GitLab rarely names them, and a child pipeline has little in common with its parent.
const sameSeries = `m.source_platform = ? AND m.project_name = ? AND m.pipeline_name = ? AND m.on_default_branch = ?
	AND (m.pipeline_name <> '' OR m.source = ?) AND m.pipeline_status = 'success' AND m.finished_at IS NOT NULL`

func seriesArgs(run core.PipelineRun) []any {
	return []any{run.SourcePlatform, run.ProjectName, run.Name, run.OnDefaultBranch, run.Source}
}

// pointColumns are those of anomaly.Point.
const pointColumns = `m.build_duration_seconds, m.artifact_size_bytes, m.expected,
	CASE WHEN s.changed_files_truncated THEN NULL ELSE m.num_changed_files END AS num_changed_files`

// historyOf is what a run is compared with, the oldest first.
func historyOf(ctx context.Context, q sqlx.ExtContext, run core.PipelineRun) ([]anomaly.Point, error) {
	var points []anomaly.Point
	err := sqlx.SelectContext(ctx, q, &points, q.Rebind(`
		SELECT `+pointColumns+`
		FROM pipeline_metrics m
		JOIN scans s ON s.id = m.scan_id
		WHERE `+sameSeries+` AND (m.finished_at, m.id) < (?, ?)
		ORDER BY m.finished_at DESC, m.id DESC LIMIT ?`),
		append(seriesArgs(run), positionOf(run), run.ID, anomaly.History)...)
	slices.Reverse(points)
	return points, err
}

// pipelineWish is what the commit of a scan should show for its pipelines; ok is false while that is nothing.
func (s *Store) pipelineWish(ctx context.Context, tx *sqlx.Tx, scan core.Scan, runs []core.PipelineRun) (
	wish core.Status, ok bool, err error) {
	mode, waiting := s.policyOf(scan).Anomalies, false
	if mode == core.AnomaliesFail {
		if waiting, err = isAsking(ctx, tx, scan); err != nil {
			return core.Status{}, false, err
		}
	}
	wish = s.wishOf(scan)
	wish.Context = core.PipelineContext(scan.Context)
	wish.State, wish.Description, ok = core.PipelineStatus(mode, runs, waiting)
	return wish, ok, nil
}

// isAsking tells whether an answer about the scan's commit is still awaited.
func isAsking(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (asking bool, err error) {
	err = tx.GetContext(ctx, &asking, tx.Rebind(`
		SELECT EXISTS (SELECT 1 FROM lookups l
			JOIN scans s ON s.id = l.scan_id
			WHERE `+ofCommit+` AND NOT l.given_up)`), keyOf(&scan).args()...)
	return asking, err
}
