package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

// stock is a store whose alerts were seen first at different times.
type stock struct {
	*store.Store
	t       *testing.T
	now     time.Time
	author  string // of commits
	indexed bool   // searches ask the index of words, however few alerts there are
	sought  int    // in how many alerts a walk looks for what no index has; 0: as many as usual
}

func (s *stock) catalog() *catalog.Catalog {
	list := s.Catalog()
	if s.sought > 0 {
		list = list.Seeking(s.sought)
	}
	if s.indexed {
		list = list.Indexed()
	}
	return list
}

func newStock(t *testing.T, e storetest.Engine) *stock {
	s := &stock{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.Store = e.Open(t, store.Config{Now: func() time.Time { return s.now }})
	return s
}

// scan brings the findings of a commit of a branch.
func (s *stock) scan(n int, project, branch string, findings ...core.Finding) {
	s.t.Helper()
	d, push := storetest.PushOf(n, storetest.OnBranch(branch), func(d *core.Delivery, p *core.Push) {
		d.Project, p.Project.Name, p.Project.Ref = project, project, project
		p.Commit.Author = s.author
	})
	receipt, err := s.Accept(s.t.Context(), storetest.With(d, push))
	if err == nil {
		_, err = s.PutReport(s.t.Context(), receipt.Reference, "gitleaks", core.Report{Findings: findings})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func found(n int, severity core.Severity, change ...func(*core.Finding)) core.Finding {
	f := core.Finding{
		Tool: "gitleaks", RuleID: fmt.Sprint("rule-", n%3), File: fmt.Sprintf("src/%c/f%d.go", 'a'+n%2, n), Line: n, Severity: severity,
		Title: fmt.Sprint("Flaw ", n), Message: "It is a flaw.", Snippet: fmt.Sprint("code ", n),
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// stocked has three alerts on the default branch of each of two projects, the last one dismissed in one, and one on a branch.
func stocked(t *testing.T, e storetest.Engine) *stock {
	s := newStock(t, e)
	s.scan(1, "acme/shop", "main", found(1, core.Low))
	s.now = s.now.AddDate(0, 0, 20)
	s.scan(2, "acme/app", "main", found(2, core.High), found(3, core.High), found(4, core.Critical, func(f *core.Finding) {
		f.Message, f.CVEID = "openssl is CVE-2024-3094, 100% sure", "CVE-2024-3094"
	}))
	s.now = s.now.AddDate(0, 0, 3)
	s.scan(3, "acme/shop", "feature", found(1, core.Low), found(5, core.Medium))
	_, err := s.PutFeed(t.Context(), core.Feed{
		Kind: core.FeedKEV, Version: "1", Source: "kev.json", Scores: []core.Score{{CVEID: "CVE-2024-3094", KEV: true}},
	}, store.FeedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stock) titles(f catalog.Filter, sort catalog.Sort, size int) (titles []string) {
	s.t.Helper()
	for after := ""; ; {
		page, err := s.catalog().List(s.t.Context(), f, sort, after, size)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range page.Items {
			titles = append(titles, item.Title)
		}
		if after = page.Next; after == "" {
			return titles
		}
	}
}

func TestListsAreSortedAndPaged(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		for sort, want := range map[catalog.Sort][]string{
			catalog.BySeverity: {"Flaw 4", "Flaw 3", "Flaw 2", "Flaw 1"},
			catalog.Newest:     {"Flaw 4", "Flaw 3", "Flaw 2", "Flaw 1"},
			catalog.Oldest:     {"Flaw 1", "Flaw 2", "Flaw 3", "Flaw 4"},
		} {
			for _, size := range []int{1, 2, 3, 50} {
				if got := s.titles(catalog.Filter{Shelf: catalog.Open}, sort, size); !slices.Equal(got, want) {
					t.Errorf("by %s, %d a page: %v, want %v", sort, size, got, want)
				}
			}
		}
		if got := s.titles(catalog.Filter{}, catalog.Newest, 2); !slices.Equal(got, []string{"Flaw 5", "Flaw 4", "Flaw 3", "Flaw 2", "Flaw 1"}) {
			t.Errorf("of all shelves: %v", got)
		}
		for _, after := range []string{"x", "1-2", "1-2-0", "1-2--3"} {
			if _, err := s.Catalog().List(t.Context(), catalog.Filter{}, catalog.Newest, after, 5); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("after %q: %v", after, err)
			}
		}
	})
}

func TestFiltersSelect(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		shop, err := s.InProject(t.Context(), access.Read, "github", "acme/shop")
		if err != nil || len(shop) != 1 {
			t.Fatal(shop, err)
		}
		for name, c := range map[string]struct {
			filter catalog.Filter
			want   []string
		}{
			"severity":             {catalog.Filter{Severity: core.High}, []string{"Flaw 3", "Flaw 2"}},
			"rule":                 {catalog.Filter{Rule: "rule-2"}, []string{"Flaw 2"}},
			"rule in a project":    {catalog.Filter{Rule: "rule-1", Projects: shop}, []string{"Flaw 1"}},
			"several projects":     {catalog.Filter{Projects: append([]int64{4711}, shop...)}, []string{"Flaw 1"}},
			"no project":           {catalog.Filter{Projects: []int64{}}, nil},
			"tool":                 {catalog.Filter{Tool: "trivy"}, nil},
			"directory":            {catalog.Filter{Path: "src/b/"}, []string{"Flaw 3", "Flaw 1"}},
			"part of a directory":  {catalog.Filter{Path: "src/b"}, nil},
			"file":                 {catalog.Filter{Path: "src/b/f3.go"}, []string{"Flaw 3"}},
			"age":                  {catalog.Filter{Age: catalog.Week}, []string{"Flaw 4", "Flaw 3", "Flaw 2"}},
			"older":                {catalog.Filter{Age: catalog.Month}, []string{"Flaw 1"}},
			"exploited":            {catalog.Filter{KEV: true}, []string{"Flaw 4"}},
			"exploited and more":   {catalog.Filter{KEV: true, Text: "openSSL", Severity: core.Critical}, []string{"Flaw 4"}},
			"text of the title":    {catalog.Filter{Text: "flaw f3"}, []string{"Flaw 3"}},
			"text of the message":  {catalog.Filter{Text: "100% SURE"}, []string{"Flaw 4"}},
			"no pattern":           {catalog.Filter{Text: "fl_w"}, nil},
			"middle of a word":     {catalog.Filter{Text: "law"}, nil},
			"beginnings of words":  {catalog.Filter{Text: "F3.g fla"}, []string{"Flaw 3"}},
			"no word":              {catalog.Filter{Text: "%"}, nil},
			"vulnerability":        {catalog.Filter{Text: "cve-2024-3094"}, []string{"Flaw 4"}},
			"text and severity":    {catalog.Filter{Text: "flaw", Severity: core.Low}, []string{"Flaw 1"}},
			"text, rule, age, dir": {catalog.Filter{Text: "f1", Rule: "rule-1", Age: catalog.Month, Path: "src/"}, []string{"Flaw 1"}},
		} {
			c.filter.Shelf = catalog.Open
			for _, s.indexed = range []bool{false, true} {
				if got := s.titles(c.filter, catalog.BySeverity, 2); !slices.Equal(got, c.want) {
					t.Errorf("%s, by the index of words %t: %v, want %v", name, s.indexed, got, c.want)
				}
				facets, err := s.catalog().Facets(t.Context(), c.filter)
				if err != nil || facets.Total != (catalog.Count{N: len(c.want)}) {
					t.Errorf("%s, by the index of words %t: %+v are counted, %v, want %d", name, s.indexed, facets.Total, err, len(c.want))
				}
			}
		}
		branch := s.titles(catalog.Filter{Shelf: catalog.Branch}, catalog.BySeverity, 2)
		if !slices.Equal(branch, []string{"Flaw 5"}) {
			t.Errorf("on branches only: %v", branch)
		}
	})
}

// What is on a shelf follows the default branch, also when another branch becomes that.
func TestShelvesFollowTheDefaultBranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := newStock(t, e)
		s.scan(1, "acme/shop", "main", found(1, core.Low))
		s.scan(2, "acme/shop", "next", found(1, core.Low), found(2, core.Low))
		check := func(when string, open, branch []string) {
			t.Helper()
			for shelf, want := range map[catalog.Shelf][]string{catalog.Open: open, catalog.Branch: branch} {
				if got := s.titles(catalog.Filter{Shelf: shelf}, catalog.Oldest, 10); !slices.Equal(got, want) {
					t.Errorf("%s: %s %v, want %v", when, shelf, got, want)
				}
			}
		}
		check("main", []string{"Flaw 1"}, []string{"Flaw 2"})
		d, push := storetest.PushOf(3, storetest.OnBranch("other"), func(_ *core.Delivery, p *core.Push) {
			p.Project.Name, p.Project.Ref, p.Project.DefaultBranch = "acme/shop", "acme/shop", "next"
		})
		if _, err := s.Accept(t.Context(), storetest.With(d, push)); err != nil {
			t.Fatal(err)
		}
		check("next", []string{"Flaw 1", "Flaw 2"}, nil)
	})
}

