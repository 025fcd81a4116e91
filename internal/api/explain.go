package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

func (a *API) explainOperations(api huma.API) {
	op := operation(httpx.Viewer, http.MethodGet, "/explain/{sha}", "explain-commit",
		"Everything that happened to a commit, in order, and who did it")
	op.Errors = append(op.Errors, http.StatusNotFound)
	huma.Register(api, op, a.explain)
}

type explainInput struct {
	SHA string `path:"sha" maxLength:"64" doc:"commit id, or seven characters of it or more"`
}

// stepView is one thing that happened.
type stepView struct {
	At      time.Time `json:"at"`
	Hop     string    `json:"hop" enum:"delivery,scan,job,gate,triage,status"`
	Text    string    `json:"text"`
	Detail  string    `json:"detail,omitempty" doc:"why, in the words of whoever said it"`
	Trouble bool      `json:"trouble" doc:"this is where it went wrong, or waits"`
}

// storyView is what happened to one scan of the commit.
type storyView struct {
	scanView
	Steps []stepView `json:"steps" doc:"the oldest first"`
}

type explainOutput struct {
	Body struct {
		Items []storyView `json:"items" doc:"scans of the commit, the newest first"`
	}
}

// explain leaves out by which secret calls were verified: a token of the API need not know.
func (a *API) explain(ctx context.Context, in *explainInput) (*explainOutput, error) {
	facts, err := a.Store.ExplainCommit(ctx, in.SHA)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	out := &explainOutput{}
	for _, f := range facts {
		for i := range f.Deliveries {
			f.Deliveries[i].VerifiedBy = core.SecretPlace(f.Deliveries[i].VerifiedBy)
		}
		steps := views(f.Story(), func(s core.Step) stepView { return stepView(s) })
		out.Body.Items = append(out.Body.Items, storyView{viewScan(f.Scan), steps})
	}
	return out, nil
}
