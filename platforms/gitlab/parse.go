package gitlab

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// The values of object_kind that we use; system hooks of pushes have them in event_name instead.
const (
	kindPush     = "push"
	kindTagPush  = "tag_push"
	kindPipeline = "pipeline"
	kindRequest  = "merge_request"
)

// projectChanges are the events about a project itself. There is none of its own for a namespace that gets another name.
var projectChanges = []string{"project_create", "project_update", "project_rename", "project_transfer", "project_destroy"}

// envelope identifies the event and the project, in hooks of projects, groups and the whole system.
type envelope struct {
	ObjectKind        platforms.Text   `json:"object_kind"`
	EventName         platforms.Text   `json:"event_name"`
	PathWithNamespace platforms.Text   `json:"path_with_namespace"`
	ProjectID         platforms.Number `json:"project_id"`
	UpdatedAt         platforms.Time   `json:"updated_at"` // of events about the project itself
	Project           projectPayload   `json:"project"`
	Repository        repository       `json:"repository"`
}

// Parse translates a verified call. A system hook tells its event only in the body.
func (p *Platform) Parse(header http.Header, body []byte) (core.Delivery, error) {
	delivery := core.Delivery{
		Platform:   p.name,
		Name:       platforms.Clean(header.Get(eventHeader)),
		ReceivedAt: p.now().UTC(),
		Key:        deliveryKey(header, body),
	}
	return platforms.Translate(delivery, eventHeader, "GitLab", func() (core.Event, string, error) {
		return p.event(delivery.Name, body)
	})
}

// Keep is part of platforms.Keeper. The variables of a pipeline may be secrets.
func (p *Platform) Keep(header http.Header, body []byte) (http.Header, []byte) {
	kept := platforms.Headers(header, eventHeader, idHeader, retryHeader)
	switch header.Get(eventHeader) {
	case "Pipeline Hook", "System Hook":
		return kept, withoutVariables(body)
	}
	return kept, body
}

// withoutVariables empties the variables of a pipeline in a body, and leaves all other bytes as they are: what is read later is
// what was authorized now. It returns nothing of a body that cannot be read, which could still hold them.
func withoutVariables(body []byte) []byte {
	kept := bytes.Clone(body)
	read := eachMember(kept, "object_attributes", func(attributes []byte) {
		eachMember(attributes, "variables", empty)
	})
	if !read {
		return nil
	}
	return kept
}

// eachMember visits the values of all members of an object that encoding/json takes for one of the name. It returns false for
// what is not one JSON object.
func eachMember(object []byte, name string, visit func(value []byte)) bool {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return false
	}
	for decoder.More() {
		var value extent
		key, err := decoder.Token()
		if err != nil || decoder.Decode(&value) != nil {
			return false
		}
		if text, _ := key.(string); strings.EqualFold(text, name) {
			end := decoder.InputOffset()
			visit(object[end-int64(value) : end])
		}
	}
	_, err := decoder.Token()
	_, end := decoder.Token()
	return err == nil && errors.Is(end, io.EOF)
}

// extent is the length of a value, in bytes.
type extent int

// UnmarshalJSON never fails.
func (e *extent) UnmarshalJSON(data []byte) error {
	*e = extent(len(data))
	return nil
}

// empty makes a value a list without elements. Of one byte, it is a digit.
func empty(value []byte) {
	if len(value) > 1 {
		copy(value, "[]"+strings.Repeat(" ", len(value)-2))
	}
}

// Recall is part of platforms.Keeper.
func (p *Platform) Recall(verifiedBy string, signed bool) (platforms.Verification, error) {
	return p.keys.Recall(verifiedBy, signed)
}

func (p *Platform) event(name string, body []byte) (core.Event, string, error) {
	var outer envelope
	if err := platforms.DecodeObject(body, &outer); err != nil {
		return nil, "", err
	}
	kind, err := outer.kind(name)
	if err != nil {
		return nil, "", err
	}
	path := p.path(outer)
	switch _, used := events[kind]; {
	case used && path == "" && cmp.Or(outer.ProjectID.ID(), outer.Project.ID.ID()) != "":
		return core.Ignored{Reason: "the event names its project by number only, as some tests of webhooks do: a scan" +
			" needs its path"}, "", nil
	case kind == kindPipeline:
		return p.parsePipeline(outer, body)
	case kind == kindRequest:
		return p.parseRequest(outer, body)
	case used:
		return p.parsePush(outer, body)
	case name == "System Hook" && slices.Contains(projectChanges, kind) && path != "":
		return p.parseProjectChange(kind, outer)
	}
	if platforms.CheckProject(path) != nil {
		path = ""
	}
	return core.Ignored{Reason: reasonToIgnore(name, kind)}, path, nil
}

