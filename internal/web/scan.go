package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/documents"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/internal/web/live"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/notes"
)

const (
	pageSize    = 50 // findings in full on one page
	foldedSize  = 20 // findings in one line each, in a folded list
	maxReports  = 50 // of a scan, the newest
	reloadEvery = 5  // seconds between reloads of a running scan without JavaScript

	dismissedTab = "dismissed" // in the address; the other lists have the names of baseline states
)

// scanPage is one scan with a page of its findings.
type scanPage struct {
	Scan     core.Scan
	Banner   banner
	Project  string // link to the project on its platform, or empty
	Commit   string // link to the commit, or empty
	Baseline string // commit that was compared with, or empty
	BaseLink string
	Took     time.Duration // 0 while it runs
	Jobs     []core.Job
	Coverage *core.Coverage  // of all jobs; nil where none tells
	Reports  []core.Revision // that were brought, the newest first
	Statuses []statusLine
	Notes    []noteLine
	Counts   counts
	List     findingList
	Folded   []folded
	Done     done // what the visitor has just done
	Live     bool // something is about to change
	Version  string

	policy core.Policy // of the project
}

// Again tells whether a visitor may have the commit scanned again, once its scan has ended.
func (p scanPage) Again(who signin.Visitor) bool {
	of := access.Project{Platform: p.Scan.SourcePlatform, Name: p.Scan.ProjectName}
	return p.Scan.Status.Ended() && who.MayRescan(of, p.policy.Replace)
}

// Unjudged tells whether the scan has no verdict. Then readers look at the scanners first, else at the findings.
func (p scanPage) Unjudged() bool { return p.Scan.Status != core.ScanCompleted }

// Request is the number of the request that brought the commit, or 0.
func (p scanPage) Request() int64 {
	number, _ := core.RequestOf(p.Scan.Ref)
	return number
}

// Replaced tells whether a report took the place of one that failed the gate.
func (p scanPage) Replaced() bool {
	return slices.ContainsFunc(p.Jobs, func(j core.Job) bool { return j.Turned })
}

// ReloadSeconds is for browsers without JavaScript.
func (p scanPage) ReloadSeconds() int {
	if p.Live {
		return reloadEvery
	}
	return 0
}

// Nothing is the reason why an ended scan has no findings to show.
func (p scanPage) Nothing() string {
	var empty []string
	for _, job := range p.Jobs {
		if job.State == core.JobCompleted {
			empty = append(empty, job.Scanner)
		}
	}
	looked := text.Short(text.Enumerate(empty), text.MaxName) + " looked at this commit and found nothing."
	switch failed := p.Scan.Status == core.ScanFailed; {
	case failed && len(empty) == 0:
		return "The scan ended before a scanner had looked at the whole commit."
	case failed:
		return looked + " What failed is listed above."
	}
	return looked
}

// ShowScan shows one scan with its findings.
func (w *Web) ShowScan(c *gin.Context) error {
	ctx := c.Request.Context()
	scan, err := w.Store.GetScan(ctx, c.Param("ref"))
	if err == nil {
		scan, err = w.Store.Current(ctx, scan)
	}
	if err != nil {
		return err
	}
	page := scanPage{Scan: scan, Project: w.Platforms.repository(scan), Commit: w.Platforms.commitLink(scan, scan.CommitSHA)}
	page.Done = newDone(c)
	page.policy, _ = w.Policies.For(scan.SourcePlatform, scan.ProjectName)
	if err := w.describe(ctx, &page); err != nil {
		return err
	}
	if err := w.fillLists(ctx, &page, c.Query("show"), c.Query("page")); err != nil {
		return err
	}
	title := fmt.Sprintf("%s %s %s", page.Banner.Label, scan.ProjectName, core.ShortSHA(scan.CommitSHA))
	return w.Render(c, http.StatusOK, "scan", text.Visible(title), page)
}

// reportPage is one of the reports that were brought for a scan.
type reportPage struct {
	Scan   core.Scan
	Report store.PastReport
	Hidden int // findings that are not listed
}

