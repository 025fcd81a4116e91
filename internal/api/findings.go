package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func (a *API) findingOperations(api huma.API) {
	huma.Register(api, operation(Viewer, http.MethodGet, "/scans/{ref}/findings", "list-findings",
		"Findings of a scan, the gravest or riskiest first; with baseline_state=absent those that it fixed"), a.listFindings)
}

type listFindingsInput struct {
	ScanRef
	Paging
	Severity      string `query:"severity" enum:"Critical,High,Medium,Low"`
	BaselineState string `query:"baseline_state" enum:"new,unchanged,absent"`
	Tool          string `query:"tool" maxLength:"500"`
	File          string `query:"file" maxLength:"4000"`
	RuleID        string `query:"rule_id" maxLength:"500"`
	Sort          string `query:"sort" enum:"severity,risk" default:"severity" doc:"risk: KEV, then EPSS, then severity"`
}

// riskCursor begins the cursors of lists that are sorted by risk: no other list takes them.
const riskCursor = "risk"

// resume reads the cursor into the filter.
func (in *listFindingsInput) resume(f *store.FindingFilter) error {
	keys := []any{&f.AfterRank, &f.AfterID}
	if f.ByRisk = in.Sort == riskCursor; f.ByRisk {
		var kind string
		keys = append([]any{&kind, &f.AfterKEV, &f.AfterProbability}, keys...)
	}
	err := readCursor(in.Cursor, keys...)
	if err == nil && (f.AfterRank < 0 || f.AfterRank > core.Critical.Rank()) {
		err = errCursor
	}
	return err
}

func (in *listFindingsInput) next(last core.Finding) string {
	if in.Sort != riskCursor {
		return writeCursor(last.Severity.Rank(), last.ID)
	}
	probability := 0.0
	if last.EPSSProbability != nil {
		probability = *last.EPSSProbability
	}
	return writeCursor(riskCursor, last.KEV, probability, last.Severity.Rank(), last.ID)
}

func (a *API) listFindings(ctx context.Context, in *listFindingsInput) (*page[findingView], error) {
	filter := store.FindingFilter{
		Severity: core.Severity(in.Severity), BaselineState: core.BaselineState(in.BaselineState),
		Tool: in.Tool, File: in.File, RuleID: in.RuleID, Limit: in.Limit + 1,
	}
	if err := in.resume(&filter); err != nil {
		return nil, a.problem(ctx, err)
	}
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	findings, err := a.Store.ListFindings(ctx, scan, filter)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return pageOf(findings, in.Limit, viewFinding, in.next), nil
}
