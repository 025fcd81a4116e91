package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	maxUpload   = 256 << 20 // bytes on the wire
	maxUnpacked = 512 << 20 // bytes
	maxResults  = 250_000
	maxRatio    = 800              // reports unpack to 10 to 30 times their size, the most uniform to some 300; gzip ends at 1032
	freeRatio   = 4 << 20          // bytes that may be unpacked at any ratio
	perObject   = 500              // bytes of memory that an empty result takes, which is three bytes of a report
	uploadWait  = 30 * time.Second // for a slot in memory

	uploadTimeout = 5 * time.Minute // for a body to arrive

	// mergeBaseTimeout is how long a report waits for the platform. Without an answer it is compared with the default
	// branch, which is nearly as good.
	mergeBaseTimeout = 5 * time.Second
)

// Evidence adds to reports what git knows of their findings, as far as that is to be had soon.
type Evidence interface {
	// AddEvidence changes the reports for a commit, by the names of their jobs, before they are stored. stored must be called afterwards,
	// with the jobs that have them, or with none.
	AddEvidence(ctx context.Context, scan core.Scan, reports map[string]*core.Report) (stored func(map[string]*core.Job))
}

// RegisterUploads describes the operations that take reports. There is a slot for one large report at a time, and enough
// slots for small ones that a platform which answers slowly for merge bases does not block uploads. Sizes are the memory
// that a report can take until it is stored.
func (a *API) RegisterUploads(api huma.API) {
	a.uploads = httpx.NewBodies(uploadWait,
		httpx.Class{UpTo: 64 << 10, AtOnce: 128}, httpx.Class{UpTo: 1 << 20, AtOnce: 16},
		httpx.Class{UpTo: 8 << 20, AtOnce: 4}, httpx.Class{UpTo: math.MaxInt64, AtOnce: 1})
	register(a, api, upload("/scans/{ref}/results/{scanner}", "put-results",
		"Upload one scanner's report for a scan; another one of the same scanner replaces it"), a.putResults)
	register(a, api, upload("/results/{scanner}", "put-results-by-commit",
		"The same from a CI job that knows only its commit; creates the scan if there is none"), a.putResultsByCommit)
	register(a, api, operation(access.ReadScans, http.MethodGet, "/scans/{ref}/reports", "list-reports",
		"The reports that were brought for a scan, those that were replaced included, the newest first"), a.listReports)
	register(a, api, operation(access.ReadScans, http.MethodGet, "/scans/{ref}/reports/{report}", "get-report",
		"One of them with its findings, as it had them"), a.getReport)
	fail := operation(access.Bring, http.MethodPost, "/scans/{ref}/fail", "fail-scanner", "A scanner gives up, with a reason")
	fail.Errors = append(fail.Errors, http.StatusRequestEntityTooLarge)
	register(a, api, fail, a.failScanner)
}

func upload(path, id, summary string) huma.Operation {
	op := operation(access.Bring, http.MethodPut, path, id, summary)
	op.Errors = append(op.Errors, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge)
	op.BodyReadTimeout = uploadTimeout
	op.Description = "Accepted are the reports of scanners of kind upload that the repository lists, or of all where it lists " +
		"none; 409 for a scanner that runs here, or a project_id that is not that of the project with the name. The format of the body is recognized by its content: " + reports.Known() +
		". Content-Encoding: gzip is accepted. Reports of several categories stand side by side: a category is automationDetails.id of a " +
		"SARIF run up to its last slash, or what category says for the whole document. A completed report is replaced only by one of the same " +
		"scanner and category that the same kind of caller brings, a token of the configuration or a CI job's own, and not where replace is never: 409."
	op.RequestBody = &huma.RequestBody{
		Required: true, Content: map[string]*huma.MediaType{"application/json": {}, "application/sarif+json": {}},
	}
	return op
}

// Upload passes the body of a request to an operation unread, so that a report is parsed while it arrives.
type Upload struct {
	Root string `query:"root" maxLength:"4096" doc:"directory of the checkout in which the scanner ran: files below it are made relative to it"`

	reader   io.Reader
	encoding string
}