// kind is the kind of event that the header announces, or that the body states where the header leaves it open. Both must
// agree: a custom webhook template can put anything into the body.
func (e envelope) kind(name string) (string, error) {
	stated := string(e.ObjectKind)
	if stated == "" {
		stated = string(e.EventName)
	}
	if name == "System Hook" {
		return stated, nil
	}
	announced := ""
	for kind, header := range events {
		if header == name {
			announced = kind
		}
	}
	if announced != "" && stated != "" && stated != announced {
		return "", fmt.Errorf("%w: the header says %s and the body says %q: remove the custom template of the webhook",
			core.ErrInvalid, name, stated)
	}
	return announced, nil
}

func reasonToIgnore(name, kind string) string {
	if kind != "" {
		return "system events of the kind " + kind + " are not used: push, tag_push, merge_request and pipeline are enough"
	}
	return name + " events are not used: push, tag push, merge request and pipeline events are enough for this webhook"
}

// deliveryKey is stable over retries since GitLab 17.4. Before, GitLab has no such id: X-Gitlab-Webhook-UUID changes
// with every attempt, and X-Gitlab-Event-UUID is shared by different events of one chain. Nor does the body alone tell events
// apart: a branch that goes the same way twice is announced by the same bytes.
func deliveryKey(header http.Header, body []byte) string {
	for _, name := range []string{idHeader, retryHeader} {
		if id := header.Get(name); id != "" {
			return platforms.DeliveryKey("delivery", id)
		}
	}
	return platforms.HashKey(header.Get(eventHeader)+header.Get(chainHeader), body)
}

// projectPayload is the part of a payload's project that we use.
type projectPayload struct {
	ID                platforms.Number `json:"id"`
	PathWithNamespace platforms.Text   `json:"path_with_namespace"`
	WebURL            platforms.Text   `json:"web_url"`
	GitHTTPURL        platforms.Text   `json:"git_http_url"`
	DefaultBranch     platforms.Text   `json:"default_branch"`
}

// repository is GitLab's older word for the project; some senders have only this one.
type repository struct {
	Homepage   platforms.Text `json:"homepage"`
	GitHTTPURL platforms.Text `json:"git_http_url"`
}

// path is the full path of the project. Old payloads have only the address of its page.
func (p *Platform) path(e envelope) string {
	for _, path := range []platforms.Text{e.Project.PathWithNamespace, e.PathWithNamespace} {
		if path != "" {
			return string(path)
		}
	}
	for _, page := range []platforms.Text{e.Project.WebURL, e.Repository.Homepage} {
		if address, err := url.Parse(string(page)); err == nil && address.Path != "" {
			return strings.Trim(strings.TrimPrefix(address.Path, p.web.Path+"/"), "/")
		}
	}
	return ""
}

// toProject translates the project; its path must be safe because addresses are built from it.
func (p *Platform) toProject(e envelope) (core.Project, error) {
	path := p.path(e)
	if err := platforms.CheckProject(path); err != nil {
		return core.Project{}, fmt.Errorf("project.path_with_namespace: %w", err)
	}
	if !strings.Contains(path, "/") { // GitLab's API would take digits alone for the number of another project
		return core.Project{}, fmt.Errorf("%w: project.path_with_namespace: %q has no namespace", core.ErrInvalid, path)
	}
	page := platforms.WebAddress(e.Repository.Homepage, p.web.JoinPath(path).String())
	clone := platforms.WebAddress(e.Repository.GitHTTPURL, p.cloneURL(path))
	project := core.Project{
		Name:          path,
		Ref:           e.Project.ID.ID(),
		URL:           platforms.WebAddress(e.Project.WebURL, page),
		CloneURL:      platforms.WebAddress(e.Project.GitHTTPURL, clone),
		DefaultBranch: string(e.Project.DefaultBranch),
	}
	if project.Ref == "" {
		project.Ref = e.ProjectID.ID()
	}
	return project, nil
}

