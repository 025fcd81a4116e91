package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core/anomaly"
)

// Phase is the progress of a run. Later phases are greater, and no event leads back to an earlier one.
type Phase int

// The phases of a run.
const (
	PhaseWaiting  Phase = iota + 1 // known, not started
	PhaseRunning                   // also for unknown states
	PhaseBlocked                   // waits for a person
	PhaseFinished                  // also when it failed
)

// PipelineRun is one attempt of a pipeline. Its db tags are the columns of the table pipeline_metrics. A nil measure is
// unknown.
type PipelineRun struct {
	ID                   int64      `db:"id"`
	ScanID               int64      `db:"scan_id"`
	BuildDurationSeconds *float64   `db:"build_duration_seconds"`
	ArtifactSizeBytes    *int64     `db:"artifact_size_bytes"`
	NumChangedFiles      *int       `db:"num_changed_files"` // of the scan
	ProjectID            int64      `db:"project_id"`
	SourcePlatform       string     `db:"source_platform,computed"` // of the project, as is its name; only listed, not stored
	ProjectName          string     `db:"project_name,computed"`
	Branch               string     `db:"branch"` // the tag's name for pipelines of tags
	OnDefaultBranch      bool       `db:"on_default_branch"`
	Source               string     `db:"source"` // what started the pipeline, in the platform's words
	PipelineID           int64      `db:"pipeline_id"`
	Attempt              int        `db:"pipeline_attempt"` // 1 for the first run, one more for each re-run
	Name                 string     `db:"pipeline_name"`
	Status               string     `db:"pipeline_status"` // the outcome, else the state, in the platform's words
	Phase                Phase      `db:"phase"`
	QueuedSeconds        *float64   `db:"queued_seconds"`
	URL                  string     `db:"url"`
	RestartedAfter       *time.Time `db:"restarted_after"` // of an unfinished run: the end of the run before, where known
	FinishedAt           *time.Time `db:"finished_at"`     // nil until finished
	UpdatedAt            *time.Time `db:"updated_at"`      // nil where unknown
	RecordedAt           time.Time  `db:"recorded_at"`
	AnomalyScore         *float64   `db:"anomaly_score"`  // nil until it can be judged
	AnomalyReason        string     `db:"anomaly_reason"` // empty for an ordinary run
	Expected             bool       `db:"expected"`       // a person marked an unusual run as the new level
	ExpectedBy           string     `db:"expected_by"`
}

// Succeeded tells whether the run succeeded at a known time, so that it can be part of a series.
func (r PipelineRun) Succeeded() bool {
	return r.Phase == PhaseFinished && r.FinishedAt != nil && r.Status == "success"
}

// Unusual tells whether the run's history does not explain it.
func (r PipelineRun) Unusual() bool { return r.AnomalyReason != "" }

// Point is the run as a point of its series. A truncated count of changed files is only a lower bound, and so unknown.
func (r PipelineRun) Point(truncated bool) anomaly.Point {
	point := anomaly.Point{DurationSeconds: r.BuildDurationSeconds, ArtifactBytes: r.ArtifactSizeBytes, Expected: r.Expected}
	if !truncated {
		point.ChangedFiles = r.NumChangedFiles
	}
	return point
}

// runOf is the run as an event describes it; Attempt is 0 where the platform does not count attempts.
func runOf(p Pipeline) PipelineRun {
	run := PipelineRun{
		BuildDurationSeconds: secondsOf(p.Duration), ArtifactSizeBytes: p.ArtifactBytes, QueuedSeconds: secondsOf(p.Queued),
		Branch: p.Branch + p.Tag, OnDefaultBranch: p.onDefaultBranch(), Source: p.Source,
		PipelineID: p.ID, Attempt: p.Attempt, Name: p.Name, Status: p.Status, Phase: phaseOf(p.Status), URL: p.URL,
		FinishedAt: momentOf(p.FinishedAt), UpdatedAt: momentOf(p.UpdatedAt),
	}
	if run.Phase == PhaseFinished && p.Conclusion != "" {
		run.Status = p.Conclusion
	}
	return run
}

// onDefaultBranch is false for pipelines of requests: a fork's branch can have the name of the default branch.
func (p Pipeline) onDefaultBranch() bool {
	request := strings.HasPrefix(p.Source, "pull_request") || strings.HasPrefix(p.Source, "merge_request")
	return p.Branch != "" && p.Branch == p.Project.DefaultBranch && !request && !p.Foreign
}