// Resolve is called by huma before the operation.
func (u *Upload) Resolve(ctx huma.Context) []error {
	u.reader, u.encoding = ctx.BodyReader(), ctx.Header("Content-Encoding")
	_ = ctx.SetReadDeadline(time.Now().Add(uploadTimeout))
	return nil
}

// Scope is the part of the commit that a report is about.
type Scope struct {
	Category string   `query:"category" maxLength:"200" example:"language:go" doc:"of the whole document, whatever it says itself"`
	Partial  bool     `query:"partial" doc:"the scanner looked at a part of the files, which nobody names: nothing counts as fixed"`
	Paths    []string `query:"paths,explode" maxItems:"1000" example:"[\"services/api/**\"]" doc:"globs of the files that the scanner looked at; what it does not report in others stays as it was"` //nolint:lll // one doc
}

// clean refuses what no path can match, what is no category, and what contradicts itself.
func (s *Scope) clean() error {
	if s.Partial && len(s.Paths) > 0 {
		return fmt.Errorf("%w: partial says that nobody knows which files the scanner looked at, paths says which: give one of them", core.ErrInvalid)
	}
	category, err := core.CleanCategory(s.Category)
	if err != nil {
		return err
	}
	s.Category = category
	for i, glob := range s.Paths {
		clean, err := core.CleanGlob(glob)
		if err != nil {
			return fmt.Errorf("paths: %w", err)
		}
		s.Paths[i] = clean
	}
	return nil
}

// bound notes in reports what they are about.
func (s Scope) bound(parts []core.Report) {
	if !s.Partial && len(s.Paths) == 0 {
		return
	}
	for i := range parts {
		r := &parts[i]
		if r.Coverage == nil {
			r.Coverage = new(core.Coverage)
		}
		r.Coverage.LookedAt(s.Paths...)
	}
}

type putResultsInput struct {
	ScanRef
	Upload
	Scope
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
		WaitingFor []string `json:"waiting_for" doc:"scanners that have not reported yet"`
	}
}

func (a *API) putResults(ctx context.Context, in *putResultsInput) (*resultsOutput, error) {
	scan, err := a.Store.AwaitScan(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return a.put(ctx, in.Upload, in.Scope, in.Scanner, scan, func() (core.Scan, error) { return scan, nil })
}

type putByCommitInput struct {
	Upload
	Scope
	Scanner  string `path:"scanner" maxLength:"64" example:"trivy"`
	Platform string `query:"platform" required:"true" doc:"key in the configuration" example:"github"`
	Project  string `query:"project" required:"true" maxLength:"500" example:"acme/shop"`
	ID       int64  `query:"project_id" minimum:"1" doc:"the platform's numeric id of the project; needed until a webhook of it came"`
	Commit   string `query:"commit" required:"true" doc:"full commit id"`
	Branch   string `query:"branch" maxLength:"500"`
}

func (in *putByCommitInput) names() (object store.Object, scanner string) {
	object = projectNamed(in.Platform, in.Project)
	object.Project.Ref, object.Project.Commit = refOf(in.ID), in.Commit
	return object, in.Scanner
}

func (a *API) putResultsByCommit(ctx context.Context, in *putByCommitInput) (*resultsOutput, error) {
	named, err := a.scanOf(in.Platform, in.Project, in.Commit, in.Branch, "upload")
	if err != nil {
		return nil, err
	}
	named.ProjectRef = refOf(in.ID)
	if actor, _ := access.Of(ctx); actor.Job() != nil { // whose token tells it, and is believed rather than what the job says
		named.ProjectRef, named.Branch, named.CommitSHA = actor.Job().Ref, actor.Job().Branch, actor.Job().Commit
	}
	return a.put(ctx, in.Upload, in.Scope, in.Scanner, named, func() (core.Scan, error) {
		receipt, err := a.Store.AcceptCommit(ctx, named, author(ctx))
		if err != nil {
			return core.Scan{}, err
		}
		return a.Store.GetScan(ctx, receipt.Reference)
	})
}

// put refuses a scanner before it reads the report, and reads the report before it opens the scan, so that nothing is
// stored of a report that is refused or malformed.
func (a *API) put(
	ctx context.Context, in Upload, of Scope, scanner string, named core.Scan, open func() (core.Scan, error),
) (*resultsOutput, error) {
	if err := of.clean(); err != nil {
		return nil, err
	}
	if err := a.Store.AdmitReport(named.SourcePlatform, named.ProjectName, scanner); err != nil {
		return nil, err
	}
	slot := a.uploads.Slot()
	defer slot.Release()
	parts, err := a.readReport(ctx, in, slot, of.Category)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		reports.StripRoot(&parts[i], in.Root)
	}
	of.bound(parts)
	scan, err := open()
	if err != nil {
		return nil, err
	}
	scan = a.findMergeBase(ctx, scan)
	stored := a.addEvidence(ctx, scan, scanner, parts)
	out, jobs, err := a.store(ctx, scan.ReferenceID, scanner, parts)
	stored(jobs)
	return out, err
}