func (p *Platform) parseProjectChange(kind string, outer envelope) (core.Event, string, error) {
	project, err := p.toProject(outer)
	if err != nil {
		return nil, "", err
	}
	project.AsOf = outer.UpdatedAt.Time
	return core.ProjectChange{Project: project, Action: kind, Deleted: kind == "project_destroy"}, project.Name, nil
}

// pushPayload is the part of a push or tag push that we use.
type pushPayload struct {
	platforms.PushPayload
	CheckoutSHA  platforms.Text   `json:"checkout_sha"` // after is the tag object where a tag is annotated
	TotalCommits platforms.Number `json:"total_commits_count"`
}

func (p *Platform) parsePush(outer envelope, body []byte) (core.Event, string, error) {
	var push pushPayload
	if err := platforms.DecodeObject(body, &push); err != nil {
		return nil, "", err
	}
	project, err := p.toProject(outer)
	if err != nil {
		return nil, "", err
	}
	pushed := push.Push(project, push.TotalCommits, push.CheckoutSHA)
	for _, commit := range push.Commits {
		if info := commit.Info(pushed.CommitSHA); info != (core.CommitInfo{}) {
			pushed.Commit = info
		}
	}
	event, err := platforms.CompletePush(pushed)
	return event, project.Name, err
}

// pipelinePayload is the part of a pipeline event that we use. The variables are left out on purpose: they may hold
// secrets in clear text.
type pipelinePayload struct {
	Attributes attributes `json:"object_attributes"`
	Builds     platforms.List[struct {
		Artifacts struct {
			Size platforms.Number `json:"size"`
		} `json:"artifacts_file"`
	}] `json:"builds"`
	MergeRequest struct {
		IID    platforms.Number `json:"iid"`
		Source platforms.Number `json:"source_project_id"`
		Target platforms.Number `json:"target_project_id"`
	} `json:"merge_request"`
	Parent struct {
		Project    projectPayload   `json:"project"`
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

// requestPayload is the part of a merge request event that we use.
type requestPayload struct {
	Attributes struct {
		IID        platforms.Number     `json:"iid"`
		Action     platforms.Text       `json:"action"`
		OldRev     platforms.Text       `json:"oldrev"` // only with new commits, and not always then
		Source     platforms.Number     `json:"source_project_id"`
		Target     platforms.Number     `json:"target_project_id"`
		Branch     platforms.Text       `json:"source_branch"`
		Into       platforms.Text       `json:"target_branch"`
		UpdatedAt  platforms.Time       `json:"updated_at"`
		LastCommit platforms.CommitInfo `json:"last_commit"`
	} `json:"object_attributes"`
	Changes struct {
		Target struct {
			Previous platforms.Text `json:"previous"`
		} `json:"target_branch"`
	} `json:"changes"`
}

// parseRequest takes every update for one that may bring commits, or another target: GitLab says so only sometimes, and what is known
// tells.
func (p *Platform) parseRequest(outer envelope, body []byte) (core.Event, string, error) {
	var payload requestPayload
	if err := platforms.DecodeObject(body, &payload); err != nil {
		return nil, "", err
	}
	project, err := p.toProject(outer)
	if err != nil {
		return nil, "", err
	}
	from := payload.Attributes
	number, head := from.IID.Int(), string(from.LastCommit.ID)
	request := core.Request{
		Project: project, Number: number, Head: head, Before: platforms.CommitID(from.OldRev),
		Ref: fmt.Sprintf("refs/merge-requests/%d/head", number), Branch: string(from.Branch), Target: string(from.Into),
		Fork: from.Source.ID() == "" || from.Source.ID() != from.Target.ID(), UpdatedAt: from.UpdatedAt.Time,
		Commit: from.LastCommit.Info(head),
	}
	switch from.Action {
	case "open", "reopen":
		request.Action = core.RequestOpened
	case "update":
		request.Action = core.RequestPushed
		if payload.Changes.Target.Previous != "" && request.Before == "" {
			request.Action = core.RequestRetargeted
		}
	case "close", "merge":
		request.Action = core.RequestClosed
	default:
		return core.Ignored{Reason: "the merge request has the same commits and the same target as before"}, project.Name, nil
	}
	if number <= 0 || request.Target == "" || !core.IsCommitSHA(head) && request.Action != core.RequestClosed {
		return core.Ignored{Reason: "the merge request has no number, no last commit or no target"}, project.Name, nil
	}
	return request, project.Name, nil
}
