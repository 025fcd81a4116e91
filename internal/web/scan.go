package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
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
	Said     said
	Live     bool // something is about to change
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

// list is a page of findings that stand in one of the lists.
type list struct {
	Name       string // as the address has it
	Heading    string
	Total      int
	Findings   []findingView
	Page       int // from 1
	Pages      int
	Prev, Next int // 0 where there is none
}

// tab is one of the lists, by its name in the address.
type tab struct{ Name, Word, Heading string }

// tabs are the lists of findings; each finding stands in one of them.
var tabs = []tab{
	{string(core.New), "New", "New findings"}, {string(core.Unchanged), "Known", "Known findings"},
	{string(core.Absent), "Fixed", "Fixed findings"}, {dismissedTab, "Dismissed", "Dismissed findings"},
}

const dismissedTab = "dismissed"

// tabOf is the list that an address names; that of the new findings where it names none.
func tabOf(name string) tab {
	i := slices.IndexFunc(tabs, func(t tab) bool { return t.Name == name })
	return tabs[max(i, 0)]
}

// page is where the list stands in the store.
func (t tab) page() store.FindingPage {
	if t.Name == dismissedTab {
		return store.FindingPage{Dismissed: true}
	}
	return store.FindingPage{State: core.BaselineState(t.Name)}
}

// Tabs are all lists, for the links to them.
func (scanPage) Tabs() []tab { return tabs }

// folded is the beginning of another list, and where the rest is.
type folded struct {
	tab
	Total    int
	Findings []findingView
	Open     bool
}

// Nothing says why an ended scan shows no findings.
func (p scanPage) Nothing() string {
	var empty []string
	for _, job := range p.Jobs {
		if job.State == core.JobCompleted {
			empty = append(empty, job.Scanner)
		}
	}
	looked := cut(visible(core.Enumerate(empty)), maxName) + " looked at this commit and found nothing."
	switch failed := p.Scan.Status == core.ScanFailed; {
	case failed && len(empty) == 0:
		return "The scan ended before a scanner had looked at the whole commit."
	case failed:
		return looked + " What failed stands above."
	}
	return looked
}

func (w *Web) scan(c *gin.Context) error {
	ctx := c.Request.Context()
	scan, err := w.Store.GetScan(ctx, c.Param("ref"))
	if err != nil {
		return err
	}
	page := scanPage{Scan: scan, Project: w.repository(scan), Commit: w.commitLink(scan, scan.CommitSHA)}
	page.Said = saidOf(c)
	if err := w.describe(ctx, &page); err != nil {
		return err
	}
	if err := w.fillLists(ctx, &page, c.Query("show"), c.Query("page")); err != nil {
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
func (w *Web) fillLists(ctx context.Context, page *scanPage, name, number string) error {
	shown := tabOf(name)
	total := page.Counts.Of(shown.Name)
	list := list{Name: shown.Name, Heading: shown.Heading, Total: total, Pages: max((total+pageSize-1)/pageSize, 1)}
	list.Page, _ = strconv.Atoi(number)
	list.Page = min(max(list.Page, 1), list.Pages)
	if list.Prev = list.Page - 1; list.Page < list.Pages {
		list.Next = list.Page + 1
	}
	wanted := shown.page()
	wanted.Also, wanted.Offset, wanted.Limit = page.Said.Of, (list.Page-1)*pageSize, pageSize
	findings, err := w.Store.PageFindings(ctx, page.Scan, wanted)
	if err == nil {
		list.Findings, err = w.viewFindings(ctx, *page, findings)
	}
	page.List = list
	if err != nil || shown != tabs[0] || list.Page > 1 {
		return err
	}
	return w.fold(ctx, page)
}

// fold shows known findings open where the gate counts them too.
func (w *Web) fold(ctx context.Context, page *scanPage) error {
	policy, _ := w.Policies.For(page.Scan.SourcePlatform, page.Scan.ProjectName)
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
		rest.Open = other.Name == string(core.Unchanged) && !policy.Gate.NewOnly && page.Scan.NumDeciding > 0
		for _, f := range findings {
			rest.Findings = append(rest.Findings, w.viewFinding(*page, f))
		}
		page.Folded = append(page.Folded, rest)
	}
	return nil
}

// toFinding leads from a finding's own address to the page of its scan on which it stands.
func (w *Web) toFinding(c *gin.Context) error {
	id, err := findingID(c)
	if err != nil {
		return err
	}
	found, err := w.Store.GetFinding(c.Request.Context(), id)
	if err != nil {
		return err
	}
	place, err := w.Store.PlaceFinding(c.Request.Context(), found.Scan, id)
	if err != nil {
		return err
	}
	name := string(place.State)
	if place.Dismissed {
		name = dismissedTab
	}
	query := url.Values{}
	if number := place.Offset/pageSize + 1; name != tabs[0].Name || number > 1 {
		query.Set("show", name)
		query.Set("page", strconv.Itoa(number))
	}
	target := url.URL{Path: "/scans/" + found.Scan.ReferenceID, RawQuery: query.Encode(), Fragment: anchorOf(id)}
	c.Redirect(http.StatusSeeOther, w.base+target.String())
	return nil
}

// anchorOf is where a finding's card stands in its page.
func anchorOf(id int64) string { return fmt.Sprintf("finding-%d", id) }