// addEvidence changes the reports of a scanner. stored is to be called with their jobs by name, or none.
func (a *API) addEvidence(ctx context.Context, scan core.Scan, scanner string, parts []core.Report) (stored func(map[string]*core.Job)) {
	if a.Evidence == nil {
		return func(map[string]*core.Job) {}
	}
	reports := map[string]*core.Report{}
	for i := range parts {
		reports[core.JobName(scanner, parts[i].Category)] = &parts[i]
	}
	return a.Evidence.AddEvidence(ctx, scan, reports)
}

// limits are those of the configuration, or the defaults.
func (a *API) limits() reports.Limits {
	limits := a.Limits
	limits.Verbatim, limits.Key = true, a.Store.SecretKey()
	if limits.MaxResults == 0 {
		limits.MaxResults = maxResults
	}
	if limits.MaxBytes == 0 {
		limits.MaxBytes = maxUnpacked
	}
	return limits
}

// readReport parses a report while it arrives. It reads on only while the slot allows it.
func (a *API) readReport(ctx context.Context, in Upload, slot *httpx.Slot, category string) ([]core.Report, error) {
	wire := &counter{source: http.MaxBytesReader(nil, io.NopCloser(in.reader), maxUpload)}
	reader, err := unpack(wire, in.encoding)
	if err != nil {
		return nil, err
	}
	body := &guarded{ctx: ctx, source: reader, wire: wire, slot: slot, digest: sha256.New()}
	limits := a.limits()
	limits.Category = category
	parsed, err := reports.ParsePacked(body, limits)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, fmt.Errorf("%w: the upload exceeds %d bytes", core.ErrTooLarge, tooLarge.Limit)
	}
	digest := hex.EncodeToString(body.digest.Sum(nil))
	for i := range parsed {
		parsed[i].Digest = digest
	}
	return parsed, err
}

// guarded reads an unpacked report, as long as there is memory for what has arrived, and ends a decompression bomb.
type guarded struct {
	ctx      context.Context
	source   io.Reader
	wire     *counter
	slot     *httpx.Slot
	digest   hash.Hash // of what was unpacked
	unpacked int64
	objects  int64
}

// Read implements io.Reader.
func (d *guarded) Read(p []byte) (int, error) {
	n, err := d.source.Read(p)
	d.unpacked += int64(n)
	_, _ = d.digest.Write(p[:n]) // never fails
	d.objects += int64(bytes.Count(p[:n], []byte("{")))
	if d.unpacked > freeRatio && d.unpacked/maxRatio > d.wire.read {
		return 0, fmt.Errorf("%w: the report unpacks to more than %d times what was sent, which no report does",
			core.ErrTooLarge, maxRatio)
	}
	if busy := d.slot.Grow(d.ctx, d.unpacked+d.objects*perObject); busy != nil {
		return 0, busy
	}
	return n, err
}