// ShowReport shows a report as it was, also one that was replaced.
func (w *Web) ShowReport(c *gin.Context) error {
	ctx := c.Request.Context()
	scan, err := w.Store.GetScan(ctx, c.Param("ref"))
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(c.Param("report"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the scan has no report of this number", core.ErrNotFound)
	}
	report, err := w.Store.GetRevision(ctx, scan, id)
	if err != nil {
		return err
	}
	page := reportPage{scan, report, max(report.NumFindings-len(report.Findings), 0)}
	return w.Render(c, http.StatusOK, "report", text.Visible("Report of "+report.Scanner+" for "+core.ShortSHA(scan.CommitSHA)), page)
}

// describe fills in everything about a scan but its findings.
func (w *Web) describe(ctx context.Context, page *scanPage) (err error) {
	if page.Jobs, err = w.Store.ListJobs(ctx, page.Scan); err != nil {
		return err
	}
	if page.Reports, err = w.Store.ListRevisions(ctx, page.Scan, maxReports); err != nil {
		return err
	}
	statuses, err := w.Store.ListStatuses(ctx, page.Scan)
	if err != nil {
		return err
	}
	if page.Baseline, err = w.Store.BaselineCommit(ctx, page.Scan); err != nil {
		return err
	}
	tallies, err := w.Store.CountFindings(ctx, page.Scan)
	if err != nil {
		return err
	}
	page.BaseLink = w.Platforms.commitLink(page.Scan, page.Baseline)
	page.Counts, page.Coverage = countsOf(tallies, page.Jobs), core.CoverageOf(page.Jobs)
	if page.Counts.Unresolved, err = w.Store.CountUnresolved(ctx, page.Scan); err != nil {
		return err
	}
	page.Banner = bannerOf(page.Scan)
	if page.Banner.Kind == "pass" {
		page.Banner.Why = passed(page.Counts)
	}
	page.Statuses = w.statusLines(statuses)
	notes, err := w.Store.Notes().Of(ctx, page.Scan.ProjectID, page.Scan.CommitSHA)
	if err != nil {
		return err
	}
	for _, note := range notes {
		page.Notes = append(page.Notes, noteLine{note.Number, writing(note)})
	}
	page.Version, page.Live = live.Version(page.Scan, page.Jobs, statuses), w.live.Changing(page.Scan, statuses)
	if page.Scan.StartedAt != nil && page.Scan.FinishedAt != nil {
		page.Took = page.Scan.FinishedAt.Sub(*page.Scan.StartedAt).Round(time.Millisecond)
	}
	return nil
}

// passed is the reason why a scan passed.
func passed(n counts) string {
	switch {
	case n.Fresh+n.Known+n.Fixed+n.Dismissed == 0:
		return "The scanners found nothing."
	case n.Unresolved > 0:
		return fmt.Sprintf("This commit breaks no rule, and leaves %s of earlier commits unresolved.", core.Plural(n.Unresolved, "finding"))
	case n.Fresh == 0:
		return "This commit brings nothing new."
	}
	return "What is new breaks no rule."
}

// statusLine is a commit status: what we want, and whether the platform shows it.
type statusLine struct {
	core.Status
	Kind    string // pass, fail, error, cancelled or pending
	Posting string // a sentence
	Posted  bool
}

var statusKinds = map[core.StatusState]string{
	core.StatusSuccess: "pass", core.StatusFailure: "fail", core.StatusError: "error",
	core.StatusCancelled: "cancelled", core.StatusPending: "pending",
}

func (w *Web) statusLines(statuses []core.Status) []statusLine {
	lines := make([]statusLine, len(statuses))
	for i, s := range statuses {
		lines[i] = statusLine{s, statusKinds[s.State], w.posting(s), s.PostedRevision == s.Revision}
	}
	return lines
}

// contestedAdvice is what to do about a status that another program insists on.
const contestedAdvice = "Scanhook's explain page says who posts in its place: give that program another name for its status, or take the right to post from it."

func (w *Web) posting(s core.Status) string {
	platform, configured := w.Platforms[s.SourcePlatform]
	switch {
	case s.PostedRevision == s.Revision && s.Contested():
		return fmt.Sprintf("Shown on %s, after another program had replaced it %d times. %s", s.SourcePlatform, s.Overwrites, contestedAdvice)
	case s.PostedRevision == s.Revision && s.Restores():
		return fmt.Sprintf("Shown on %s, after another program had replaced it.", s.SourcePlatform)
	case s.Restores() && s.Contested() && s.LastError == "":
		return fmt.Sprintf("On %s, another program has replaced it %d times: it is posted again at %s UTC. %s", s.SourcePlatform, s.Overwrites,
			s.NextAttemptAt.UTC().Format(time.TimeOnly), contestedAdvice)
	case s.PostedRevision == s.Revision && s.LeftOut != "":
		return fmt.Sprintf("Shown on %s, but not in full: %s.", s.SourcePlatform, s.LeftOut)
	case s.PostedRevision == s.Revision && s.ShownIn != "":
		return fmt.Sprintf("Shown on %s %s.", s.SourcePlatform, s.ShownIn)
	case s.PostedRevision == s.Revision:
		return fmt.Sprintf("Shown on %s.", s.SourcePlatform)
	case s.GivenUp:
		return fmt.Sprintf("Not posted, given up: %s", s.LastError)
	case configured && !platform.Posts:
		return fmt.Sprintf("Not posted: platforms.%s has no token to post with.", s.SourcePlatform)
	case s.LastError != "" && s.Attempts == 0:
		return fmt.Sprintf("Saved, not posted yet: %s", s.LastError)
	case s.LastError != "":
		return fmt.Sprintf("Not posted yet (%s), trying again: %s", core.Plural(s.Attempts, "attempt"), s.LastError)
	}
	return fmt.Sprintf("On its way to %s.", strings.TrimSpace(s.SourcePlatform))
}

// noteLine is the comment of a request whose head the commit is.
type noteLine struct {
	Request int64
	Writing string // a sentence
}

func writing(n notes.Note) string {
	switch {
	case n.PostedRevision == n.Revision && n.NoteID == 0:
		return "Written when its scan has ended."
	case n.PostedRevision == n.Revision:
		return "Up to date."
	case n.GivenUp:
		return "Not written, given up: " + n.LastError
	case n.LastError != "":
		return "Not written yet, trying again: " + n.LastError
	}
	return "On its way."
}

// counts are the findings of a scan by their state, each counted once, like in the summary.
type counts struct {
	Fresh, Known, Fixed, Dismissed int
	Unresolved                     int             // of the known ones
	BySeverity                     []severityCount // of the new ones that count
}

type severityCount struct {
	Severity core.Severity
	N        int
}

func countsOf(tallies []core.Tally, jobs []core.Job) counts {
	n := counts{}
	bySeverity := map[core.Severity]int{}
	for _, t := range tallies {
		switch {
		case t.Dismissed:
			n.Dismissed += t.N
		case t.BaselineState == core.Unchanged:
			n.Known += t.N
		default:
			n.Fresh += t.N
			bySeverity[t.Severity] += t.N
		}
	}
	for _, job := range jobs {
		n.Fixed += job.NumAbsent
	}
	for _, severity := range core.Severities {
		if bySeverity[severity] > 0 {
			n.BySeverity = append(n.BySeverity, severityCount{severity, bySeverity[severity]})
		}
	}
	return n
}

// Of is the length of a list.
func (n counts) Of(list string) int {
	switch list {
	case string(core.Unchanged):
		return n.Known
	case string(core.Absent):
		return n.Fixed
	case dismissedTab:
		return n.Dismissed
	}
	return n.Fresh
}

// tab is one of the lists, by its name in the address.
type tab struct{ Name, Label, Heading string }

// tabs are the lists of findings; each finding is in one of them.
var tabs = []tab{
	{string(core.New), "New", "New findings"}, {string(core.Unchanged), "Known", "Known findings"},
	{string(core.Absent), "Fixed", "Fixed findings"}, {dismissedTab, "Dismissed", "Dismissed findings"},
}

// tabOf is the list that an address names, or that of the new findings.
func tabOf(name string) tab {
	i := slices.IndexFunc(tabs, func(t tab) bool { return t.Name == name })
	return tabs[max(i, 0)]
}

// page is the list as the store knows it.
func (t tab) page() store.FindingPage {
	if t.Name == dismissedTab {
		return store.FindingPage{Dismissed: true}
	}
	return store.FindingPage{State: core.BaselineState(t.Name)}
}

// Tabs are all lists, for the links to them.
func (scanPage) Tabs() []tab { return tabs }

// findingList is a page of one of the lists of findings.
type findingList struct {
	Name       string // as the address has it
	Heading    string
	Total      int
	Findings   []findingView
	Page       int // from 1
	Pages      int
	Prev, Next int // 0 where there is none
}

// folded is the beginning of another list, with a link to the rest.
type folded struct {
	tab
	Total    int
	Findings []findingView
	Open     bool
}

// fillLists reads the page of findings that was requested. The first page of the new ones also shows the beginnings of
// the other lists.
func (w *Web) fillLists(ctx context.Context, page *scanPage, name, number string) error {
	shown := tabOf(name)
	total := page.Counts.Of(shown.Name)
	list := findingList{Name: shown.Name, Heading: shown.Heading, Total: total, Pages: max((total+pageSize-1)/pageSize, 1)}
	list.Page, _ = strconv.Atoi(number)
	list.Page = min(max(list.Page, 1), list.Pages)
	if list.Prev = list.Page - 1; list.Page < list.Pages {
		list.Next = list.Page + 1
	}
	wanted := shown.page()
	wanted.Also, wanted.Offset, wanted.Limit = page.Done.Of, (list.Page-1)*pageSize, pageSize
	findings, err := w.Store.PageFindings(ctx, page.Scan, wanted)
	if err == nil {
		list.Findings, err = w.viewFindings(ctx, page.Scan, page.Baseline, findings)
	}
	if err == nil {
		err = w.addHistories(ctx, list.Findings, findings)
	}
	page.List = list
	if err != nil || shown != tabs[0] || list.Page > 1 {
		return err
	}
	return w.fold(ctx, page)
}

// fold adds the other lists. Known findings are unfolded if the gate counts them too.
func (w *Web) fold(ctx context.Context, page *scanPage) error {
	for _, other := range tabs[1:] {
		rest := folded{tab: other, Total: page.Counts.Of(other.Name)}
		if rest.Total == 0 {
			continue
		}
		wanted := other.page()
		wanted.Limit = foldedSize
		findings, err := w.Store.PageFindings(ctx, page.Scan, wanted)
		if err != nil {
			return err
		}
		rest.Open = other.Name == string(core.Unchanged) && !page.policy.Gate.NewOnly && page.Scan.NumDeciding > 0
		for _, f := range findings {
			rest.Findings = append(rest.Findings, w.viewFinding(page.Scan, page.Baseline, f))
		}
		page.Folded = append(page.Folded, rest)
	}
	return nil
}

// ToFinding leads from a finding's own address to the page of its scan that shows it.
func (w *Web) ToFinding(c *gin.Context) error {
	found, err := w.findingOf(c)
	if err != nil {
		return err
	}
	id := found.Finding.ID
	position, err := w.Store.PlaceFinding(c.Request.Context(), found.Scan, id)
	if err != nil {
		return err
	}
	name := string(position.State)
	if position.Dismissed {
		name = dismissedTab
	}
	query := url.Values{}
	if number := position.Offset/pageSize + 1; name != tabs[0].Name || number > 1 {
		query.Set("show", name)
		query.Set("page", strconv.Itoa(number))
	}
	target := url.URL{Path: "/scans/" + found.Scan.ReferenceID, RawQuery: query.Encode(), Fragment: anchorOf(id)}
	c.Redirect(http.StatusSeeOther, w.Base.Path(target.String()))
	return nil
}

// Red tells whether an administrator may turn the commit's status green.
func (p scanPage) Red() bool {
	state, _ := core.StatusFor(p.Scan)
	return state == core.StatusFailure || state == core.StatusError
}

// DownloadScan answers with a scan in a format of other programs.
func (w *Web) DownloadScan(c *gin.Context) error {
	for _, format := range export.Formats {
		if format.Name == c.Param("format") {
			return answerWith(c)(w.maker().Scan(c.Request.Context(), c.Param("ref"), format))
		}
	}
	return fmt.Errorf("%w: there is no format %q of scans", core.ErrNotFound, c.Param("format"))
}

func (w *Web) maker() documents.Maker {
	return documents.Maker{Store: w.Store, Version: w.Version, PublicURL: strings.TrimSuffix(w.PublicURL, "/"), Log: w.Log}
}

func answerWith(c *gin.Context) func(documents.Document, error) error {
	return func(document documents.Document, err error) error {
		if err != nil {
			return err
		}
		c.Header("Content-Type", document.MediaType)
		c.Header("Content-Disposition", fmt.Sprintf("attachment; filename=%q", document.Name))
		document.Write(c.Request.Context(), c.Writer)
		return nil
	}
}

// Override turns the status of a scan's commit green.
func (w *Web) Override(c *gin.Context) error {
	return w.change(c, func(ctx context.Context, ref, who string) error {
		return w.Store.OverrideScan(ctx, ref, who, commentOf(c))
	})
}

// EndOverride takes that back.
func (w *Web) EndOverride(c *gin.Context) error { return w.change(c, w.Store.EndOverride) }

// change does something to a scan, and goes back to its page.
func (w *Web) change(c *gin.Context, do func(ctx context.Context, ref, who string) error) error {
	who, err := w.Sessions.Visitor(c)
	if err == nil {
		err = do(c.Request.Context(), c.Param("ref"), who.Name)
	}
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Path("/scans/"+c.Param("ref")))
	return nil
}

// Rescan starts another scan of a commit and leads to it.
func (w *Web) Rescan(c *gin.Context) error {
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	receipt, err := w.Store.Rescan(c.Request.Context(), c.Param("ref"), who.Name)
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Path("/scans/"+receipt.Reference))
	return nil
}