func phaseOf(status string) Phase {
	switch status {
	case "requested", "queued", "waiting", "pending", "created", "preparing", "scheduled", "waiting_for_resource",
		"waiting_for_callback":
		return PhaseWaiting
	case "manual", "canceling":
		return PhaseBlocked
	case "completed", "success", "failed", "canceled", "skipped":
		return PhaseFinished
	}
	return PhaseRunning
}

func secondsOf(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}

// momentOf has the precision of the databases, so that a time equals itself after it was stored and read.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// latestRuns is the latest attempt of each pipeline among those for which keep is true.
func latestRuns(runs []PipelineRun, keep func(PipelineRun) bool) []PipelineRun {
	latest := map[int64]PipelineRun{}
	for _, run := range runs {
		if keep(run) && run.Attempt >= latest[run.PipelineID].Attempt {
			latest[run.PipelineID] = run
		}
	}
	list := make([]PipelineRun, 0, len(latest))
	for _, run := range latest {
		list = append(list, run)
	}
	slices.SortFunc(list, func(a, b PipelineRun) int { return cmp.Compare(a.PipelineID, b.PipelineID) })
	return list
}

// RecordRun adds an event to the runs of its pipeline, which are in the order of their attempts, and returns them in that
// order; new runs have no ID. The result does not depend on the order of the events, nor on how often each of them
// comes. changed is false for an event that says nothing new.
//
// GitHub counts attempts. GitLab does not: a retried pipeline keeps its id, and its events state the end of the last run
// until it ends again. There, a finished run is identified by its end, its attempt is its position among the finished
// runs, and at most one unfinished run follows them.
func RecordRun(runs []PipelineRun, p Pipeline) (after []PipelineRun, changed bool) {
	event := runOf(p)
	after = slices.Clone(runs)
	if p.Attempt == 0 {
		return recordUncounted(after, event, p.AskArtifacts)
	}
	place, known := slices.BinarySearchFunc(after, event.Attempt, func(r PipelineRun, attempt int) int {
		return cmp.Compare(r.Attempt, attempt)
	})
	if known {
		return after, after[place].learn(event, p.AskArtifacts)
	}
	return slices.Insert(after, place, event), true
}

func recordUncounted(runs []PipelineRun, event PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	if event.Phase == PhaseFinished && event.FinishedAt != nil {
		runs, changed = recordEnd(runs, event, ask)
	} else {
		event.RestartedAfter, event.FinishedAt = event.FinishedAt, nil
		runs, changed = recordOpen(runs, event, ask)
	}
	for i := range runs {
		runs[i].Attempt = i + 1
	}
	return runs, changed
}

// recordEnd inserts a finished run. The unfinished run becomes this one, unless it started later.
func recordEnd(runs []PipelineRun, end PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	ended := endedRuns(runs)
	place, known := slices.BinarySearchFunc(runs[:ended], end, func(r, target PipelineRun) int {
		return compareTimes(r.FinishedAt, target.FinishedAt)
	})
	if known {
		return runs, runs[place].learn(end, ask)
	}
	if ended < len(runs) && compareTimes(runs[ended].RestartedAfter, end.FinishedAt) < 0 {
		taken := runs[ended]
		taken.replace(end, ask)
		end, runs = taken, runs[:ended]
	}
	return slices.Insert(runs, place, end), true
}

// recordOpen records a state before the end, unless a later end is known already.
func recordOpen(runs []PipelineRun, event PipelineRun, ask bool) (after []PipelineRun, changed bool) {
	ended := endedRuns(runs)
	switch {
	case ended > 0 && compareTimes(event.RestartedAfter, runs[ended-1].FinishedAt) < 0:
		return runs, false
	case ended == len(runs):
		return append(runs, event), true
	}
	open := &runs[ended]
	switch order := compareTimes(event.RestartedAfter, open.RestartedAfter); {
	case order < 0:
		return runs, false
	case order > 0:
		open.replace(event, ask)
		return runs, true
	}
	return runs, open.learn(event, ask)
}

// endedRuns counts the runs that ended at a known time; at most one other follows them.
func endedRuns(runs []PipelineRun) int {
	if n := len(runs); n > 0 && (runs[n-1].Phase != PhaseFinished || runs[n-1].FinishedAt == nil) {
		return n - 1
	}
	return len(runs)
}

