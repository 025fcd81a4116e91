package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

const (
	pageSize    = 50 // findings in full on one page
	foldedSize  = 20 // findings in one line each, in a folded list
	reloadEvery = 5  // seconds between reloads of a running scan without JavaScript
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
	Statuses []statusLine
	Counts   counts
	List     list
	Folded   []folded
	Said     core.Triage // what the visitor has just said
	SaidOf   int64       // of which finding
	Live     bool        // something is about to change
	Version  string
}

// Again tells whether there is a reason to scan the commit once more.
func (p scanPage) Again() bool { return p.Scan.Status == core.ScanFailed && p.Scan.SupersededBy == "" }

func (p scanPage) reloadSeconds() int {
	if p.Live {
		return reloadEvery
	}
	return 0
}

// list is a page of findings of one baseline state.
type list struct {
	State      core.BaselineState
	Heading    string
	Total      int
	Findings   []findingView
	Page       int // from 1
	Pages      int
	Prev, Next int // 0 where there is none
}

// folded is the beginning of another list, and where the rest is.
type folded struct {
	State    core.BaselineState
	Heading  string
	Total    int
	Findings []findingView
	Open     bool
}

var headings = map[core.BaselineState]string{
	core.New: "New findings", core.Unchanged: "Known findings", core.Absent: "Fixed findings",
}

func (w *Web) scan(c *gin.Context) error {
	ctx := c.Request.Context()
	scan, err := w.Store.GetScan(ctx, c.Param("ref"))
	if err != nil {
		return err
	}
	page := scanPage{Scan: scan, Project: w.repository(scan), Commit: w.commitLink(scan, scan.CommitSHA)}
	page.SaidOf, page.Said = saidOf(c)
	if err := w.describe(ctx, &page); err != nil {
		return err
	}
	if err := w.fillLists(ctx, &page, core.BaselineState(c.Query("show")), c.Query("page")); err != nil {
		return err
	}
	title := fmt.Sprintf("%s %s %s", page.Banner.Word, scan.ProjectName, core.ShortSHA(scan.CommitSHA))
	return w.render(c, http.StatusOK, "scan", visible(title), page)
}

// describe fills in everything about a scan but its findings.
func (w *Web) describe(ctx context.Context, page *scanPage) (err error) {
	if page.Jobs, err = w.Store.ListJobs(ctx, page.Scan); err != nil {
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
	page.BaseLink = w.commitLink(page.Scan, page.Baseline)
	page.Counts = countsOf(tallies, page.Jobs)
	page.Banner = bannerOf(page.Scan, page.Counts)
	page.Statuses = w.statusLines(statuses)
	page.Version, page.Live = versionOf(page.Scan, page.Jobs, statuses), w.changing(page.Scan, statuses)
	if page.Scan.StartedAt != nil && page.Scan.FinishedAt != nil {
		page.Took = page.Scan.FinishedAt.Sub(*page.Scan.StartedAt).Round(time.Millisecond)
	}
	return nil
}

// fillLists reads the page of findings that was asked for. The first page of the new ones also shows what the others
// are.
func (w *Web) fillLists(ctx context.Context, page *scanPage, state core.BaselineState, number string) error {
	if headings[state] == "" {
		state = core.New
	}
	total := page.Counts.Of(state)
	list := list{State: state, Heading: headings[state], Total: total, Pages: max((total+pageSize-1)/pageSize, 1)}
	list.Page, _ = strconv.Atoi(number)
	list.Page = min(max(list.Page, 1), list.Pages)
	if list.Prev = list.Page - 1; list.Page < list.Pages {
		list.Next = list.Page + 1
	}
	findings, err := w.Store.PageFindings(ctx, page.Scan, state, (list.Page-1)*pageSize, pageSize)
	if err == nil {
		list.Findings, err = w.viewFindings(ctx, *page, findings)
	}
	page.List = list
	if err != nil || state != core.New || list.Page > 1 {
		return err
	}
	return w.fold(ctx, page)
}

// fold shows known findings open where the gate counts them too.
func (w *Web) fold(ctx context.Context, page *scanPage) error {
	policy, _ := w.Policies.For(page.Scan.SourcePlatform, page.Scan.ProjectName)
	for _, state := range []core.BaselineState{core.Unchanged, core.Absent} {
		total := page.Counts.Of(state)
		if total == 0 {
			continue
		}
		findings, err := w.Store.PageFindings(ctx, page.Scan, state, 0, foldedSize)
		if err != nil {
			return err
		}
		rest := folded{State: state, Heading: headings[state], Total: total}
		rest.Open = state == core.Unchanged && !policy.Gate.NewOnly && page.Scan.NumDeciding > 0
		for _, f := range findings {
			rest.Findings = append(rest.Findings, w.viewFinding(*page, f))
		}
		page.Folded = append(page.Folded, rest)
	}
	return nil
}
