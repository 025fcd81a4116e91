package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

const uploadTimeout = 5 * time.Minute

func (a *API) uploadOperations(api huma.API) {
	huma.Register(api, upload("/scans/{ref}/results/{scanner}", "put-results",
		"Deliver one scanner's report for a scan; the same scanner again replaces it"), a.putResults)
	huma.Register(api, upload("/results/{scanner}", "put-results-by-commit",
		"The same from a CI job that knows only its commit; makes the scan where there is none"), a.putResultsByCommit)
	huma.Register(api, operation(Scanner, http.MethodPost, "/scans/{ref}/fail", "fail-scanner",
		"A scanner gives up, with a reason"), a.failScanner)
}

func upload(path, id, summary string) huma.Operation {
	op := operation(Scanner, http.MethodPut, path, id, summary)
	op.Errors = append(op.Errors, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge)
	op.BodyReadTimeout = uploadTimeout
	op.Description = "Taken are the reports of scanners of kind upload that the repository lists, or of all where it lists " +
		"none; 409 for a scanner that runs here. The body is SARIF 2.1.0, JSON findings, a GitLab security report, or the JSON of semgrep, Trivy, gitleaks, " +
		"gosec, Snyk, Grype, Checkov or Bandit, told apart by content; Content-Encoding: gzip is accepted."
	op.RequestBody = &huma.RequestBody{
		Required: true, Content: map[string]*huma.MediaType{"application/json": {}, "application/sarif+json": {}},
	}
	return op
}

// Upload hands the request's body to an operation unread, so that a report is parsed while it arrives.
type Upload struct {
	reader   io.Reader
	encoding string
}

// Resolve is called by huma before the operation.
func (u *Upload) Resolve(ctx huma.Context) []error {
	u.reader, u.encoding = ctx.BodyReader(), ctx.Header("Content-Encoding")
	_ = ctx.SetReadDeadline(time.Now().Add(uploadTimeout))
	return nil
}

type putResultsInput struct {
	ScanRef
	Upload
	Scanner string `path:"scanner" maxLength:"64" example:"trivy"`
}

type resultsOutput struct {
	Body struct {
		Scan       string   `json:"scan" doc:"reference_id"`
		Status     string   `json:"status" enum:"pending,processing,completed,failed"`
		Verdict    *string  `json:"verdict" enum:"pass,fail"`
		Summary    string   `json:"summary"`
		Error      string   `json:"error,omitempty"`
		Results    int      `json:"results" doc:"results in the report"`
		Stored     int      `json:"stored" doc:"findings made of them"`
		Skipped    int      `json:"skipped" doc:"results that are no findings: already fixed, or no problem"`
		New        int      `json:"new" doc:"stored findings that the baseline does not have"`
		Unchanged  int      `json:"unchanged"`
		WaitingFor []string `json:"waiting_for" doc:"scanners that have not delivered yet"`
	}
}

func (a *API) putResults(ctx context.Context, in *putResultsInput) (*resultsOutput, error) {
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.put(ctx, in.Upload, in.Scanner, scan, func() (core.Scan, error) { return scan, nil })
}

type putByCommitInput struct {
	Upload
	Scanner  string `path:"scanner" maxLength:"64" example:"trivy"`
	Platform string `query:"platform" required:"true" doc:"key in the configuration" example:"github"`
	Project  string `query:"project" required:"true" maxLength:"500" example:"acme/shop"`
	Commit   string `query:"commit" required:"true" doc:"full commit id"`
	Branch   string `query:"branch" maxLength:"500"`
}

func (a *API) putResultsByCommit(ctx context.Context, in *putByCommitInput) (*resultsOutput, error) {
	named, err := a.named(in.Platform, in.Project, in.Commit, in.Branch, "upload")
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.put(ctx, in.Upload, in.Scanner, named, func() (core.Scan, error) {
		receipt, err := a.Store.AcceptCommit(ctx, named, author(ctx))
		if err != nil {
			return core.Scan{}, err
		}
		return a.Store.GetScan(ctx, receipt.Reference)
	})
}

// put refuses a scanner before it reads the report, and reads the report before it opens the scan: nothing is stored of
// one that is refused or malformed.
func (a *API) put(
	ctx context.Context, in Upload, scanner string, named core.Scan, open func() (core.Scan, error),
) (*resultsOutput, error) {
	if err := a.Store.AdmitReport(named.SourcePlatform, named.ProjectName, scanner); err != nil {
		return nil, a.problem(ctx, err)
	}
	place := a.uploads.Place()
	defer place.Leave()
	report, err := a.readReport(ctx, in, place)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	scan, err := open()
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	a.findMergeBase(ctx, scan)
	return a.store(ctx, scan.ReferenceID, scanner, report)
}

func (a *API) store(ctx context.Context, reference, scanner string, report core.Report) (*resultsOutput, error) {
	report.By = author(ctx)
	scan, err := a.Store.PutReport(ctx, reference, scanner, report)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	jobs, err := a.Store.ListJobs(ctx, scan)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	out := &resultsOutput{}
	out.Body.Scan, out.Body.Status, out.Body.Verdict = scan.ReferenceID, string(scan.Status), text(scan.Verdict)
	out.Body.Summary, out.Body.Error = scan.Summary, scan.Error
	out.Body.Results, out.Body.Stored, out.Body.Skipped = report.Results, report.Len(), report.Skipped
	out.Body.WaitingFor = []string{}
	for _, job := range jobs {
		if !job.State.Ended() {
			out.Body.WaitingFor = append(out.Body.WaitingFor, job.Scanner)
		}
		if job.Scanner == scanner {
			out.Body.Unchanged, out.Body.New = job.NumUnchanged, job.NumFindings-job.NumUnchanged
		}
	}
	return out, nil
}

type failInput struct {
	ScanRef
	Body struct {
		Scanner string `json:"scanner" minLength:"1" maxLength:"64"`
		Reason  string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

func (a *API) failScanner(ctx context.Context, in *failInput) (*resultsOutput, error) {
	return a.store(ctx, in.Ref, in.Body.Scanner, core.Report{Failure: reports.Words(in.Body.Reason)})
}
