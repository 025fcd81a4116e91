package api

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// RegisterScans describes the operations on scans.
func (a *API) RegisterScans(api huma.API) {
	register(a, api, operation(access.ReadScans, http.MethodGet, "/scans", "list-scans", "Scans, the newest first"), a.listScans)
	register(a, api, operation(access.ReadScans, http.MethodGet, "/scans/{ref}", "get-scan",
		"One scan with its jobs and commit statuses"), a.getScan)
	create := operation(access.Bring, http.MethodPost, "/scans", "create-scan", "Scan a commit that no webhook announced")
	create.DefaultStatus = http.StatusAccepted
	create.Errors = append(create.Errors, http.StatusNotFound, http.StatusConflict)
	create.Description = "A name is answered 404 until a webhook call of the project has come, unless project_id tells which it is; 409 " +
		"where project_id is not that of the project with the name."
	register(a, api, create, a.createScan)
	rescan := operation(access.Rescan, http.MethodPost, "/scans/{ref}/rescan", "rescan", "Scan the same commit once more")
	rescan.DefaultStatus = http.StatusAccepted
	register(a, api, rescan, a.rescan)
	override := operation(access.Administer, http.MethodPost, "/scans/{ref}/override", "override-scan",
		"Turn the commit's status green, with a reason")
	override.Description = "The status says who and why; the verdict stays what it is. It ends with a newer scan of the commit, and when more " +
		"stands in the way than there is now, as after a report that finds more: then the status is red again and says so. Other commits do not have it."
	override.Errors = append(override.Errors, http.StatusConflict)
	register(a, api, override, a.overrideScan)
	back := operation(access.Administer, http.MethodDelete, "/scans/{ref}/override", "end-override",
		"Take back what turned the commit's status green")
	back.DefaultStatus = http.StatusOK
	back.Errors = append(back.Errors, http.StatusConflict)
	register(a, api, back, a.endOverride)
	register(a, api, operation(access.Administer, http.MethodDelete, "/scans/{ref}", "delete-scan",
		"Delete a scan with everything that belongs to it"), a.deleteScan)
}

type listScansInput struct {
	paging.Input
	Platform string `query:"platform" maxLength:"200"`
	Project  string `query:"project" maxLength:"500" doc:"full path" example:"acme/shop"`
	Branch   string `query:"branch" maxLength:"500"`
	Commit   string `query:"commit" maxLength:"64" doc:"full commit id"`
	Status   string `query:"status" enum:"pending,processing,completed,failed"`
	Verdict  string `query:"verdict" enum:"pass,fail"`
}

func (a *API) listScans(ctx context.Context, in *listScansInput) (*paging.Output[scanView], error) {
	return paging.List(in.Input, func(before int64, limit int) ([]core.Scan, error) {
		return a.Store.ListScans(ctx, store.ScanFilter{
			Platform: in.Platform, Project: in.Project, Branch: in.Branch, CommitSHA: in.Commit,
			Status: core.ScanStatus(in.Status), Verdict: core.Verdict(in.Verdict), Before: before, Limit: limit,
		})
	}, viewScan, func(s core.Scan) int64 { return s.ID })
}

// ScanRef is part of the input of every operation on one scan.
type ScanRef struct {
	Ref string `path:"ref" maxLength:"100" doc:"reference_id of the scan"`
}

type scanDetail struct {
	scanView
	Deciding    []int64       `json:"deciding" doc:"ids of findings because of which the verdict is fail, the gravest first, at most 50"`
	NumDeciding int           `json:"num_deciding" doc:"how many they are in all"`
	Unresolved  int           `json:"unresolved" doc:"known findings of the default branch that failed it before, and are neither fixed nor decided on by a person"`
	Baseline    string        `json:"baseline_commit,omitempty" doc:"the commit that findings were compared with"`
	Coverage    *coverageView `json:"coverage" doc:"what all scanners searched and left out; null where none tells"`
	Jobs        []jobView     `json:"jobs"`
	Statuses    []statusView  `json:"statuses"`
}

