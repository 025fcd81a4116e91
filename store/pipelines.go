package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// scanOfPipeline is the scan of a commit whose push was missed. The branch of a fork does not belong to the project.
func (s *Store) scanOfPipeline(run core.Pipeline, project core.KeptProject, policy core.Policy) *core.Scan {
	scan := &core.Scan{
		RepoURL: run.Project.URL, DefaultBranch: run.Project.DefaultBranch, CommitSHA: run.CommitSHA, Origin: "pipeline",
		ChangedFilesTruncated: true, Fork: run.Foreign,
	}
	if !run.Foreign {
		scan.Branch, scan.Ref = run.Branch+run.Tag, core.TagRef(run.Tag)
	}
	if !run.Foreign && core.IsCommitSHA(run.BeforeSHA) {
		scan.BeforeSHA = run.BeforeSHA
	}
	s.prepare(scan, project, policy)
	return scan
}

type pipelineKey struct{ project, id int64 }

func pipelineKeyOf(i *intake.Item) pipelineKey {
	return pipelineKey{i.Scan.ProjectID, i.Pipeline.ID}
}

// recordRuns writes the runs in the batch, pipeline by pipeline, and judges the commits that it changed.
func (s *Store) recordRuns(ctx context.Context, tx *sqlx.Tx, telling, informed []*intake.Item) error {
	if len(telling)+len(informed) == 0 {
		return nil
	}
	if err := s.lockCommits(ctx, tx, slices.Concat(telling, informed)); err != nil {
		return err
	}
	changed, err := s.putRuns(ctx, tx, telling)
	if err != nil {
		return fmt.Errorf("writing runs: %w", err)
	}
	for _, item := range informed {
		if _, done := changed[item.Scan.ID]; !done {
			changed[item.Scan.ID] = nil
		}
	}
	if err := s.judgeCommits(ctx, tx, changed); err != nil {
		return err
	}
	return s.followMergeRequests(ctx, tx, telling)
}

// lockCommits keeps other processes from recording runs of the same commits until the transaction ends.
func (s *Store) lockCommits(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	if s.db.ForUpdate == "" {
		return nil
	}
	seen := map[commitKey]bool{}
	for _, item := range items {
		seen[keyOf(item.Scan)] = true
	}
	ids, err := s.scanOfEach(ctx, tx, "MIN", slices.Collect(maps.Keys(seen)))
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = s.lockScans(ctx, tx, ids)
	return err
}

// followMergeRequests has final statuses posted again where one of the runs is that of a merge request that was made
// after they had been posted: people push first and ask for a review then.
func (s *Store) followMergeRequests(ctx context.Context, tx *sqlx.Tx, telling []*intake.Item) error {
	for _, item := range telling {
		if item.Pipeline.Source != core.SourceMergeRequest {
			continue
		}
		key := keyOf(item.Scan)
		if err := s.postAgain(ctx, tx, `first_scan_id = `+firstOfCommit, key.args()...); err != nil {
			return err
		}
	}
	return nil
}

