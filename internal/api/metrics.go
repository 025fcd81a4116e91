package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/anomaly"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
)

// RegisterMetrics describes the operations on pipeline runs.
func (a *API) RegisterMetrics(api huma.API) {
	list := operation(access.Read, http.MethodGet, "/projects/{platform}/{project}/metrics", "list-metrics",
		"Runs of a project's pipelines, the newest first, with the expected range of each")
	list.Description = "The slashes of the project's path are written %2F."
	register(a, api, list, a.listMetrics)

	mark := operation(access.Judge, http.MethodPatch, "/metrics/{id}", "patch-metric",
		"Mark a run as expected: its commit status turns green, and later runs are compared with the new level")
	register(a, api, mark, a.patchMetric)
}

type listMetricsInput struct {
	ProjectPath
	Cursor string `query:"cursor" maxLength:"200" doc:"the value of next in the answer before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Name   string `query:"pipeline_name" maxLength:"1000"`
	Branch string `query:"branch" maxLength:"1000"`
	Commit string `query:"commit" maxLength:"64" doc:"full commit id"`
}

func (a *API) listMetrics(ctx context.Context, in *listMetricsInput) (*paging.Output[metricView], error) {
	return paging.List(paging.Input{Cursor: in.Cursor, Limit: in.Limit}, func(before int64, limit int) ([]store.Metric, error) {
		return a.Store.ListMetrics(ctx, store.MetricFilter{
			Platform: in.Platform, Project: in.Project, Name: in.Name, Branch: in.Branch, CommitSHA: in.Commit,
			Before: before, Limit: limit,
		})
	}, viewMetric, func(m store.Metric) int64 { return m.ID })
}

type patchMetricInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Expected bool `json:"expected"`
	}
}

type metricOutput struct{ Body metricView }

func (a *API) patchMetric(ctx context.Context, in *patchMetricInput) (*metricOutput, error) {
	metric, err := a.Store.PutExpected(ctx, in.ID, in.Body.Expected, author(ctx))
	if err != nil {
		return nil, err
	}
	return &metricOutput{viewMetric(metric)}, nil
}

// metricView is a run as the API shows it; its fields have the names of the columns.
type metricView struct {
	ID                    int64          `json:"id"`
	Scan                  string         `json:"scan" doc:"reference_id of the commit's scan"`
	CommitSHA             string         `json:"commit_sha"`
	Branch                string         `json:"branch"`
	OnDefaultBranch       bool           `json:"on_default_branch"`
	PipelineID            int64          `json:"pipeline_id"`
	PipelineAttempt       int            `json:"pipeline_attempt"`
	PipelineName          string         `json:"pipeline_name"`
	PipelineStatus        string         `json:"pipeline_status" doc:"of the outcome, else of the state" example:"success"`
	Source                string         `json:"source" doc:"what started it, in the platform's words" example:"push"`
	URL                   string         `json:"url"`
	BuildDurationSeconds  *float64       `json:"build_duration_seconds"`
	QueuedSeconds         *float64       `json:"queued_seconds"`
	ArtifactSizeBytes     *int64         `json:"artifact_size_bytes" doc:"null until known"`
	NumChangedFiles       *int           `json:"num_changed_files"`
	ChangedFilesTruncated bool           `json:"changed_files_truncated" doc:"num_changed_files is null or a lower bound"`
	FinishedAt            *time.Time     `json:"finished_at"`
	RecordedAt            time.Time      `json:"recorded_at"`
	AnomalyScore          *float64       `json:"anomaly_score" doc:"as it was judged; null while too few runs came before"`
	AnomalyReason         string         `json:"anomaly_reason" doc:"empty for an ordinary run"`
	Expected              bool           `json:"expected" doc:"a person marked the run as the new normal"`
	ExpectedBy            string         `json:"expected_by" doc:"name of the token with which it was marked"`
	Ranges                expectedRanges `json:"expected_ranges" doc:"from the earlier runs that are known today"`
}

func viewMetric(m store.Metric) metricView {
	return metricView{
		ID: m.ID, Scan: m.ReferenceID, CommitSHA: m.CommitSHA, Branch: m.Branch, OnDefaultBranch: m.OnDefaultBranch,
		PipelineID: m.PipelineID, PipelineAttempt: m.Attempt, PipelineName: m.Name, PipelineStatus: m.Status,
		Source: m.Source, URL: m.URL, BuildDurationSeconds: m.BuildDurationSeconds, QueuedSeconds: m.QueuedSeconds,
		ArtifactSizeBytes: m.ArtifactSizeBytes, NumChangedFiles: m.NumChangedFiles,
		ChangedFilesTruncated: m.ChangedFilesTruncated, FinishedAt: m.FinishedAt, RecordedAt: m.RecordedAt,
		AnomalyScore: m.AnomalyScore, AnomalyReason: m.AnomalyReason, Expected: m.Expected, ExpectedBy: m.ExpectedBy,
		Ranges: viewRanges(m.Readings),
	}
}

type expectedRanges struct {
	Duration     *expectedRange `json:"build_duration_seconds" doc:"null while too few runs came before"`
	Artifact     *expectedRange `json:"artifact_size_bytes"`
	BytesPerFile *expectedRange `json:"artifact_bytes_per_changed_file"`
}

// expectedRange is the range in which a measure of a run is ordinary.
type expectedRange struct {
	Low    float64 `json:"low" doc:"0 where only growth is unusual"`
	High   float64 `json:"high"`
	Median float64 `json:"median" doc:"of the runs before"`
	Score  float64 `json:"score" doc:"robust z-score of this run's value, never negative; unusual from 3 on"`
}

func viewRanges(readings []anomaly.Reading) expectedRanges {
	var ranges expectedRanges
	for _, r := range readings {
		view := &expectedRange{Low: r.Expected.Low, High: r.Expected.High, Median: r.Median, Score: r.Score}
		switch r.Measure {
		case anomaly.Duration:
			ranges.Duration = view
		case anomaly.Artifact:
			ranges.Artifact = view
		case anomaly.BytesPerFile:
			ranges.BytesPerFile = view
		}
	}
	return ranges
}