// learn replaces the run by the event where that is later.
func (r *PipelineRun) learn(event PipelineRun, ask bool) (changed bool) {
	if event.compare(*r, ask) <= 0 {
		return false
	}
	r.replace(event, ask)
	return true
}

// replace takes over the event, but keeps what events do not state. ask means that the event has no artifact sizes.
func (r *PipelineRun) replace(event PipelineRun, ask bool) {
	event.ID, event.ScanID, event.ProjectID, event.RecordedAt = r.ID, r.ScanID, r.ProjectID, r.RecordedAt
	event.NumChangedFiles, event.Expected, event.ExpectedBy = r.NumChangedFiles, r.Expected, r.ExpectedBy
	event.AnomalyScore, event.AnomalyReason = r.AnomalyScore, r.AnomalyReason
	if ask {
		event.ArtifactSizeBytes = r.ArtifactSizeBytes
	}
	*r = event
}

// compare orders states of one run by phase and time. The other fields only make the order total, so that of two
// different states the same one is kept in any order of events.
func (r PipelineRun) compare(other PipelineRun, ask bool) int {
	order := cmp.Or(
		cmp.Compare(r.Phase, other.Phase),
		compareTimes(r.UpdatedAt, other.UpdatedAt),
		compareTimes(r.FinishedAt, other.FinishedAt),
		comparePointers(r.BuildDurationSeconds, other.BuildDurationSeconds),
		comparePointers(r.QueuedSeconds, other.QueuedSeconds),
		cmp.Compare(r.Status, other.Status),
		cmp.Compare(r.Name, other.Name),
		cmp.Compare(r.Branch, other.Branch),
		cmp.Compare(r.Source, other.Source),
		cmp.Compare(r.URL, other.URL),
	)
	if order == 0 && !ask {
		order = comparePointers(r.ArtifactSizeBytes, other.ArtifactSizeBytes)
	}
	return order
}

// compareTimes orders nil before any moment.
func compareTimes(a, b *time.Time) int {
	if a == nil || b == nil {
		return compareNil(a == nil, b == nil)
	}
	return a.Compare(*b)
}

func comparePointers[T cmp.Ordered](a, b *T) int {
	if a == nil || b == nil {
		return compareNil(a == nil, b == nil)
	}
	return cmp.Compare(*a, *b)
}

