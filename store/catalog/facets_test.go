package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFacetsCount(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		counts := func(f catalog.Filter) map[string]string {
			facets, err := s.Catalog().Facets(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			text := func(values []catalog.Value) (all string) {
				for _, v := range values {
					all += fmt.Sprintf("%s %d,", v.Name, v.N)
				}
				return all
			}
			return map[string]string{
				"severity": text(facets.Severities), "rule": text(facets.Rules), "project": text(facets.Projects), "age": text(facets.Ages),
				"path": text(facets.Paths), "kev": fmt.Sprint(facets.KEV.N), "total": fmt.Sprint(facets.Total.N), "tool": text(facets.Tools),
			}
		}
		if diff := cmp.Diff(map[string]string{
			"severity": "Critical 1,High 2,Low 1,", "rule": "rule-1 2,rule-0 1,rule-2 1,", "project": "acme/app 3,acme/shop 1,",
			"age": "week 3,month 1,", "path": "", "kev": "1", "total": "4", "tool": "gitleaks 4,",
		}, counts(catalog.Filter{Shelf: catalog.Open})); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		app, err := s.InProject(t.Context(), access.Read, "github", "acme/app")
		if err != nil {
			t.Fatal(err)
		}
		got := counts(catalog.Filter{Shelf: catalog.Open, Projects: app, Path: "src/"})
		if got["path"] != "src/a/ 2,src/b/ 1," || got["project"] != "acme/app 3," {
			t.Errorf("below src: %v", got)
		}
		if got := counts(catalog.Filter{Shelf: catalog.Open, Projects: app, Path: "src/a/", Severity: core.High}); got["path"] != "src/a/f2.go 1," {
			t.Errorf("below src/a: %v", got)
		}
	})
}

func TestGroups(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		for by, want := range map[catalog.Grouping]string{
			catalog.ByRule:    "rule-1 Critical 2,rule-0 High 1,rule-2 High 1,",
			catalog.ByFile:    "src/a/f4.go Critical 1,src/a/f2.go High 1,src/b/f3.go High 1,src/b/f1.go Low 1,",
			catalog.ByProject: "acme/app Critical 3,acme/shop Low 1,",
		} {
			for _, text := range []string{"", "flaw", "FLAW is"} {
				s.indexed = text == "FLAW is"
				groups, err := s.catalog().Groups(t.Context(), catalog.Filter{Shelf: catalog.Open, Text: text}, by)
				got := ""
				for _, g := range groups {
					got += fmt.Sprintf("%s %s %d,", g.Name, g.Worst, g.N)
				}
				if err != nil || got != want {
					t.Errorf("by %s, with %q: %s, %v, want %s", by, text, got, err, want)
				}
			}
		}
	})
}

func TestRisksOfProjects(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		first := s.now.AddDate(0, 0, -3) // of acme/app
		s.now = s.now.AddDate(0, 0, 9)
		app, err := s.FindProject(t.Context(), "github", "acme/app")
		if err != nil {
			t.Fatal(err)
		}
		shop, err := s.FindProject(t.Context(), "github", "acme/shop")
		if err != nil {
			t.Fatal(err)
		}
		risks, err := s.catalog().Risks(t.Context(), []int64{app.ID, shop.ID})
		if err != nil {
			t.Fatal(err)
		}
		risk := risks[app.ID]
		if fmt.Sprint(risk.Severities) != "[{Critical  0 {1 false}} {High  0 {2 false}}]" || risk.Open != 3 || risk.Oldest == nil || !risk.Oldest.Equal(first) || risk.Before == nil || *risk.Before != 3 {
			t.Errorf("acme/app: %+v, before %v, oldest %v", risk, risk.Before, risk.Oldest)
		}
		if risk := risks[shop.ID]; risk.Open != 1 || risk.Before == nil || *risk.Before != 1 {
			t.Errorf("acme/shop: %+v", risk)
		}
		if none, err := s.catalog().Risks(t.Context(), nil); err != nil || len(none) != 0 {
			t.Errorf("of no project: %v, %v", none, err)
		}
		open, err := s.catalog().OpenOf(t.Context(), nil)
		if err != nil || fmt.Sprint(open) != "[{Critical  0 {1 false}} {High  0 {2 false}} {Low  0 {1 false}}]" {
			t.Errorf("open in all: %v, %v", open, err)
		}
	})
}

func TestFewAmongManyAreSampled(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := newStock(t, e)
		s.author = "Grace Hopper"
		projects := []int64{0} // beside the one that has alerts: no index leads to both
		for n, project := range []string{"acme/app", "acme/shop"} {
			s.scan(2*n+1, project, "main", found(9, core.Low))
			s.scan(2*n+2, project, "main", found(9, core.Low), found(n, core.High))
		}
		app, err := s.InProject(t.Context(), access.Read, "github", "acme/app")
		if err != nil {
			t.Fatal(err)
		}
		for most, want := range map[int]string{1: "[]", 2: "[{Grace Hopper  0 {1 true}}]", 5: "[{Grace Hopper  0 {1 false}}]"} {
			f := catalog.Filter{Shelf: catalog.Open, Severity: core.High, Projects: append(projects, app...)}
			facets, err := s.Catalog().Sampling(most).Facets(t.Context(), f)
			if got := fmt.Sprint(facets.Authors); err != nil || got != want {
				t.Errorf("among %d: %s, %v, want %s", most, got, err, want)
			}
		}
	})
}

func TestNothingIsReadOfNoProjects(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		list := newStock(t, e).Catalog()
		unread, cancel := context.WithCancel(t.Context())
		cancel() // a query would fail
		none := catalog.Filter{Projects: []int64{}, Path: "src/"}
		page, err := list.List(unread, none, catalog.Newest, "", 10)
		facets, failed := list.Facets(unread, none)
		groups, broken := list.Groups(unread, none, catalog.ByRule)
		if err := errors.Join(err, failed, broken); err != nil || len(page.Items)+len(groups)+facets.Total.N > 0 {
			t.Errorf("%+v, %+v, %+v, %v", page, facets, groups, err)
		}
	})
}
