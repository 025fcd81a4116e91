package core

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core/anomaly"
)

// Phase is how far a run of a pipeline has come. Later phases are greater, and no event leads back.
type Phase int

// The phases of a run.
const (
	PhaseWaiting  Phase = iota + 1 // known, not started
	PhaseRunning                   // and what we have no word for
	PhaseBlocked                   // waits for a person
	PhaseFinished                  // also when it failed
)

// PipelineRun is one attempt of a pipeline. Its db tags are the columns of the table pipeline_metrics. A nil measure is
// one that the platform has not told.
type PipelineRun struct {
	ID                   int64      `db:"id"`
	ScanID               int64      `db:"scan_id"`
	BuildDurationSeconds *float64   `db:"build_duration_seconds"`
	ArtifactSizeBytes    *int64     `db:"artifact_size_bytes"`
	NumChangedFiles      *int       `db:"num_changed_files"` // of the scan
	SourcePlatform       string     `db:"source_platform"`
	ProjectName          string     `db:"project_name"`
	Branch               string     `db:"branch"` // the tag's name for pipelines of tags
	OnDefaultBranch      bool       `db:"on_default_branch"`
	Source               string     `db:"source"` // what started the pipeline, in the platform's words
	PipelineID           int64      `db:"pipeline_id"`
	Attempt              int        `db:"pipeline_attempt"` // 1 and one more for each time that it ran again
	Name                 string     `db:"pipeline_name"`
	Status               string     `db:"pipeline_status"` // the platform's word: for the outcome, else for the state
	Phase                Phase      `db:"phase"`
	QueuedSeconds        *float64   `db:"queued_seconds"`
	URL                  string     `db:"url"`
	RestartedAfter       *time.Time `db:"restarted_after"` // of an open run: the end of the one before, where known
	FinishedAt           *time.Time `db:"finished_at"`     // nil until finished
	UpdatedAt            *time.Time `db:"updated_at"`      // nil where the platform does not tell
	RecordedAt           time.Time  `db:"recorded_at"`
	AnomalyScore         *float64   `db:"anomaly_score"`  // nil until it can be judged
	AnomalyReason        string     `db:"anomaly_reason"` // empty for an ordinary run
	Expected             bool       `db:"expected"`       // a person said that what is unusual is the new level
	ExpectedBy           string     `db:"expected_by"`
}

// Succeeded tells whether the run has come to a good end at a known time, so that it can stand in a series.
func (r PipelineRun) Succeeded() bool {
	return r.Phase == PhaseFinished && r.FinishedAt != nil && r.Status == "success"
}

// Unusual tells whether the run's history does not explain it.
func (r PipelineRun) Unusual() bool { return r.AnomalyReason != "" }

// Point is the run as a point of its series. A count of changed files that is only a lower bound belongs in as unknown.
func (r PipelineRun) Point(truncated bool) anomaly.Point {
	point := anomaly.Point{DurationSeconds: r.BuildDurationSeconds, ArtifactBytes: r.ArtifactSizeBytes, Expected: r.Expected}
	if !truncated {
		point.ChangedFiles = r.NumChangedFiles
	}
	return point
}

// runOf is what an event says of its run; Attempt is 0 where the platform does not count.
func runOf(p Pipeline) PipelineRun {
	run := PipelineRun{
		BuildDurationSeconds: secondsOf(p.Duration), ArtifactSizeBytes: p.ArtifactBytes, QueuedSeconds: secondsOf(p.Queued),
		ProjectName: p.Project.Name, Branch: p.Branch + p.Tag, OnDefaultBranch: p.onDefaultBranch(), Source: p.Source,
		PipelineID: p.ID, Attempt: p.Attempt, Name: p.Name, Status: p.Status, Phase: phaseOf(p.Status), URL: p.URL,
		FinishedAt: momentOf(p.FinishedAt), UpdatedAt: momentOf(p.UpdatedAt),
	}
	if run.Phase == PhaseFinished && p.Conclusion != "" {
		run.Status = p.Conclusion
	}
	return run
}

// onDefaultBranch leaves out pipelines of merge requests: a fork's branch may bear the default branch's name.
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

// momentOf has the precision that databases keep, so that a moment that was read back equals itself.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// LatestRuns picks the latest attempt of each pipeline among those that keep asks for.
func LatestRuns(runs []PipelineRun, keep func(PipelineRun) bool) []PipelineRun {
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
