package workbench

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store/catalog"
)

const perPage = 50

// page is a list of alerts.
type page struct {
	Platform, Project string // empty: all
	Title             string
	Total             string
	Text              string // that is looked for
	Hidden            []option
	Shelves           []link
	Sorts             []link
	Groupings         []link
	Chips             []link // the filters that are set; each link removes one
	Facets            []facet
	Lines             []line
	Groups            []groupLine
	Grouped           bool
	Pager             layout.Pager
	Short             bool   // the list goes on, perhaps with nothing: it was not looked through further
	Filter            string // all that the list selects, as an address has it
	Done              *done
	Waits             bool // dismissals wait for a second person
}

// link leads to another view.
type link struct {
	Label, Count, Address string
	Current               bool
}

// option is a hidden field of a form.
type option struct{ Name, Value string }

// facet are the values that the list has of something.
type facet struct {
	Title  string
	Values []link
}

// line is an alert in the list.
type line struct {
	catalog.Item
	Name    string // shop#17
	Address string // of its page, below the base
	Heading string
}

// groupLine is a group in the list.
type groupLine struct {
	catalog.Group
	Count, Address string
}

// labels are what pages call the words of addresses.
var labels = map[string]string{
	string(catalog.Open): "Open", string(catalog.Branch): "On branches only", string(catalog.Dismissed): "Dismissed", string(catalog.Fixed): "Fixed",
	string(catalog.BySeverity): "Severity", string(catalog.Newest): "Newest", string(catalog.Oldest): "Oldest",
	string(catalog.Day): "last 24 hours", string(catalog.Week): "1 to 7 days", string(catalog.Month): "7 to 30 days",
	string(catalog.Quarter): "30 to 90 days", string(catalog.Older): "over 90 days",
	string(catalog.ByRule): "Rule", string(catalog.ByFile): "File", string(catalog.ByPackage): "Package", string(catalog.ByProject): "Project",
}

// ShowAlerts lists alerts.
func (p *Pages) ShowAlerts(c *gin.Context) error {
	ctx, v := c.Request.Context(), viewOf(c.Request.URL.Query())
	platform, project := v.query.Get("platform"), v.query.Get("project")
	if platform != "" && project != "" {
		name, err := p.Store.ProjectName(ctx, platform, project)
		if err != nil {
			return err
		}
		if !core.SameProject(name, project) { // it was renamed
			c.Redirect(http.StatusFound, p.Layout.Base.Path("/alerts"+v.with("project", name)))
			return nil
		}
	}
	if err := v.within(ctx, p.Store, access.Read); err != nil {
		return err
	}
	shown := page{
		Platform: platform, Project: project, Title: "Alerts", Text: v.Text, Chips: v.chips(), Filter: v.filter().Encode(),
	}
	var err error
	if shown.Done, err = p.doneOf(c); err != nil {
		return err
	}
	if project != "" {
		shown.Title = "Alerts of " + project
	}
	waiting, err := p.Store.ListProposals(ctx, 0, 1)
	if err != nil {
		return err
	}
	shown.Waits = len(waiting) > 0
	if err := p.fill(ctx, v, &shown); err != nil {
		return err
	}
	return p.Layout.Render(c, http.StatusOK, "alerts", text.Visible(shown.Title), shown)
}

// fill reads the facets, and the alerts or their groups.
func (p *Pages) fill(ctx context.Context, v view, shown *page) error {
	list := p.Store.Catalog()
	facets, err := list.Facets(ctx, v.Filter)
	if err != nil {
		return err
	}
	shown.Total = counted(facets.Total)
	shown.Shelves, shown.Facets = v.shelves(facets), v.facets(facets)
	for _, sort := range []catalog.Sort{catalog.BySeverity, catalog.Newest, catalog.Oldest} {
		shown.Sorts = append(shown.Sorts, link{labels[string(sort)], "", v.with("sort", string(sort), "group", ""), v.group == "" && sort == v.sort})
	}
	for _, by := range catalog.Groupings {
		shown.Groupings = append(shown.Groupings, link{labels[string(by)], "", v.with("group", string(by)), by == v.group})
	}
	for name, values := range v.query {
		if name != "q" && name != "after" {
			shown.Hidden = append(shown.Hidden, option{name, values[0]})
		}
	}
	if v.group != "" {
		shown.Grouped = facets.Total.N > 0
		groups, err := list.Groups(ctx, v.Filter, v.group)
		shown.Groups = v.groupLines(groups)
		return err
	}
	found, err := list.List(ctx, v.Filter, v.sort, v.after, perPage)
	if err != nil {
		return err
	}
	if v.after != "" {
		shown.Pager.First = v.with()
	}
	if found.Next != "" {
		shown.Pager.Next = v.with() + "&after=" + found.Next
	}
	shown.Short = found.Short
	for _, item := range found.Items {
		shown.Lines = append(shown.Lines, lineOf(item))
	}
	return nil
}