func TestBatchesGoThroughAll(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		silent := core.Feedback{UserVerdict: core.FalsePositive}
		for want, f := range map[string]catalog.Filter{
			"1 alert": {Shelf: catalog.Open}, "": {Shelf: catalog.Open, Severity: core.High}, "(1 alert of": {Text: "openSSL", KEV: true},
		} {
			err := s.catalog().Admit(t.Context(), f, silent.Update())
			if errors.Is(err, core.ErrUncommented) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("dismissing %+v without a comment: %v", f, err)
			}
		}
		silent.Comments = "why"
		if err := s.catalog().Admit(t.Context(), catalog.Filter{}, silent.Update()); err != nil {
			t.Errorf("with a comment: %v", err)
		}
		var sizes []int
		for after := ""; ; {
			b, err := s.Catalog().Batch(t.Context(), catalog.Filter{Shelf: catalog.Open}, after, 3)
			if err != nil {
				t.Fatal(err)
			}
			decided, err := s.DecideAlerts(t.Context(), store.Batch{
				Key: "one", Alerts: b.Alerts, Verdict: core.FalsePositive, Comment: "why", Author: "ada",
			})
			if err != nil || decided.Done != len(b.Alerts) {
				t.Fatalf("%d of %d are decided, %v", decided.Done, len(b.Alerts), err)
			}
			sizes = append(sizes, decided.Done, b.Left)
			if after = b.Next; after == "" {
				break
			}
		}
		if !slices.Equal(sizes, []int{3, 1, 1, 0}) {
			t.Errorf("batches and what was left: %v", sizes)
		}
		dismissed := catalog.Filter{Shelf: catalog.Dismissed}
		if got := s.titles(dismissed, catalog.BySeverity, 10); len(got) != 4 {
			t.Errorf("dismissed: %v", got)
		}
		if n, left, err := s.WithdrawBatch(t.Context(), "one", "eve"); n != 4 || left != 0 || err != nil {
			t.Errorf("%d withdrawn, %d left, %v", n, left, err)
		}
		if open := s.titles(catalog.Filter{Shelf: catalog.Open}, catalog.BySeverity, 10); len(open) != 4 || len(s.titles(dismissed, catalog.Newest, 10)) != 0 {
			t.Errorf("open again: %v", open)
		}
	})
}