// counter counts the bytes that were read.
type counter struct {
	source io.Reader
	read   int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.read += int64(n)
	return n, err
}

func unpack(reader io.Reader, encoding string) (io.Reader, error) {
	switch encoding {
	case "", "identity":
		return reader, nil
	case "gzip":
		unzipped, err := gzip.NewReader(reader)
		if err != nil {
			return nil, fmt.Errorf("%w: the body is not gzip, though Content-Encoding says so: %w", core.ErrInvalid, err)
		}
		return unzipped, nil
	}
	return nil, fmt.Errorf("%w: Content-Encoding %q is not understood; send gzip or none", core.ErrInvalid, encoding)
}

// findMergeBase asks the platform where the scan's branch left the default branch, and records the answer. The upload goes
// on if that fails, and is compared again when the platform tells. It returns the scan with it.
func (a *API) findMergeBase(ctx context.Context, scan core.Scan) core.Scan {
	ctx, cancel := context.WithTimeout(ctx, mergeBaseTimeout)
	defer cancel()
	scan, err := a.Platforms.FindMergeBase(ctx, scan, a.Store.RecordMergeBase)
	if err != nil {
		a.Log.InfoContext(ctx, "merge base not known, compared with the default branch", "scan", scan.ReferenceID,
			"project", scan.ProjectName, "commit", scan.CommitSHA, "error", err)
	}
	if platforms.Passing(err) {
		if err := a.Store.AskMergeBase(context.WithoutCancel(ctx), scan); err != nil {
			a.Log.WarnContext(ctx, "merge base not asked for again", "scan", scan.ReferenceID, "error", err)
		}
	}
	return scan
}

// store also returns the jobs that have the reports, by their names.
func (a *API) store(
	ctx context.Context, reference, scanner string, parts []core.Report,
) (out *resultsOutput, of map[string]*core.Job, err error) {
	of = map[string]*core.Job{}
	for i := range parts {
		parts[i].By, parts[i].Bringer = author(ctx), bringer(ctx)
		of[core.JobName(scanner, parts[i].Category)] = nil
	}
	scan, err := a.Store.PutReport(ctx, reference, scanner, parts...)
	if err != nil {
		return nil, nil, err
	}
	jobs, err := a.Store.ListJobs(ctx, scan)
	if err != nil {
		return nil, nil, err
	}
	out = &resultsOutput{}
	out.Body.Scan, out.Body.Status, out.Body.Verdict = scan.ReferenceID, string(scan.Status), text(scan.Verdict)
	out.Body.Summary, out.Body.Error = scan.Summary, scan.Error
	for _, report := range parts {
		out.Body.Results += report.Results
		out.Body.Stored += report.Len()
		out.Body.Skipped += report.Skipped
	}
	out.Body.WaitingFor = []string{}
	for _, job := range jobs {
		if !job.State.Ended() {
			out.Body.WaitingFor = append(out.Body.WaitingFor, job.Scanner)
		}
		if _, ours := of[job.Scanner]; ours {
			of[job.Scanner] = &job
			out.Body.Unchanged += job.NumUnchanged
			out.Body.New += job.NumFindings - job.NumUnchanged
		}
	}
	return out, of, nil
}

// bringer is the kind of whoever brings a report.
func bringer(ctx context.Context) core.Bringer {
	if actor, _ := access.Of(ctx); actor.Job() != nil {
		return core.ByCIJob
	}
	return core.ByToken
}

const maxListedReports = 500