func compareNil(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// AnomalyMode is the effect of an unusual pipeline run on the commit status of pipelines.
type AnomalyMode string

// The modes. Any other value means AnomaliesReport.
const (
	AnomaliesReport AnomalyMode = "report" // only the text says so
	AnomaliesFail   AnomalyMode = "fail"   // the status fails
	AnomaliesOff    AnomalyMode = "off"    // no status; runs are assessed all the same
)

// PipelineContext is the name of the commit status for pipelines, derived from that of the scan.
func PipelineContext(context string) string { return context + "/pipeline" }

// PipelineEvidence is what the judgement of a commit's pipelines is based on.
type PipelineEvidence struct {
	Scan      Scan                // the latest scan of the commit
	Runs      []PipelineRun       // of all pipelines of the commit
	Pipelines map[int64]bool      // ids of the pipelines whose runs are judged; nil means all
	History   map[int64][]PastRun // by ID of each successful run that is judged: its series before it, the oldest first
	Mode      AnomalyMode
	Waiting   bool // a measure of a run is still being fetched
}

// Judges tells whether a run is judged; another run keeps its judgement.
func (e PipelineEvidence) Judges(run PipelineRun) bool {
	return e.Pipelines == nil || e.Pipelines[run.PipelineID]
}

// PastRun is an earlier run of a series.
type PastRun struct {
	ID        int64 `db:"id"`
	Truncated bool  `db:"truncated"` // its number of changed files is only a lower bound
	anomaly.Point
}

// PipelineJudgement is what is saved of a judgement.
type PipelineJudgement struct {
	Changed []PipelineRun // runs with another judgement than before
	Shown   bool          // the commit gets a status, with State and Text
	State   StatusState
	Text    string
}

// JudgePipelines judges the runs of a commit's pipelines, each by those that succeeded before it, and says what the
// commit should show. A missing measure is left out; the run is judged again when it is known.
func JudgePipelines(e PipelineEvidence) (j PipelineJudgement) {
	runs := slices.Clone(e.Runs)
	judged := map[int64]PipelineRun{}
	for i := range runs {
		if run := &runs[i]; e.Judges(*run) {
			before := *run
			run.judge(e.Scan, seriesOf(e.History[run.ID], judged))
			judged[run.ID] = *run
			if !run.judgedAs(before) {
				j.Changed = append(j.Changed, *run)
			}
		}
	}
	j.State, j.Text, j.Shown = pipelineStatus(e.Mode, runs, e.Waiting)
	return j
}

// seriesOf are the points of a history. Runs that were judged just now are in it with the changed files that they have now.
func seriesOf(history []PastRun, judged map[int64]PipelineRun) []anomaly.Point {
	points := make([]anomaly.Point, len(history))
	for i, past := range history {
		points[i] = past.Point
		if run, again := judged[past.ID]; again && !past.Truncated {
			points[i].ChangedFiles = run.NumChangedFiles
		}
	}
	return points
}

// Assess compares the run with the series before it. truncated says that its number of changed files is a lower bound.
func (r PipelineRun) Assess(history []PastRun, truncated bool) anomaly.Assessment {
	return anomaly.Assess(seriesOf(history, nil), r.Point(truncated))
}

// judge compares a run with those that succeeded before it.
func (r *PipelineRun) judge(scan Scan, history []anomaly.Point) {
	r.NumChangedFiles, r.AnomalyScore, r.AnomalyReason = scan.NumChangedFiles, nil, ""
	if !r.Succeeded() {
		return
	}
	assessment := anomaly.Assess(history, r.Point(scan.ChangedFilesTruncated))
	r.AnomalyScore = assessment.Score()
	if assessment.Anomaly != nil {
		r.AnomalyReason = assessment.Anomaly.Reason
	}
}

func (r PipelineRun) judgedAs(before PipelineRun) bool {
	return comparePointers(before.NumChangedFiles, r.NumChangedFiles) == 0 &&
		comparePointers(before.AnomalyScore, r.AnomalyScore) == 0 && before.AnomalyReason == r.AnomalyReason
}

// pipelineStatus is the status that a commit should show for the runs of its pipelines; ok is false for no status.
//
// The latest successful run of each pipeline counts. Running and failed ones have no final sizes, and on GitLab our own
// failed status makes the pipeline end again. waiting means that a measure of a run is still being fetched. In the mode
// fail, every commit with a finished pipeline gets a status, so that the check can be required.
func pipelineStatus(mode AnomalyMode, runs []PipelineRun, waiting bool) (state StatusState, text string, ok bool) {
	if mode == AnomaliesOff {
		return "", "", false
	}
	judged := latestRuns(runs, PipelineRun.Succeeded)
	unusual, expected := worstRun(judged, false), worstRun(judged, true)
	switch {
	case unusual != nil && mode == AnomaliesFail:
		return StatusFailure, Truncate(unusual.describe(len(judged))), true
	case unusual != nil:
		return StatusSuccess, Truncate(unusual.describe(len(judged))), true
	case expected != nil:
		return StatusSuccess, Truncate("expected: " + expected.AnomalyReason), true
	case mode != AnomaliesFail || waiting:
		return "", "", false
	}
	text = ordinaryText(runs, judged)
	return StatusSuccess, text, text != ""
}

// worstRun is the unusual run with the highest score, among those that are or are not marked as expected.
func worstRun(runs []PipelineRun, expected bool) *PipelineRun {
	var worst *PipelineRun
	for i, run := range runs {
		candidate := run.Unusual() && run.Expected == expected
		if candidate && (worst == nil || comparePointers(run.AnomalyScore, worst.AnomalyScore) > 0) {
			worst = &runs[i]
		}
	}
	return worst
}

// describe names the pipeline if the commit has several.
func (r PipelineRun) describe(pipelines int) string {
	if pipelines < 2 || r.Name == "" {
		return "unusual: " + r.AnomalyReason
	}
	return fmt.Sprintf("unusual %s: %s", r.Name, r.AnomalyReason)
}

// ordinaryText is empty while no pipeline has finished.
func ordinaryText(runs, judged []PipelineRun) string {
	for _, run := range judged {
		if run.AnomalyScore != nil {
			return "pipeline as usual"
		}
	}
	if len(judged) > 0 {
		return fmt.Sprintf("pipeline not judged: that takes %d earlier runs to compare with", anomaly.MinSamples)
	}
	finished := latestRuns(runs, func(r PipelineRun) bool { return r.Phase == PhaseFinished })
	if len(finished) == 0 {
		return ""
	}
	return "pipeline not judged: it ended as " + finished[0].Status
}
