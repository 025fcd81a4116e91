package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// EnrichmentKind is which metadata is fetched.
type EnrichmentKind string

// The kinds of questions.
const (
	EnrichArtifacts    EnrichmentKind = "artifacts"     // bytes of all artifacts of a pipeline run
	EnrichChangedFiles EnrichmentKind = "changed_files" // files that changed between two commits
	EnrichMergeBase    EnrichmentKind = "merge_base"    // the commit where a scan's branch left its target
)

// EnrichmentTask is metadata that a delivery or a scan lacks, to be fetched from a platform.
type EnrichmentTask struct {
	ID             int64          `db:"id"`
	Kind           EnrichmentKind `db:"kind"`
	SourcePlatform string         `db:"source_platform"`
	ScanID         int64          `db:"scan_id"`
	MetricID       *int64         `db:"metric_id"` // the run; nil for other kinds
	Attempts       int            `db:"attempts"`  // failed ones
	RequestedAt    time.Time      `db:"requested_at"`
	NextAttemptAt  time.Time      `db:"next_attempt_at"`
	LeaseUntil     *time.Time     `db:"lease_until"`
	LastError      string         `db:"last_error"`
	GivenUp        bool           `db:"given_up"`

	ProjectName string `db:"project_name,computed"`
	ProjectRef  string `db:"project_ref,computed"`
	CommitSHA   string `db:"commit_sha,computed"`
	BeforeSHA   string `db:"before_sha,computed"`
	PipelineID  int64  `db:"pipeline_id,computed"` // 0 for other kinds
}

var enrichmentColumns = sqldb.ColumnsOf[EnrichmentTask]()

// addArtifactTask has the artifacts of the item's pipeline fetched if its events do not state their sizes.
func (s *Store) addArtifactTask(ctx context.Context, tx *sqlx.Tx, item *intake.Item) error {
	if !item.Pipeline.AskArtifacts {
		return nil
	}
	now, key := s.clock.Timestamp(), pipelineKeyOf(item)
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO enrichment_tasks (kind, source_platform, scan_id, metric_id, requested_at, next_attempt_at)
		SELECT 'artifacts', CAST(? AS TEXT), scan_id, id, ?, ? FROM pipeline_metrics
		WHERE project_id = ? AND pipeline_id = ? AND phase = ? AND artifact_size_bytes IS NULL
		ON CONFLICT DO NOTHING`), item.Scan.SourcePlatform, now, now, key.project, key.id, core.PhaseFinished)
	return err
}

// addFileTasks has the number of changed files fetched where a delivery did not list all of them.
func (s *Store) addFileTasks(ctx context.Context, tx *sqlx.Tx, scans []int64) error {
	if len(scans) == 0 {
		return nil
	}
	now := s.clock.Timestamp()
	_, err := sqldb.ExecIn(ctx, tx, `
		INSERT INTO enrichment_tasks (kind, source_platform, scan_id, requested_at, next_attempt_at)
		SELECT 'changed_files', source_platform, id, ?, ? FROM scans
		WHERE id IN (?) AND changed_files_truncated AND before_sha <> '' ORDER BY id
		ON CONFLICT DO NOTHING`, now, now, scans)
	return err
}

// RecordMergeBase keeps the commit where the scan's branch left its target, unless the scan has got another target since. Reports that
// came before are compared with that.
func (s *Store) RecordMergeBase(ctx context.Context, scan core.Scan, sha string) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error { return s.setMergeBase(ctx, tx, scan, sha) })
	if err != nil {
		return fmt.Errorf("recording merge base: %w", err)
	}
	return nil
}

func (s *Store) setMergeBase(ctx context.Context, tx *sqlx.Tx, scan core.Scan, sha string) error {
	if err := s.lockForBase(ctx, tx, scan.ID, sha); err != nil {
		return err
	}
	rows, err := sqldb.Exec(ctx, tx, `
		UPDATE scans SET merge_base_sha = ? WHERE id = ? AND target_branch = ? AND merge_base_sha <> ?`, sha, scan.ID, scan.TargetBranch, sha)
	if err != nil || rows == 0 {
		return err
	}
	return s.compareAtBase(ctx, tx, scan.ID)
}

// AskMergeBase has the platform asked again, later, where a scan's branch left its target. The scan is then compared with that commit.
func (s *Store) AskMergeBase(ctx context.Context, scan core.Scan) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.askMergeBase(ctx, tx, scan) })
	if err != nil {
		return fmt.Errorf("asking for a merge base later: %w", err)
	}
	return nil
}

// ClaimEnrichment leases a task of a platform that is due; core.ErrNotFound when none is.
func (s *Store) ClaimEnrichment(ctx context.Context, platform string, lease time.Duration) (EnrichmentTask, error) {
	var claimed EnrichmentTask
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		var id int64
		err := s.claimOne(ctx, tx, &id, claim{
			table: `enrichment_tasks`, set: setLease,
			rows: s.firstDue(`enrichment_tasks`, `source_platform = :platform AND NOT given_up AND next_attempt_at <= :now AND `+unleased,
				`next_attempt_at, id`),
			guard: `NOT given_up AND ` + unleased, columns: `id`,
		}, lease, map[string]any{"platform": platform})
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &claimed, tx.Rebind(`
			SELECT `+sqldb.Qualify("l", enrichmentColumns)+`, `+fromProject("s")+`, s.commit_sha, s.before_sha,
				COALESCE(m.pipeline_id, 0) AS pipeline_id
			FROM enrichment_tasks l
			JOIN scans s ON s.id = l.scan_id
			LEFT JOIN pipeline_metrics m ON m.id = l.metric_id
			WHERE l.id = ?`), id)
	})
	if err != nil {
		return EnrichmentTask{}, fmt.Errorf("claiming enrichment task: %w", err)
	}
	return claimed, nil
}

// EnrichmentResult is what a platform returned for a task: one of these, by its kind.
type EnrichmentResult struct {
	ArtifactBytes int64
	Files         core.ChangedFiles
	Base          MergeBase
}

// MergeBase is where the branch of a scan left its target. SHA is empty where the scan does not want to know any more.
type MergeBase struct {
	Scan core.Scan // when it was asked for
	SHA  string
}

// FinishEnrichment writes the result, judges the commit's runs or findings again and removes the task. core.ErrConflict when the
// lease was lost.
func (s *Store) FinishEnrichment(ctx context.Context, task EnrichmentTask, result EnrichmentResult) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		if err := s.lockForResult(ctx, tx, task, result); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		done, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM enrichment_tasks WHERE id = ? AND lease_until = ?`),
			task.ID, task.LeaseUntil)
		if err := sqldb.OneRow(done, err, "the lease was lost"); err != nil {
			return err
		}
		if task.Kind == EnrichMergeBase {
			if result.Base.SHA == "" {
				return nil
			}
			return s.setMergeBase(ctx, tx, result.Base.Scan, result.Base.SHA)
		}
		if err := result.write(ctx, tx, task); err != nil {
			return err
		}
		return s.judgeCommits(ctx, tx, map[int64]map[int64]bool{task.ScanID: nil})
	})
	if err != nil {
		return fmt.Errorf("finishing enrichment task %d: %w", task.ID, err)
	}
	return nil
}