type scanOutput struct{ Body scanDetail }

func (a *API) getScan(ctx context.Context, in *ScanRef) (*scanOutput, error) {
	scan, derived, err := a.Store.GetPromised(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	if !derived {
		return &scanOutput{scanDetail{scanView: viewScan(scan), Deciding: []int64{}, Jobs: []jobView{}, Statuses: []statusView{}}}, nil
	}
	if scan, err = a.Store.Current(ctx, scan); err != nil {
		return nil, err
	}
	detail, err := a.detail(ctx, scan)
	if err != nil {
		return nil, err
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
	unresolved, err := a.Store.CountUnresolved(ctx, scan)
	if err != nil {
		return scanDetail{}, err
	}
	baseline, err := a.Store.BaselineCommit(ctx, scan)
	return scanDetail{
		scanView: viewScan(scan), Deciding: scan.DecidingIDs(), NumDeciding: scan.NumDeciding,
		Unresolved: unresolved, Baseline: baseline, Coverage: viewCoverage(core.CoverageOf(jobs)), Jobs: views(jobs, viewJob), Statuses: views(statuses, viewStatus),
	}, err
}

type createScanInput struct {
	Body struct {
		Platform string `json:"platform" minLength:"1" doc:"key in the configuration" example:"github"`
		Project  string `json:"project" minLength:"1" maxLength:"500" example:"acme/shop"`
		ID       int64  `json:"project_id,omitempty" minimum:"1" doc:"the platform's numeric id of the project; needed until a webhook of it came"`
		Commit   string `json:"commit" doc:"full commit id"`
		Branch   string `json:"branch,omitempty" maxLength:"500"`
	}
}

func (in *createScanInput) names() (object store.Object, scanner string) {
	return projectNamed(in.Body.Platform, in.Body.Project), ""
}

// projectNamed is a project that a body or a query names.
func projectNamed(platform, name string) store.Object {
	return store.Object{Kind: store.ProjectObject, Project: access.Project{Platform: platform, Name: name}}
}

type receiptOutput struct {
	Body struct {
		Outcome string `json:"outcome" enum:"scan_created,scan_exists"`
		Scan    string `json:"scan" doc:"reference_id"`
	}
}

func (a *API) createScan(ctx context.Context, in *createScanInput) (*receiptOutput, error) {
	named, err := a.scanOf(in.Body.Platform, in.Body.Project, in.Body.Commit, in.Body.Branch, "manual")
	if err != nil {
		return nil, err
	}
	named.ProjectRef = refOf(in.Body.ID)
	receipt, err := a.Store.AcceptCommit(ctx, named, author(ctx))
	return answerReceipt(receipt, err)
}

// refOf is the id of a project as it is kept; empty for 0.
func refOf(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// scanOf is the scan of a commit that a client names, if there can be such a commit.
func (a *API) scanOf(platform, project, commit, branch, origin string) (core.Scan, error) {
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
	return answerReceipt(receipt, err)
}

// answerReceipt is the answer of the operations that ask for a scan.
func answerReceipt(receipt core.Receipt, err error) (*receiptOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &receiptOutput{}
	out.Body.Outcome, out.Body.Scan = string(receipt.Outcome), receipt.Reference
	return out, nil
}

type overrideInput struct {
	ScanRef
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) overrideScan(ctx context.Context, in *overrideInput) (*scanOutput, error) {
	if err := a.Store.OverrideScan(ctx, in.Ref, author(ctx), in.Body.Reason); err != nil {
		return nil, err
	}
	return a.getScan(ctx, &in.ScanRef)
}

func (a *API) endOverride(ctx context.Context, in *ScanRef) (*scanOutput, error) {
	if err := a.Store.EndOverride(ctx, in.Ref, author(ctx)); err != nil {
		return nil, err
	}
	return a.getScan(ctx, in)
}

func (a *API) deleteScan(ctx context.Context, in *ScanRef) (*struct{}, error) {
	if err := a.Store.DeleteScan(ctx, in.Ref, author(ctx)); err != nil {
		return nil, err
	}
	return nil, nil
}

// scanView is a scan as the API shows it; its fields have the names of the columns.
type scanView struct {
	ReferenceID           string     `json:"reference_id" doc:"public name of the scan (UUID)"`
	SourcePlatform        string     `json:"source_platform" example:"github"`
	ProjectName           string     `json:"project_name" example:"acme/shop"`
	RepoURL               string     `json:"repo_url"`
	Branch                string     `json:"branch"`
	CommitSHA             string     `json:"commit_sha"`
	BeforeSHA             string     `json:"before_sha,omitempty"`
	CommitTitle           string     `json:"commit_title,omitempty" doc:"the first line of its message, where a call of the platform told; of a request from a fork, its title"`
	CommitAuthor          string     `json:"commit_author,omitempty" doc:"its author's name, likewise"`
	TargetBranch          string     `json:"target_branch,omitempty" doc:"into which the open request with this commit goes"`
	Fork                  bool       `json:"fork,omitempty" doc:"only requests from forks have brought the commit"`
	Attempt               int        `json:"attempt" doc:"1, and one more for each rescan of the commit"`
	Origin                string     `json:"origin" doc:"what made us look at the commit" example:"push"`
	Timestamp             time.Time  `json:"timestamp"`
	Status                string     `json:"status" enum:"pending,processing,completed,failed"`
	Verdict               *string    `json:"verdict" enum:"pass,fail" doc:"null until the scan is completed"`
	VerdictReason         string     `json:"verdict_reason" doc:"the rules of the gate that decided" example:"fail_on: high, new findings only"`
	Summary               string     `json:"summary" example:"2 new (1 critical, 1 high), 14 known, 3 fixed"`
	Error                 string     `json:"error,omitempty" doc:"why a failed scan failed, or why the call is set aside that asks for a pending one"`
	SupersededBy          string     `json:"superseded_by,omitempty" doc:"the newer commit because of which it was not scanned, or closed as its request"`
	NumChangedFiles       *int       `json:"num_changed_files"`
	ChangedFilesTruncated bool       `json:"changed_files_truncated" doc:"num_changed_files is a lower bound"`
	StartedAt             *time.Time `json:"started_at"`
	FinishedAt            *time.Time `json:"finished_at"`

	Override *overrideView `json:"override" doc:"an administrator's word that turns the commit's status green; null where there is none"`
}

// overrideView is an override.
type overrideView struct {
	By        string     `json:"by"`
	Reason    string     `json:"reason"`
	Timestamp time.Time  `json:"timestamp"`
	EndedAt   *time.Time `json:"ended_at" doc:"when more came than was overridden; null while it holds"`
}

func viewOverride(o *core.Override) *overrideView {
	if o == nil {
		return nil
	}
	return &overrideView{o.By, o.Reason, o.At, o.EndedAt}
}

func viewScan(s core.Scan) scanView {
	return scanView{
		ReferenceID: s.ReferenceID, SourcePlatform: s.SourcePlatform, ProjectName: s.ProjectName, RepoURL: s.RepoURL,
		Branch: s.Branch, CommitSHA: s.CommitSHA, BeforeSHA: s.BeforeSHA,
		CommitTitle: s.CommitTitle, CommitAuthor: s.CommitAuthor, Attempt: s.Attempt, Origin: s.Origin,
		TargetBranch: s.TargetBranch, Fork: s.Fork, Timestamp: s.Timestamp, Status: string(s.Status), Verdict: text(s.Verdict),
		VerdictReason: s.VerdictReason, Summary: s.Summary, Error: s.Error,
		SupersededBy: s.SupersededBy, NumChangedFiles: s.NumChangedFiles,
		ChangedFilesTruncated: s.ChangedFilesTruncated, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		Override: viewOverride(s.Override()),
	}
}

// jobView is one scanner's part of a scan.
type jobView struct {
	Scanner     string     `json:"scanner"`
	State       string     `json:"state" enum:"pending,running,completed,failed,superseded"`
	Attempt     int        `json:"attempt"`
	Error       string     `json:"error,omitempty"`
	NumFindings int        `json:"num_findings"`
	NumAbsent   int        `json:"num_absent" doc:"findings of the baseline that are gone: fixed"`
	Baseline    string     `json:"baseline_commit,omitempty" doc:"the last commit before in which this scanner completed"`
	StartedAt   *time.Time `json:"started_at"`
	FinishedAt  *time.Time `json:"finished_at"`
	Turned      bool       `json:"turned" doc:"an earlier report of it failed the gate, and the present one does not"`

	Coverage *coverageView `json:"coverage" doc:"null where the scanner does not tell"`
}

// coverageView is what was searched, and what was left out.
type coverageView struct {
	Searched int            `json:"searched" doc:"files"`
	Left     []omissionView `json:"left"`
	Partial  bool           `json:"partial,omitempty" doc:"the scanner looked at a part of the commit only: nothing outside of it counts as fixed"`
	Paths    []string       `json:"paths,omitempty" doc:"globs of the files in that part, where they are known"`
}

// omissionView is what was left out for one reason.
type omissionView struct {
	Reason string   `json:"reason" example:"size" doc:"size, archive, encoding, LFS, error, time, secrets, history and outside can hold code, and count as not searched; allow list, skipped, binary and submodule do not"` //nolint:lll // one doc
	Count  int      `json:"count"`
	Names  []string `json:"names" doc:"the first 20"`
}

func viewCoverage(c *core.Coverage) *coverageView {
	if c == nil {
		return nil
	}
	return &coverageView{Searched: c.Searched, Partial: c.Partial, Paths: c.Paths, Left: views(c.Left, func(o core.Omission) omissionView {
		return omissionView{string(o.Reason), o.Count, append([]string{}, o.Names...)}
	})}
}

func viewJob(j core.Job) jobView {
	return jobView{
		Scanner: j.Scanner, State: string(j.State), Attempt: j.Attempt, Error: j.Error, NumFindings: j.NumFindings,
		NumAbsent: j.NumAbsent, Baseline: j.BaselineCommit, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, Turned: j.Turned,
		Coverage: viewCoverage(j.Coverage()),
	}
}

// statusView is a commit status: what we want, and what was posted.
type statusView struct {
	Context     string     `json:"context"`
	State       string     `json:"state" enum:"pending,success,failure,error,cancelled"`
	Description string     `json:"description"`
	TargetURL   string     `json:"target_url,omitempty"`
	Posted      bool       `json:"posted" doc:"the platform shows this, apart from left_out"`
	LeftOut     string     `json:"left_out,omitempty" doc:"what the platform refused of what was posted last, and why"`
	ShownIn     string     `json:"shown_in,omitempty" doc:"where else than on the commit in its project the last post stands"`
	PostedState string     `json:"posted_state,omitempty"`
	PostedAt    *time.Time `json:"posted_at"`
	Attempts    int        `json:"attempts" doc:"failed attempts to post this"`
	LastError   string     `json:"last_error,omitempty"`
	GivenUp     bool       `json:"given_up"`
	Overwritten int        `json:"overwritten,omitempty" doc:"how many times another program has replaced it on the platform; it is posted again each time"`
}

func viewStatus(s core.Status) statusView {
	return statusView{
		Context: s.Context, State: string(s.State), Description: s.Description, TargetURL: s.TargetURL,
		Posted: s.PostedRevision == s.Revision, LeftOut: s.LeftOut, ShownIn: s.ShownIn, PostedState: string(s.PostedState), PostedAt: s.PostedAt,
		Attempts: s.Attempts, LastError: s.LastError, GivenUp: s.GivenUp, Overwritten: s.Overwrites,
	}
}