func lineOf(item catalog.Item) line {
	return line{
		item, alerts.Name(item.Project, item.Number), text.AlertAddress(item.Platform, item.Project, item.Number),
		text.FirstLine(cmp.Or(item.Title, item.RuleID)),
	}
}

// counted is a number as people read it.
func counted(n catalog.Count) string {
	if n.More {
		return text.Number(n.N) + "+"
	}
	return text.Number(n.N)
}

func (v view) shelves(f catalog.Facets) (links []link) {
	for _, shelf := range catalog.Shelves {
		l := link{labels[string(shelf)], "", v.with("state", string(shelf)), shelf == v.Shelf}
		if shelf == v.Shelf {
			l.Count = counted(f.Total)
		} else if f.Shelves != nil {
			l.Count = counted(f.Shelves[shelf])
		}
		links = append(links, l)
	}
	return links
}

// chips are the filters that are set.
func (v view) chips() (chips []link) {
	add := func(name, label string) {
		if v.query.Get(name) != "" {
			chips = append(chips, link{Label: label, Address: v.with(name, "")})
		}
	}
	if project := v.query.Get("project"); project != "" {
		chips = append(chips, link{Label: project, Address: v.with("project", "", "platform", "", "path", "")})
	}
	add("severity", string(v.Severity))
	add("tool", v.Tool)
	add("rule", v.Rule)
	add("package", v.Package)
	add("path", v.Path)
	add("age", labels[string(v.Age)])
	add("kev", "exploited (KEV)")
	add("epss", likely(v.query.Get("epss")))
	add("author", v.Author)
	add("reason", core.Reason(v.Reason).Words())
	add("q", "“"+v.Text+"”")
	return chips
}

// facets are those that have something to choose.
func (v view) facets(f catalog.Facets) (list []facet) {
	add := func(title, name string, values []catalog.Value) {
		var links []link
		for _, value := range values {
			if value.Name != "" {
				label := value.Name
				switch name { // the values of others are names of their own
				case "age":
					label = labels[value.Name]
				case "reason":
					label = core.Reason(value.Name).Words()
				case "epss":
					label = likely(value.Name)
				}
				links = append(links, link{label, counted(value.Count), v.with(name, value.Name), strings.EqualFold(v.query.Get(name), value.Name)})
			}
		}
		if len(links) > 0 {
			list = append(list, facet{title, links})
		}
	}
	add("Severity", "severity", f.Severities)
	if f.KEV.N > 0 || v.KEV {
		list = append(list, facet{"Exploited", []link{{"in CISA’s catalog (KEV)", counted(f.KEV), v.with("kev", "yes"), v.KEV}}})
	}
	add("Likely exploited", "epss", f.Likely)
	add("Reason", "reason", f.Reasons)
	add("First seen", "age", v.ages(f))
	add("Rule", "rule", f.Rules)
	if v.query.Get("project") == "" {
		var links []link
		for _, value := range f.Projects {
			links = append(links, link{value.Name, counted(value.Count), v.with("platform", value.Platform, "project", value.Name), false})
		}
		if len(links) > 0 {
			list = append(list, facet{"Project", links})
		}
	}
	add("Files", "path", f.Paths)
	add("Tool", "tool", f.Tools)
	add("Author of the commit", "author", f.Authors)
	return list
}

// likely is what pages call a probability of being exploited.
func likely(percent string) string { return "EPSS " + percent + " % or more" }

// ages are those that were counted, or all of them without a number.
func (v view) ages(f catalog.Facets) []catalog.Value {
	if len(f.Ages) > 0 || f.Total.N == 0 {
		return f.Ages
	}
	var values []catalog.Value
	for _, age := range catalog.Ages {
		values = append(values, catalog.Value{Name: string(age), Count: catalog.Count{N: -1}})
	}
	return values
}

func (v view) groupLines(groups []catalog.Group) (lines []groupLine) {
	for _, g := range groups {
		l := groupLine{Group: g, Count: counted(g.Count)}
		switch v.group {
		case catalog.ByRule:
			l.Address = v.with("group", "", "rule", g.Name)
		case catalog.ByPackage:
			l.Address = v.with("group", "", "package", g.Name)
		case catalog.ByFile:
			l.Address = v.with("group", "", "platform", g.Platform, "project", g.Project, "path", g.Name)
		default:
			l.Address = v.with("group", "", "platform", g.Platform, "project", g.Project)
		}
		lines = append(lines, l)
	}
	return lines
}
