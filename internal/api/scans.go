package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

func (a *API) scanOperations(api huma.API) {
	huma.Register(api, operation(Viewer, http.MethodGet, "/scans", "list-scans", "Scans, the newest first"), a.listScans)
	huma.Register(api, operation(Viewer, http.MethodGet, "/scans/{ref}", "get-scan",
		"One scan with its jobs and commit statuses"), a.getScan)
	create := operation(Scanner, http.MethodPost, "/scans", "create-scan", "Scan a commit that no webhook announced")
	create.DefaultStatus = http.StatusAccepted
	create.Errors = append(create.Errors, http.StatusNotFound)
	huma.Register(api, create, a.createScan)
	rescan := operation(Scanner, http.MethodPost, "/scans/{ref}/rescan", "rescan", "Scan the same commit once more")
	rescan.DefaultStatus = http.StatusAccepted
	huma.Register(api, rescan, a.rescan)
	huma.Register(api, operation(Admin, http.MethodDelete, "/scans/{ref}", "delete-scan",
		"Delete a scan with everything that hangs on it"), a.deleteScan)
}

type listScansInput struct {
	Paging
	Platform string `query:"platform" maxLength:"200"`
	Project  string `query:"project" maxLength:"500" doc:"full path" example:"acme/shop"`
	Branch   string `query:"branch" maxLength:"500"`
	Commit   string `query:"commit" maxLength:"64" doc:"full commit id"`
	Status   string `query:"status" enum:"pending,processing,completed,failed"`
	Verdict  string `query:"verdict" enum:"pass,fail"`
}

func (a *API) listScans(ctx context.Context, in *listScansInput) (*page[scanView], error) {
	var before int64
	if err := readCursor(in.Cursor, &before); err != nil {
		return nil, a.problem(ctx, err)
	}
	scans, err := a.Store.ListScans(ctx, store.ScanFilter{
		Platform: in.Platform, Project: in.Project, Branch: in.Branch, CommitSHA: in.Commit,
		Status: core.ScanStatus(in.Status), Verdict: core.Verdict(in.Verdict), Before: before, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return pageOf(scans, in.Limit, viewScan, func(last core.Scan) string { return writeCursor(last.ID) }), nil
}

// ScanRef is part of the input of every operation on one scan.
type ScanRef struct {
	Ref string `path:"ref" maxLength:"100" doc:"reference_id of the scan"`
}

type scanDetail struct {
	scanView
	Deciding    []int64      `json:"deciding" doc:"ids of findings because of which the verdict is fail, the gravest first, at most 50"`
	NumDeciding int          `json:"num_deciding" doc:"how many they are in all"`
	Baseline    string       `json:"baseline_commit,omitempty" doc:"the commit that findings were compared with"`
	Jobs        []jobView    `json:"jobs"`
	Statuses    []statusView `json:"statuses"`
}

type scanOutput struct{ Body scanDetail }

func (a *API) getScan(ctx context.Context, in *ScanRef) (*scanOutput, error) {
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	detail, err := a.detail(ctx, scan)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return &scanOutput{detail}, nil
}

func (a *API) detail(ctx context.Context, scan core.Scan) (scanDetail, error) {
	jobs, err := a.Store.ListJobs(ctx, scan)
	if err != nil {
		return scanDetail{}, err
	}
	statuses, err := a.Store.ListStatuses(ctx, scan)
	if err != nil {
		return scanDetail{}, err
	}
	baseline, err := a.Store.BaselineCommit(ctx, scan)
	return scanDetail{
		scanView: viewScan(scan), Deciding: scan.DecidingIDs(), NumDeciding: scan.NumDeciding,
		Baseline: baseline, Jobs: views(jobs, viewJob), Statuses: views(statuses, viewStatus),
	}, err
}

type createScanInput struct {
	Body struct {
		Platform string `json:"platform" minLength:"1" doc:"key in the configuration" example:"github"`
		Project  string `json:"project" minLength:"1" maxLength:"500" example:"acme/shop"`
		Commit   string `json:"commit" doc:"full commit id"`
		Branch   string `json:"branch,omitempty" maxLength:"500"`
	}
}

type receiptOutput struct {
	Body struct {
		Outcome string `json:"outcome" enum:"scan_created,scan_exists"`
		Scan    string `json:"scan" doc:"reference_id"`
	}
}

func (a *API) createScan(ctx context.Context, in *createScanInput) (*receiptOutput, error) {
	named, err := a.named(in.Body.Platform, in.Body.Project, in.Body.Commit, in.Body.Branch, "manual")
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	receipt, err := a.Store.AcceptCommit(ctx, named, author(ctx))
	return a.receipt(ctx, receipt, err)
}

// named is a scan of a commit that is named from outside, as far as it can be one.
func (a *API) named(platform, project, commit, branch, origin string) (core.Scan, error) {
	if !core.IsCommitSHA(commit) {
		return core.Scan{}, fmt.Errorf("%w: commit %q is not a full commit id of 40 or 64 hexadecimal digits",
			core.ErrInvalid, commit)
	}
	if _, configured := a.Platforms[platform]; !configured {
		return core.Scan{}, fmt.Errorf("%w: no platform %q is configured; there are: %s",
			core.ErrInvalid, platform, strings.Join(slices.Sorted(maps.Keys(a.Platforms)), ", "))
	}
	if err := platforms.CheckProject(project); err != nil {
		return core.Scan{}, err
	}
	if branch != platforms.Clean(branch) {
		return core.Scan{}, fmt.Errorf("%w: the branch has more than %d bytes or control characters",
			core.ErrInvalid, platforms.MaxText)
	}
	return core.Scan{
		SourcePlatform: platform, ProjectName: project, CommitSHA: commit, Branch: branch, Origin: origin,
	}, nil
}

func (a *API) rescan(ctx context.Context, in *ScanRef) (*receiptOutput, error) {
	receipt, err := a.Store.Rescan(ctx, in.Ref, author(ctx))
	return a.receipt(ctx, receipt, err)
}

func (a *API) receipt(ctx context.Context, receipt core.Receipt, err error) (*receiptOutput, error) {
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	out := &receiptOutput{}
	out.Body.Outcome, out.Body.Scan = string(receipt.Outcome), receipt.Reference
	return out, nil
}

func (a *API) deleteScan(ctx context.Context, in *ScanRef) (*struct{}, error) {
	if err := a.Store.DeleteScan(ctx, in.Ref, author(ctx)); err != nil {
		return nil, a.problem(ctx, err)
	}
	return nil, nil
}
