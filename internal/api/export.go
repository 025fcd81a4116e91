package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/store"
)

const exportPage = 2000 // findings that are in memory at a time

// RegisterExport describes the export of a scan, in each format.
func (a *API) RegisterExport(api huma.API) {
	for _, format := range export.Formats {
		op := operation(access.ReadScans, http.MethodGet, "/scans/{ref}/"+format.Name, "export-"+format.Name, "A scan as "+format.Says)
		mediaType, _, _ := strings.Cut(format.MediaType, ";")
		op.Responses = map[string]*huma.Response{"200": {
			Description: "The document. What a reader finds incomplete broke off, and is to be asked for again.",
			Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{}}},
		}}
		register(a, api, op, func(ctx context.Context, in *ScanRef) (*huma.StreamResponse, error) {
			return a.export(ctx, in.Ref, format)
		})
	}
}

func (a *API) export(ctx context.Context, ref string, format export.Format) (*huma.StreamResponse, error) {
	scan, err := a.Store.GetScan(ctx, ref)
	if err != nil {
		return nil, err
	}
	jobs, err := a.Store.ListJobs(ctx, scan)
	if err != nil {
		return nil, err
	}
	document, err := export.New(scan, jobs, a.findingsOf(ctx, scan, jobs), format)
	if err != nil {
		return nil, err
	}
	document.Version = a.Version
	if format.Detailed {
		if document.Help, err = a.Store.HelpOf(ctx, jobs); err != nil {
			return nil, err
		}
	}
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		answer.SetHeader("Content-Type", format.MediaType)
		answer.SetHeader("Content-Disposition",
			fmt.Sprintf(`attachment; filename="scanhook-%s%s"`, core.ShortSHA(scan.CommitSHA), format.Extension))
		if err := document.Write(answer.BodyWriter()); err != nil {
			a.Log.WarnContext(ctx, "export broke off; its reader sees that it is not complete", "scan", ref, "error", err)
			httpx.BreakOff(answer.BodyWriter())
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
	return func(tool string, detailed bool) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) {
			for _, filter := range filters {
				filter.Tool, filter.ByAge, filter.Limit = tool, true, exportPage
				if !a.eachFinding(ctx, scan, filter, detailed, yield) {
					return
				}
			}
		}
	}
}

// eachFinding returns false when no more findings are wanted.
func (a *API) eachFinding(
	ctx context.Context, scan core.Scan, f store.FindingFilter, detailed bool, yield func(core.Finding, error) bool,
) bool {
	for {
		findings, err := a.Store.ListFindings(ctx, scan, f)
		if err == nil && detailed {
			err = a.Store.AddDetails(ctx, findings)
		}
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