func (s *Store) lockForResult(ctx context.Context, tx *sqlx.Tx, task EnrichmentTask, result EnrichmentResult) error {
	if result.Base.SHA != "" {
		return s.lockForBase(ctx, tx, task.ScanID, result.Base.SHA)
	}
	_, err := s.lockScan(ctx, tx, task.ScanID)
	return err
}

// write never lowers a count: what was listed in the push has changed for sure. All attempts of the scan get it.
func (r EnrichmentResult) write(ctx context.Context, tx *sqlx.Tx, task EnrichmentTask) error {
	if task.Kind == EnrichArtifacts {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE pipeline_metrics SET artifact_size_bytes = ? WHERE id = ?`),
			r.ArtifactBytes, task.MetricID)
		return err
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scans SET changed_files_truncated = ?,
			num_changed_files = CASE WHEN ? AND num_changed_files > ? THEN num_changed_files ELSE ? END
		WHERE id IN (SELECT twin.id FROM scans twin `+ofSameCommit+`)`),
		r.Files.Truncated, r.Files.Truncated, r.Files.Count, r.Files.Count, task.ScanID)
	return err
}

// EnrichmentRetry is what becomes of a claimed task that failed.
type EnrichmentRetry struct {
	RetryAfter time.Duration
	GivenUp    bool   // nothing more is tried
	Error      string // why, a sentence without secrets
}

// RetryEnrichment ends the lease. A task that is given up delays no commit status any more. core.ErrConflict when the
// lease was lost.
func (s *Store) RetryEnrichment(ctx context.Context, task EnrichmentTask, p EnrichmentRetry) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		postponed, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE enrichment_tasks SET lease_until = NULL, attempts = attempts + 1, next_attempt_at = ?, last_error = ?, given_up = ?
			WHERE id = ? AND lease_until = ?`),
			s.clock.Timestamp().Add(p.RetryAfter), p.Error, p.GivenUp, task.ID, task.LeaseUntil)
		if err := sqldb.OneRow(postponed, err, "the lease was lost"); err != nil || !p.GivenUp {
			return err
		}
		return s.judgeCommits(ctx, tx, map[int64]map[int64]bool{task.ScanID: nil})
	})
	if err != nil {
		return fmt.Errorf("postponing enrichment task %d: %w", task.ID, err)
	}
	return nil
}
