package workbench

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
)

// fields are the parameters of an address that select alerts.
var fields = []string{"state", "platform", "project", "severity", "tool", "rule", "package", "path", "age", "kev", "epss", "author", "reason", "q"}

// reasons are why alerts are dismissed.
var reasons = func() (words []string) {
	for _, reason := range core.Reasons {
		words = append(words, string(reason))
	}
	return append(words, catalog.Suppressed)
}()

// view is what an address asks for. Words that it does not know ask for nothing.
type view struct {
	query url.Values // with the known parameters only
	catalog.Filter
	sort  catalog.Sort
	group catalog.Grouping // empty: single alerts
	after string
}

// viewOf reads an address.
func viewOf(address url.Values) view {
	v := view{query: url.Values{}, sort: catalog.BySeverity}
	for _, name := range append(slices.Clone(fields), "sort", "group", "after") {
		if value := strings.TrimSpace(address.Get(name)); value != "" {
			v.query.Set(name, value)
		}
	}
	v.Shelf = known(catalog.Shelves, v.query.Get("state"), catalog.Open)
	v.Severity = known(core.Severities, v.query.Get("severity"), "")
	v.Age = known(catalog.Ages, v.query.Get("age"), "")
	v.sort = known([]catalog.Sort{catalog.BySeverity, catalog.Newest, catalog.Oldest}, v.query.Get("sort"), catalog.BySeverity)
	v.group = known(catalog.Groupings, v.query.Get("group"), "")
	v.Reason = known(reasons, v.query.Get("reason"), "")
	v.Tool, v.Rule, v.Path = v.query.Get("tool"), v.query.Get("rule"), v.query.Get("path")
	v.Author, v.Package = v.query.Get("author"), v.query.Get("package")
	if percent, err := strconv.Atoi(v.query.Get("epss")); err == nil && slices.Contains(catalog.Likely, percent) {
		v.EPSS = percent
	}
	v.KEV, v.Text, v.after = v.query.Get("kev") != "", v.query.Get("q"), v.query.Get("after")
	return v
}

// known is the word of a list that a text names, or another.
func known[T ~string](words []T, text string, other T) T {
	for _, word := range words {
		if strings.EqualFold(string(word), text) {
			return word
		}
	}
	return other
}

// within limits the view to its project, or to those in which the visitor may do an act.
func (v *view) within(ctx context.Context, projects *store.Store, act access.Act) (err error) {
	v.Projects, err = projects.InProject(ctx, act, v.query.Get("platform"), v.query.Get("project"))
	return err
}

// with is the address of this view with other values, as name and value in turn; an empty value leaves the name out. It begins
// anew.
func (v view) with(changes ...string) string {
	query := url.Values{}
	for name, values := range v.query {
		query[name] = values
	}
	query.Del("after")
	for ; len(changes) > 1; changes = changes[2:] {
		query.Del(changes[0])
		if changes[1] != "" {
			query.Set(changes[0], changes[1])
		}
	}
	return "?" + query.Encode()
}

// filter are the parameters that select alerts, without their order.
func (v view) filter() url.Values {
	query := url.Values{}
	for _, name := range fields {
		if value := v.query.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	return query
}
