package gitlab

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// pipelinePayload is the part of a pipeline event that we use. The variables are left out on purpose: they may hold
// secrets in clear text.
type pipelinePayload struct {
	Attributes attributes `json:"object_attributes"`
	Builds     []struct {
		Artifacts struct {
			Size platforms.Number `json:"size"`
		} `json:"artifacts_file"`
	} `json:"builds"`
	MergeRequest struct {
		IID    platforms.Number `json:"iid"`
		Source platforms.Number `json:"source_project_id"`
		Target platforms.Number `json:"target_project_id"`
	} `json:"merge_request"`
	Parent struct {
		Project    project          `json:"project"`
		PipelineID platforms.Number `json:"pipeline_id"`
	} `json:"source_pipeline"`
}

type attributes struct {
	ID         platforms.Number `json:"id"`
	Name       platforms.Text   `json:"name"`
	Ref        platforms.Text   `json:"ref"`
	Tag        bool             `json:"tag"`
	SHA        platforms.Text   `json:"sha"`
	BeforeSHA  platforms.Text   `json:"before_sha"`
	Source     platforms.Text   `json:"source"`
	Status     platforms.Text   `json:"status"`
	CreatedAt  platforms.Time   `json:"created_at"`
	FinishedAt platforms.Time   `json:"finished_at"`
	Duration   platforms.Number `json:"duration"`
	Queued     platforms.Number `json:"queued_duration"`
	URL        platforms.Text   `json:"url"`
}

func (p *Platform) parsePipeline(outer envelope, body []byte) (core.Event, string, error) {
	var payload pipelinePayload
	if err := platforms.DecodeObject(body, &payload); err != nil {
		return nil, "", err
	}
	project, err := p.toProject(outer)
	if err != nil {
		return nil, "", err
	}
	if payload.Attributes.Source == "external" {
		reason := "the pipeline is external, GitLab makes such ones of the statuses that we post"
		return core.Ignored{Reason: reason}, project.Name, nil
	}
	if !core.IsCommitSHA(string(payload.Attributes.SHA)) {
		return nil, "", fmt.Errorf("%w: object_attributes.sha names no commit", core.ErrInvalid)
	}
	return payload.translate(project), project.Name, nil
}

// translate leaves the attempt at 0: a retried pipeline of GitLab keeps its id and counts nothing.
func (payload pipelinePayload) translate(project core.Project) core.Pipeline {
	from := payload.Attributes
	pipeline := core.Pipeline{
		Project:         project,
		ID:              from.ID.Int(),
		Name:            string(from.Name),
		Source:          string(from.Source),
		CommitSHA:       string(from.SHA),
		BeforeSHA:       platforms.CommitID(from.BeforeSHA),
		Foreign:         payload.MergeRequest.Source.ID() != payload.MergeRequest.Target.ID(),
		Status:          string(from.Status),
		URL:             platforms.WebAddress(from.URL, links.PipelineURL(project.URL, from.ID.Int())),
		Duration:        from.Duration.Seconds(),
		Queued:          from.Queued.Seconds(),
		ArtifactBytes:   payload.artifactBytes(),
		AskArtifacts:    payload.Builds == nil,
		CreatedAt:       from.CreatedAt.Time,
		FinishedAt:      from.FinishedAt.Time,
		Parent:          payload.parent(),
		MergeRequestIID: payload.MergeRequest.IID.Int(),
	}
	if from.Tag {
		pipeline.Tag = string(from.Ref)
	} else {
		pipeline.Branch = string(from.Ref)
	}
	return pipeline
}

// artifactBytes adds up the archives of the latest run of each job: nil where no job has one.
func (payload pipelinePayload) artifactBytes() *int64 {
	var total *int64
	for _, build := range payload.Builds {
		size := build.Artifacts.Size
		if bytes := size.Int(); size.IsSet() && bytes >= 0 && bytes <= platforms.MaxArtifact {
			if total == nil {
				total = new(int64)
			}
			*total += bytes
		}
	}
	return total
}

func (payload pipelinePayload) parent() *core.PipelineParent {
	path := string(payload.Parent.Project.PathWithNamespace)
	if payload.Parent.PipelineID.Int() == 0 || platforms.CheckProject(path) != nil {
		return nil
	}
	return &core.PipelineParent{Project: path, ID: payload.Parent.PipelineID.Int()}
}
