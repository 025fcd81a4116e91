package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// RecordPipeline makes sure that the pipeline's commit has a scan, records the run, judges it when it has succeeded,
// and keeps the delivery; all of it is on disk when the receipt is returned. Errors are those of AcceptPush.
func (s *Store) RecordPipeline(ctx context.Context, d core.Delivery, run core.Pipeline) (core.Receipt, error) {
	policy, known := s.policies.For(d.Platform, run.Project.Name)
	if !known {
		return s.AcceptIgnored(ctx, d, notConfigured(d.Platform, run.Project.Name))
	}
	if err := s.respell(ctx, d.Platform, &d.Project, &run.Project.Name); err != nil {
		return core.Receipt{}, fmt.Errorf("recording pipeline %s: %w", d.Key, err)
	}
	if refused := policy.RefusesPipeline(run); refused != "" {
		return s.AcceptIgnored(ctx, d, refused)
	}
	item := &intake{delivery: &d, scan: s.scanOfPipeline(d.Platform, run, policy), policy: policy, pipeline: &run}
	if err := s.takeIn(ctx, item); err != nil {
		return core.Receipt{}, fmt.Errorf("recording pipeline %s: %w", d.Key, err)
	}
	return item.receipt, nil
}

// scanOfPipeline is the scan of a commit whose push was missed. The branch of a fork is none of the project's.
func (s *Store) scanOfPipeline(platform string, run core.Pipeline, policy core.Policy) *core.Scan {
	scan := &core.Scan{
		SourcePlatform: platform, ProjectName: run.Project.Name, ProjectRef: run.Project.Ref, RepoURL: run.Project.URL,
		DefaultBranch: run.Project.DefaultBranch, CommitSHA: run.CommitSHA, Origin: "pipeline",
		ChangedFilesTruncated: true,
	}
	if !run.Foreign {
		scan.Branch = run.Branch + run.Tag
	}
	if !run.Foreign && core.IsCommitSHA(run.BeforeSHA) {
		scan.BeforeSHA = run.BeforeSHA
	}
	s.prepare(scan, policy)
	return scan
}

type pipelineKey struct {
	platform, project string
	id                int64
}

func (i *intake) pipelineKey() pipelineKey {
	return pipelineKey{i.delivery.Platform, i.scan.ProjectName, i.pipeline.ID}
}

// recordRuns writes the runs that the batch tells of, pipeline by pipeline, and judges the commits that it changed.
func (s *Store) recordRuns(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var telling, informed []*intake
	for _, item := range batch {
		switch {
		case !item.open() || item.scan == nil:
		case item.pipeline != nil:
			item.receipt = core.Receipt{Outcome: core.PipelineRecorded, Reference: item.receipt.Reference}
			telling = append(telling, item)
		case item.informed:
			informed = append(informed, item)
		}
	}
	if len(telling)+len(informed) == 0 {
		return nil
	}
	if err := s.lockCommits(ctx, tx, append(telling, informed...)); err != nil {
		return err
	}
	changed, err := s.putRuns(ctx, tx, telling)
	if err != nil {
		return fmt.Errorf("writing runs: %w", err)
	}
	for _, item := range informed {
		if _, done := changed[item.scan.ID]; !done {
			changed[item.scan.ID] = map[int64]bool{}
		}
	}
	if err := s.judgeCommits(ctx, tx, changed); err != nil {
		return err
	}
	return s.followMergeRequests(ctx, tx, telling)
}

// lockCommits keeps other processes from recording runs of the same commits until the transaction ends.
func (s *Store) lockCommits(ctx context.Context, tx *sqlx.Tx, items []*intake) error {
	if s.dialect.forUpdate == "" {
		return nil
	}
	seen := map[commitKey]bool{}
	for _, item := range items {
		seen[keyOf(item.scan)] = true
	}
	ids, args := scanOfEach("MIN", slices.Collect(maps.Keys(seen)))
	var locked []int64
	return tx.SelectContext(ctx, &locked, tx.Rebind(`
		SELECT id FROM scans WHERE id IN (`+ids+`) ORDER BY id `+s.dialect.forUpdate), args...)
}

// putRuns returns, by scan, the pipelines of which something is new.
func (s *Store) putRuns(ctx context.Context, tx *sqlx.Tx, items []*intake) (map[int64]map[int64]bool, error) {
	known, err := loadRuns(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	changed := map[int64]map[int64]bool{}
	latest := map[pipelineKey]*intake{}
	var order []pipelineKey
	for _, item := range items {
		key := item.pipelineKey()
		runs, isNews := core.RecordRun(known[key], *item.pipeline)
		if !isNews {
			continue
		}
		if known[key] = runs; latest[key] == nil {
			order = append(order, key)
		}
		latest[key] = item
	}
	for _, key := range order {
		item := latest[key]
		if err := s.writeRuns(ctx, tx, item, known[key]); err != nil {
			return nil, err
		}
		if changed[item.scan.ID] == nil {
			changed[item.scan.ID] = map[int64]bool{}
		}
		changed[item.scan.ID][key.id] = true
	}
	return changed, nil
}