// putRuns returns, by scan, the pipelines of which something is new.
func (s *Store) putRuns(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) (map[int64]map[int64]bool, error) {
	known, err := s.loadRuns(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	changed := map[int64]map[int64]bool{}
	latest := map[pipelineKey]*intake.Item{}
	var order []pipelineKey
	for _, item := range items {
		key := pipelineKeyOf(item)
		runs, isNews := core.RecordRun(known[key], *item.Pipeline)
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
		if changed[item.Scan.ID] == nil {
			changed[item.Scan.ID] = map[int64]bool{}
		}
		changed[item.Scan.ID][key.id] = true
	}
	return changed, nil
}

// loadRuns reads the runs of the items' pipelines, in the order of their attempts.
func (s *Store) loadRuns(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) (map[pipelineKey][]core.PipelineRun, error) {
	known := map[pipelineKey][]core.PipelineRun{}
	given := sqldb.Given{Name: "wanted", Columns: "project_id BIGINT, pipeline_id BIGINT"}
	for _, item := range items {
		key := pipelineKeyOf(item)
		if _, asked := known[key]; !asked {
			known[key] = nil
			given.Rows = append(given.Rows, []any{key.project, key.id})
		}
	}
	if len(known) == 0 {
		return known, nil
	}
	var rows []core.PipelineRun
	err := s.db.SelectGiven(ctx, tx, given, &rows, `
		SELECT `+sqldb.Qualify("m", runColumns)+`
		FROM wanted w
		JOIN pipeline_metrics m ON m.pipeline_id = w.pipeline_id AND m.project_id + 0 = w.project_id
		ORDER BY m.pipeline_attempt`)
	for _, row := range rows {
		key := pipelineKey{row.ProjectID, row.PipelineID}
		known[key] = append(known[key], row)
	}
	return known, err
}

// writeRuns writes all runs of one pipeline, the last attempt first: attempts only ever move up, and two runs must not
// share one on the way.
func (s *Store) writeRuns(ctx context.Context, tx *sqlx.Tx, item *intake.Item, runs []core.PipelineRun) error {
	for _, run := range slices.Backward(runs) {
		if run.ID != 0 {
			if err := updateRun(ctx, tx, run); err != nil {
				return err
			}
			continue
		}
		run.ScanID, run.ProjectID, run.RecordedAt = item.Scan.ID, item.Scan.ProjectID, s.clock.Timestamp()
		if err := insertRun(ctx, tx, run); err != nil {
			return err
		}
	}
	return s.addArtifactTask(ctx, tx, item)
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
			project_id, branch, on_default_branch, source, pipeline_id, pipeline_attempt,
			pipeline_name, pipeline_status, phase, queued_seconds, url, restarted_after, finished_at, updated_at,
			recorded_at)
		VALUES (:scan_id, :build_duration_seconds, :artifact_size_bytes,
			(SELECT num_changed_files FROM scans WHERE id = :scan_id),
			:project_id, :branch, :on_default_branch, :source, :pipeline_id, :pipeline_attempt,
			:pipeline_name, :pipeline_status, :phase, :queued_seconds, :url, :restarted_after, :finished_at, :updated_at,
			:recorded_at)`, run)
	return err
}

var runColumns = sqldb.ColumnsOf[core.PipelineRun]()

// runsOfCommit reads the runs of all pipelines of a scan's commit, in whichever attempt of the scan they were recorded.
func runsOfCommit(ctx context.Context, tx *sqlx.Tx, scan core.Scan) ([]core.PipelineRun, error) {
	var runs []core.PipelineRun
	err := tx.SelectContext(ctx, &runs, tx.Rebind(`
		SELECT `+sqldb.Qualify("m", runColumns)+` FROM pipeline_metrics m
		JOIN scans s ON s.id = m.scan_id
		WHERE `+ofCommit+`
		ORDER BY m.pipeline_id, m.pipeline_attempt`), keyOf(&scan).args()...)
	return runs, err
}

// latestAttemptOf is the latest attempt of a scan: the commit shows that one.
func latestAttemptOf(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	var scan core.Scan
	err := tx.GetContext(ctx, &scan, tx.Rebind(`
		SELECT `+scansAs("twin")+` FROM scans twin `+ofSameCommit+` ORDER BY twin.attempt DESC LIMIT 1`), id)
	return scan, err
}

// judgeCommits judges the runs of some pipelines of each scan's commit, of all where the set is nil, and puts what the
// commit should show.
func (s *Store) judgeCommits(ctx context.Context, tx *sqlx.Tx, pipelines map[int64]map[int64]bool) error {
	var desired []core.Status
	for _, id := range slices.Sorted(maps.Keys(pipelines)) {
		evidence, err := s.loadEvidence(ctx, tx, id, pipelines[id])
		if err != nil {
			return err
		}
		judgement := core.JudgePipelines(evidence)
		for _, run := range judgement.Changed {
			if err := saveJudgement(ctx, tx, run); err != nil {
				return fmt.Errorf("judging run %d: %w", run.ID, err)
			}
		}
		if judgement.Shown {
			status := s.desiredStatus(evidence.Scan)
			status.Context = core.PipelineContext(evidence.Scan.Context)
			status.State, status.Description = judgement.State, judgement.Text
			desired = append(desired, status)
		}
	}
	return s.putDesired(ctx, tx, desired)
}

// loadEvidence reads what the judgement of the pipelines of a scan's commit is based on.
func (s *Store) loadEvidence(
	ctx context.Context, tx *sqlx.Tx, id int64, pipelines map[int64]bool) (e core.PipelineEvidence, err error) {
	e.Pipelines, e.History = pipelines, map[int64][]core.PastRun{}
	if e.Scan, err = latestAttemptOf(ctx, tx, id); err != nil {
		return e, err
	}
	if e.Runs, err = runsOfCommit(ctx, tx, e.Scan); err != nil {
		return e, err
	}
	for _, run := range e.Runs {
		if !e.Judges(run) || !run.Succeeded() {
			continue
		}
		if e.History[run.ID], err = historyOf(ctx, tx, run); err != nil {
			return e, fmt.Errorf("judging run %d: %w", run.ID, err)
		}
	}
	if e.Mode = s.policyOf(e.Scan).Anomalies; e.Mode == core.AnomaliesFail {
		e.Waiting, err = isEnriching(ctx, tx, e.Scan)
	}
	return e, err
}

func saveJudgement(ctx context.Context, tx *sqlx.Tx, run core.PipelineRun) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE pipeline_metrics SET num_changed_files = :num_changed_files, anomaly_score = :anomaly_score,
			anomaly_reason = :anomaly_reason
		WHERE id = :id`, run)
	return err
}

