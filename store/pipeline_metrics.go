package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/store/sqldb"
)

// MetricFilter selects runs of a project's pipelines; empty fields select everything. Before is exclusive, for paging
// from the newest on.
type MetricFilter struct {
	Platform, Project string
	Name              string
	Branch            string
	CommitSHA         string
	Before            int64 // ID of the last run of the page before; 0 for the first page
	Limit             int
}

// Metric is a run with its commit and what was to be expected of it.
type Metric struct {
	core.PipelineRun
	CommitSHA             string            `db:"commit_sha"`
	ReferenceID           string            `db:"reference_id"` // of the scan
	ChangedFilesTruncated bool              `db:"changed_files_truncated"`
	Readings              []anomaly.Reading `db:"-"` // none for a measure whose history is too short
}

var selectMetrics = `SELECT ` + sqldb.Qualify("m", runColumns) + `, s.commit_sha, s.reference_id, s.changed_files_truncated
	FROM pipeline_metrics m
	JOIN scans s ON s.id = m.scan_id `

// ListMetrics returns the newest runs first.
func (s *Store) ListMetrics(ctx context.Context, f MetricFilter) ([]Metric, error) {
	project, err := s.ProjectName(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, fmt.Errorf("listing metrics: %w", err)
	}
	var where sqldb.Conditions
	where.Add(true, `m.source_platform = ? AND m.project_name = ?`, f.Platform, project)
	where.Add(f.Name != "", `m.pipeline_name = ?`, f.Name)
	where.Add(f.Branch != "", `m.branch = ?`, f.Branch)
	where.Add(f.CommitSHA != "", `s.commit_sha = ?`, f.CommitSHA)
	where.Add(f.Before > 0, `m.id < ?`, f.Before)
	list := []Metric{}
	query := s.db.Rebind(selectMetrics + where.SQL() + ` ORDER BY m.id DESC LIMIT ?`)
	if err := s.db.SelectContext(ctx, &list, query, append(where.Args, f.Limit)...); err != nil {
		return nil, fmt.Errorf("listing metrics: %w", sqldb.Classify(err))
	}
	if err := s.readAll(ctx, list); err != nil {
		return nil, fmt.Errorf("reading metrics: %w", sqldb.Classify(err))
	}
	return list, nil
}

// readAll adds what the history says of each run today, including runs that were marked as expected since then.
func (s *Store) readAll(ctx context.Context, list []Metric) error {
	for i := range list {
		history, err := historyOf(ctx, s.db, list[i].PipelineRun)
		if err != nil {
			return err
		}
		list[i].Readings = list[i].Assess(history, list[i].ChangedFilesTruncated).Readings
	}
	return nil
}

// PutExpected marks a run as expected or takes the mark back, and changes the commit's status in the same transaction.
// Runs that were judged before keep their scores; later ones learn the new level. core.ErrNotFound when there is no
// such run.
func (s *Store) PutExpected(ctx context.Context, id int64, expected bool, by string) (Metric, error) {
	var metric Metric
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		marked := by
		if !expected {
			marked = ""
		}
		err := tx.GetContext(ctx, &metric.ScanID, tx.Rebind(`
			UPDATE pipeline_metrics SET expected = ?, expected_by = ? WHERE id = ? RETURNING scan_id`), expected, marked, id)
		if err != nil {
			return fmt.Errorf("metric %d: %w", id, err)
		}
		if _, err := s.lockScan(ctx, tx, metric.ScanID); err != nil {
			return err
		}
		if err := s.judgeCommits(ctx, tx, map[int64]map[int64]bool{metric.ScanID: {}}); err != nil { // judges none again
			return err
		}
		if err := tx.GetContext(ctx, &metric, tx.Rebind(selectMetrics+`WHERE m.id = ?`), id); err != nil {
			return err
		}
		return s.audit(ctx, tx, metric.auditEvent(expected, by))
	})
	if err != nil {
		return Metric{}, fmt.Errorf("marking as expected: %w", err)
	}
	list := []Metric{metric}
	if err := s.readAll(ctx, list); err != nil {
		return Metric{}, fmt.Errorf("reading metric: %w", sqldb.Classify(err))
	}
	return list[0], nil
}

// auditEvent records who marked a run as expected, or removed the mark.
func (m Metric) auditEvent(expected bool, by string) core.AuditEvent {
	event := core.AuditEvent{
		Actor: by, Action: core.AuditExpected, SourcePlatform: m.SourcePlatform, ProjectName: m.ProjectName,
		ReferenceID: m.ReferenceID, Subject: fmt.Sprintf("pipeline %d of commit %s", m.PipelineID, core.ShortSHA(m.CommitSHA)), Detail: "expected",
	}
	if !expected {
		event.Detail = "no longer expected"
	}
	return event
}