func TestPagesEndEarlyAndGoOn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := stocked(t, e)
		app, err := s.InProject(t.Context(), access.Read, "github", "acme/app")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []catalog.Filter{
			{Text: "flaw"}, {Text: "4"}, {Projects: app, Path: "src/a/"}, {Projects: app, Rule: "rule-0"}, {Projects: app, Tool: "gitleaks"},
			{Shelf: catalog.Open, Text: "flaw is"}, {Severity: core.High, Text: "3"},
		} {
			for _, sort := range []catalog.Sort{catalog.BySeverity, catalog.Newest, catalog.Oldest} {
				s.sought = 0
				want := s.titles(f, sort, 50)
				for _, s.sought = range []int{1, 2, 3} {
					for _, size := range []int{1, 2, 50} {
						if got := s.titles(f, sort, size); !slices.Equal(got, want) {
							t.Errorf("%+v by %s, %d at a time in windows of %d: %v, want %v", f, sort, size, s.sought, got, want)
						}
					}
				}
			}
		}
		s.sought = 1
		page, err := s.catalog().List(t.Context(), catalog.Filter{Shelf: catalog.Open, Severity: core.High, Text: "2"}, catalog.Newest, "", 50)
		if err != nil || len(page.Items) != 0 || !page.Short || page.Next == "" {
			t.Errorf("a page that ends early: %+v, %v", page, err)
		}
		var all []int64
		for next := ""; ; {
			batch, err := s.catalog().Batch(t.Context(), catalog.Filter{Shelf: catalog.Open, Text: "flaw"}, next, 1)
			if err != nil {
				t.Fatal(err)
			}
			if all, next = append(all, batch.Alerts...), batch.Next; next == "" {
				break
			}
		}
		if len(all) != 4 {
			t.Errorf("batches have %d alerts, want 4", len(all))
		}
	})
}

