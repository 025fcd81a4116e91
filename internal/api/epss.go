package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
)

// RegisterEPSS describes the scores of vulnerabilities.
func (a *API) RegisterEPSS(api huma.API) {
	op := operation(access.ReadScans, http.MethodGet, "/epss/{cve}", "get-epss",
		"How likely a CVE is exploited (EPSS), and whether it is known to be (CISA KEV)")
	register(a, api, op, a.getEPSS)
}

type getEPSSInput struct {
	CVE string `path:"cve" maxLength:"40" example:"CVE-2024-3094"`
}

type epssOutput struct {
	Body struct {
		CVEID        string     `json:"cve_id" example:"CVE-2024-3094"`
		Probability  float64    `json:"probability" doc:"of being exploited within 30 days, 0-1; 0 where EPSS has no score"`
		Percentile   float64    `json:"percentile" doc:"share of CVEs with this probability or a lower one, 0-1"`
		KEV          bool       `json:"kev" doc:"known to be exploited (CISA KEV)"`
		ScoreDate    *time.Time `json:"score_date" doc:"the day of the scores; null where unknown"`
		ModelVersion string     `json:"model_version" doc:"of EPSS" example:"v2025.03.14"`
	}
}

func (a *API) getEPSS(ctx context.Context, in *getEPSSInput) (*epssOutput, error) {
	out, err := a.score(ctx, in.CVE)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *API) score(ctx context.Context, text string) (*epssOutput, error) {
	cve, err := core.ParseCVE(text)
	if err != nil {
		return nil, err
	}
	score, err := a.Store.GetScore(ctx, cve)
	if errors.Is(err, core.ErrNotFound) {
		return nil, fmt.Errorf("%w: nothing is known about %s; the scores come with scanhook epss import or epss.enabled",
			core.ErrNotFound, cve)
	}
	if err != nil {
		return nil, err
	}
	edition, err := a.Store.LatestFeed(ctx, core.FeedEPSS)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}
	out := &epssOutput{}
	out.Body.CVEID, out.Body.Probability, out.Body.Percentile = score.CVEID, score.Probability, score.Percentile
	out.Body.KEV, out.Body.ScoreDate, out.Body.ModelVersion = score.KEV, edition.Date, edition.Version
	return out, nil
}
