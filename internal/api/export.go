package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/store"
)

const (
	sarifType  = "application/sarif+json"
	exportPage = 2000 // findings that are in memory at a time
)

// RegisterExport describes the export of a scan.
func (a *API) RegisterExport(api huma.API) {
	op := operation(httpx.Viewer, http.MethodGet, "/scans/{ref}/sarif", "export-sarif",
		"A scan as SARIF 2.1.0, with what is new, known and fixed, and what was dismissed")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "One run for each tool; fixed findings are results with the baselineState absent.",
		Content:     map[string]*huma.MediaType{sarifType: {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
	register(a, api, op, a.exportSARIF)
}

func (a *API) exportSARIF(ctx context.Context, in *ScanRef) (*huma.StreamResponse, error) {
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	jobs, err := a.Store.ListJobs(ctx, scan)
	if err != nil {
		return nil, err
	}
	written, err := export.New(scan, jobs, a.findingsOf(ctx, scan, jobs))
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		answer.SetHeader("Content-Type", sarifType)
		answer.SetHeader("Content-Disposition",
			fmt.Sprintf(`attachment; filename="scanhook-%s.sarif"`, core.ShortSHA(scan.CommitSHA)))
		if err := written.WriteSARIF(answer.BodyWriter()); err != nil {
			a.Log.WarnContext(ctx, "export broke off; its reader sees that it is not complete", "scan", in.Ref, "error", err)
		}
	}}, nil
}

// findingsOf pages through a scan's findings, job by job, and after them through those that it fixed.
func (a *API) findingsOf(ctx context.Context, scan core.Scan, jobs []core.Job) export.Source {
	filters := make([]store.FindingFilter, 0, len(jobs)+1)
	for _, job := range jobs {
		filters = append(filters, store.FindingFilter{JobID: job.ID})
	}
	filters = append(filters, store.FindingFilter{BaselineState: core.Absent})
	return func(tool string) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) {
			for _, filter := range filters {
				filter.Tool, filter.ByAge, filter.Limit = tool, true, exportPage
				if !a.eachFinding(ctx, scan, filter, yield) {
					return
				}
			}
		}
	}
}

// eachFinding returns false when no more findings are wanted.
func (a *API) eachFinding(
	ctx context.Context, scan core.Scan, f store.FindingFilter, yield func(core.Finding, error) bool,
) bool {
	for {
		findings, err := a.Store.ListFindings(ctx, scan, f)
		if err != nil {
			yield(core.Finding{}, err)
			return false
		}
		for _, finding := range findings {
			if !yield(finding, nil) {
				return false
			}
			f.AfterID = finding.ID
		}
		if len(findings) < f.Limit {
			return true
		}
	}
}