func TestListsByAuthorPackageAndLikelihood(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := newStock(t, e)
		s.scan(1, "acme/shop", "main", found(1, core.Low)) // its author may not have brought what was there before
		s.author = "Grace Hopper"
		s.scan(2, "acme/shop", "main", found(1, core.Low), found(2, core.High), found(3, core.Critical, func(f *core.Finding) {
			f.CVEID, f.About.Package = "CVE-2024-3094", "pkg:deb/debian/xz-utils"
		}))
		_, err := s.PutFeed(t.Context(), core.Feed{
			Kind: core.FeedEPSS, Version: "v4", Source: "epss.csv", Scores: []core.Score{{CVEID: "CVE-2024-3094", Probability: 0.6, Percentile: 0.9}},
		}, store.FeedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			catalog.Filter
			want []string
		}{
			{catalog.Filter{Author: "Grace Hopper"}, []string{"Flaw 3", "Flaw 2"}},
			{catalog.Filter{Author: "Grace Hopper", Rule: "rule-2", Tool: "gitleaks"}, []string{"Flaw 2"}},
			{catalog.Filter{Author: "Grace"}, nil},
			{catalog.Filter{EPSS: 50}, []string{"Flaw 3"}}, {catalog.Filter{EPSS: 10, Text: "flaw"}, []string{"Flaw 3"}},
			{catalog.Filter{EPSS: 10, KEV: true}, nil}, {catalog.Filter{EPSS: 10, Author: "Ada"}, nil},
			{catalog.Filter{Package: "pkg:deb/debian/xz-utils"}, []string{"Flaw 3"}}, {catalog.Filter{Package: "pkg:deb/debian/xz"}, nil},
			{catalog.Filter{Text: "xz-utils"}, []string{"Flaw 3"}},
		} {
			for _, s.indexed = range []bool{false, true} {
				if got := s.titles(test.Filter, catalog.BySeverity, 50); !slices.Equal(got, test.want) {
					t.Errorf("%+v: %v, want %v", test.Filter, got, test.want)
				}
			}
		}
		facets, err := s.catalog().Facets(t.Context(), catalog.Filter{Shelf: catalog.Open})
		if err != nil || fmt.Sprint(facets.Authors) != "[{Grace Hopper  0 {2 false}}]" || fmt.Sprint(facets.Likely) != "[{50  0 {1 false}} {10  0 {1 false}}]" {
			t.Errorf("facets: %v, %v, %v", facets.Authors, facets.Likely, err)
		}
		groups, err := s.catalog().Groups(t.Context(), catalog.Filter{Shelf: catalog.Open}, catalog.ByPackage)
		if err != nil || len(groups) != 1 || groups[0].Name != "pkg:deb/debian/xz-utils" || groups[0].N != 1 {
			t.Errorf("packages: %+v, %v", groups, err)
		}
	})
}
