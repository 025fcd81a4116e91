package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/timeline"
)

// RegisterExplain describes the timeline of a commit.
func (a *API) RegisterExplain(api huma.API) {
	op := operation(access.Read, http.MethodGet, "/explain/{sha}", "explain-commit",
		"Everything that happened to a commit, in order, and who did it")
	op.Errors = append(op.Errors, http.StatusNotFound)
	register(a, api, op, a.explain)
}

type explainInput struct {
	SHA string `path:"sha" maxLength:"64" doc:"commit id, or seven characters of it or more"`
}

// timelineEvent is one event of a timeline.
type timelineEvent struct {
	At      time.Time `json:"at"`
	Hop     string    `json:"hop" enum:"delivery,scan,job,gate,triage,status"`
	Text    string    `json:"text"`
	Detail  string    `json:"detail,omitempty" doc:"why, in the words of its source"`
	Trouble bool      `json:"trouble" doc:"this failed, or waits"`
}

// timelineView is what happened to one scan of the commit.
type timelineView struct {
	scanView
	Steps []timelineEvent `json:"steps" doc:"the oldest first"`
}

type explainOutput struct {
	Body struct {
		Items []timelineView `json:"items" doc:"scans of the commit, the newest first"`
	}
}

// explain omits the ids of the secrets that verified calls: holders of API tokens need not know them.
func (a *API) explain(ctx context.Context, in *explainInput) (*explainOutput, error) {
	facts, err := a.Store.ExplainCommit(ctx, in.SHA)
	if err != nil {
		return nil, err
	}
	out := &explainOutput{}
	for _, f := range facts {
		for i := range f.Deliveries {
			f.Deliveries[i].VerifiedBy = core.SecretPlace(f.Deliveries[i].VerifiedBy)
		}
		steps := views(f.Events(), func(s timeline.Event) timelineEvent {
			return timelineEvent{At: s.At, Hop: s.Stage, Text: s.Text, Detail: s.Detail, Trouble: s.Problem}
		})
		out.Body.Items = append(out.Body.Items, timelineView{viewScan(f.Scan), steps})
	}
	return out, nil
}