// sameSeries selects the runs m that are compared with each other. Pipelines without a name are distinguished by what
// started them: GitLab rarely names them, and a child pipeline has little in common with its parent.
const sameSeries = `m.project_id = ? AND m.pipeline_name = ? AND m.on_default_branch = ?
	AND (m.pipeline_name <> '' OR m.source = ?) AND m.pipeline_status = 'success' AND m.finished_at IS NOT NULL`

func seriesArgs(run core.PipelineRun) []any {
	return []any{run.ProjectID, run.Name, run.OnDefaultBranch, run.Source}
}

// pastRunColumns are those of core.PastRun.
const pastRunColumns = `m.id, s.changed_files_truncated AS truncated, m.build_duration_seconds, m.artifact_size_bytes, m.expected,
	CASE WHEN s.changed_files_truncated THEN NULL ELSE m.num_changed_files END AS num_changed_files`

// historyOf is what a run is compared with, the oldest first.
func historyOf(ctx context.Context, q sqlx.ExtContext, run core.PipelineRun) ([]core.PastRun, error) {
	var history []core.PastRun
	err := sqlx.SelectContext(ctx, q, &history, q.Rebind(`
		SELECT `+pastRunColumns+`
		FROM pipeline_metrics m
		JOIN scans s ON s.id = m.scan_id
		WHERE `+sameSeries+` AND (m.finished_at, m.id) < (?, ?)
		ORDER BY m.finished_at DESC, m.id DESC LIMIT ?`),
		append(seriesArgs(run), positionOf(run), run.ID, anomaly.History)...)
	slices.Reverse(history)
	return history, err
}

// positionOf is where in its series a run stands: at its end, or where it would be were it to end now.
func positionOf(run core.PipelineRun) time.Time {
	if run.FinishedAt != nil {
		return *run.FinishedAt
	}
	return run.RecordedAt
}

// isEnriching tells whether metadata of the commit's runs is still to be fetched.
func isEnriching(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (asking bool, err error) {
	err = tx.GetContext(ctx, &asking, tx.Rebind(`
		SELECT EXISTS (SELECT 1 FROM enrichment_tasks l
			JOIN scans s ON s.id = l.scan_id
			WHERE `+ofCommit+` AND l.kind <> ? AND NOT l.given_up)`), append(keyOf(&scan).args(), EnrichMergeBase)...)
	return asking, err
}

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

var selectMetrics = `SELECT ` + sqldb.Qualify("m", runColumns) + `, s.source_platform, ` + ofProject("m", "name") + ` AS project_name, s.commit_sha, s.reference_id, s.changed_files_truncated
	FROM pipeline_metrics m
	JOIN scans s ON s.id = m.scan_id `

// ListMetrics returns the newest runs first.
func (s *Store) ListMetrics(ctx context.Context, f MetricFilter) ([]Metric, error) {
	list := []Metric{}
	project, err := s.FindProject(ctx, f.Platform, f.Project)
	if errors.Is(err, core.ErrNotFound) {
		return list, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing metrics: %w", err)
	}
	var where sqldb.Conditions
	where.Add(true, `m.project_id = ?`, project.ID)
	where.Add(f.Name != "", `m.pipeline_name = ?`, f.Name)
	where.Add(f.Branch != "", `m.branch = ?`, f.Branch)
	where.Add(f.CommitSHA != "", `s.commit_sha = ?`, f.CommitSHA)
	where.Add(f.Before > 0, `m.id < ?`, f.Before)
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
		Actor: by, Action: core.AuditExpected, ProjectID: &m.ProjectID, SourcePlatform: m.SourcePlatform, ProjectName: m.ProjectName,
		ReferenceID: m.ReferenceID, Subject: fmt.Sprintf("pipeline %d of commit %s", m.PipelineID, core.ShortSHA(m.CommitSHA)), Detail: "expected",
	}
	if !expected {
		event.Detail = "no longer expected"
	}
	return event
}