// reportView is one of the reports that were brought for a scan.
type reportView struct {
	ID         int64     `json:"id"`
	Scanner    string    `json:"scanner" doc:"name of the job: the scanner, and behind a slash the category"`
	Revision   int       `json:"revision" doc:"1, and one more for each report of the job"`
	BroughtBy  string    `json:"brought_by"`
	Bringer    string    `json:"bringer" enum:"token,CI job" doc:"what kind of caller that is; only its own kind replaces a report"`
	ReceivedAt time.Time `json:"received_at"`
	Digest     string    `json:"digest" doc:"SHA-256 of the document; empty where a scanner failed"`
	Failure    string    `json:"failure,omitempty" doc:"why the scanner failed"`
	Findings   int       `json:"num_findings"`
	Critical   int       `json:"critical"`
	High       int       `json:"high"`
	Medium     int       `json:"medium"`
	Low        int       `json:"low"`
	Turned     bool      `json:"turned" doc:"an earlier report of the job failed the gate, and this one does not"`
}

func viewReport(r core.Revision) reportView {
	return reportView{
		ID: r.ID, Scanner: r.Scanner, Revision: r.Number, BroughtBy: r.By, Bringer: string(r.Bringer), ReceivedAt: r.ReceivedAt, Digest: r.Digest,
		Failure: r.Failure, Findings: r.NumFindings, Critical: r.NumCritical, High: r.NumHigh, Medium: r.NumMedium, Low: r.NumLow, Turned: r.Turned,
	}
}

type reportsOutput struct {
	Body struct {
		Items []reportView `json:"items"`
	}
}

func (a *API) listReports(ctx context.Context, in *ScanRef) (*reportsOutput, error) {
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	list, err := a.Store.ListRevisions(ctx, scan, maxListedReports)
	out := &reportsOutput{}
	out.Body.Items = []reportView{}
	for _, r := range list {
		out.Body.Items = append(out.Body.Items, viewReport(r))
	}
	return out, err
}

type reportInput struct {
	ScanRef
	Report int64 `path:"report" minimum:"1"`
}

// reportedView is a finding as a report had it.
type reportedView struct {
	Tool       string  `json:"tool"`
	RuleID     string  `json:"rule_id"`
	Severity   string  `json:"severity"`
	File       string  `json:"file"`
	Line       int     `json:"line"`
	Title      string  `json:"title"`
	Message    string  `json:"message"`
	CVEID      string  `json:"cve_id,omitempty"`
	Suppressed *string `json:"suppressed,omitempty" doc:"why it was suppressed in the code"`
}

type reportOutput struct {
	Body struct {
		reportView
		Current bool           `json:"current" doc:"it is the one that counts"`
		Kept    bool           `json:"kept" doc:"its findings are known still"`
		Items   []reportedView `json:"findings" doc:"the gravest, at most 1,000"`
	}
}

func (a *API) getReport(ctx context.Context, in *reportInput) (*reportOutput, error) {
	scan, err := a.Store.GetScan(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	report, err := a.Store.GetRevision(ctx, scan, in.Report)
	out := &reportOutput{}
	out.Body.reportView, out.Body.Current, out.Body.Kept = viewReport(report.Revision), report.Current, report.Kept
	out.Body.Items = []reportedView{}
	for _, f := range report.Findings {
		out.Body.Items = append(out.Body.Items, reportedView{
			f.Tool, f.RuleID, string(f.Severity), f.File, f.Line, f.Title, f.Message, f.CVEID, f.Suppressed,
		})
	}
	return out, err
}

type failInput struct {
	ScanRef
	Body struct {
		Scanner  string `json:"scanner" minLength:"1" maxLength:"64"`
		Category string `json:"category,omitempty" maxLength:"200" doc:"of its reports, where it has several"`
		Reason   string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

func (in *failInput) names() (object store.Object, scanner string) {
	return store.Object{Kind: store.ScanObject, Key: in.Ref}, in.Body.Scanner
}

func (a *API) failScanner(ctx context.Context, in *failInput) (*resultsOutput, error) {
	category, err := core.CleanCategory(in.Body.Category)
	if err != nil {
		return nil, err
	}
	failed := core.Report{Category: category, Failure: reports.RedactText(in.Body.Reason)}
	out, _, err := a.store(ctx, in.Ref, in.Body.Scanner, []core.Report{failed})
	return out, err
}
