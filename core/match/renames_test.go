package match_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

// A file counts as renamed only with evidence.
func TestCompareRecognisesRenames(t *testing.T) {
	t.Parallel()
	type list = []core.Finding
	absolute := func(f core.Finding) core.Finding {
		f.About.Absolute = true
		return f
	}
	tests := map[string]struct {
		before, after list
		want          []int
	}{
		"one line of code":               {list{at("a.js:10", "danger(input)")}, list{at("d.js:200", "danger(input)")}, []int{-1}},
		"in the same line":               {list{at("a.js:10", "danger(input)")}, list{at("d.js:10", "danger(input)")}, []int{-1}},
		"one file name":                  {list{at("a/x.js:10", "danger(input)")}, list{at("d/x.js:10", "danger(input)")}, []int{-1}},
		"messages, no code":              {list{about("a.js:10", "one"), about("a.js:20", "two")}, list{about("d.js:10", "one"), about("d.js:20", "two")}, []int{-1, -1}},
		"two lines of code":              {list{at("a.js:10", "one()"), at("a.js:20", "two()")}, list{at("d.js:12", "one()"), at("d.js:22", "two()")}, []int{0, 1}},
		"equal code in equal lines":      {list{at("a.js:10", "x()"), at("a.js:20", "x()")}, list{at("d.js:10", "x()"), at("d.js:20", "x()")}, []int{0, 1}},
		"equal code in other lines":      {list{at("a.js:10", "x()"), at("a.js:20", "x()")}, list{at("d.js:110", "x()"), at("d.js:200", "x()")}, []int{-1, -1}},
		"code of several lines":          {list{at("a.js:10", "x(\none,\ntwo)")}, list{at("d.js:90", "x(\none,\ntwo)")}, []int{0}},
		"two files of one directory":     {list{at("a/x.js:1", "x()"), at("a/y.js:1", "y()")}, list{at("d/x.js:1", "x()"), at("d/y.js:1", "y()")}, []int{0, 1}},
		"two files below one directory":  {list{at("a/p/x.js:1", "x()"), at("a/q/y.js:1", "y()")}, list{at("d/p/x.js:1", "x()"), at("d/q/y.js:1", "y()")}, []int{0, 1}},
		"two files of two directories":   {list{at("a/x.js:1", "x()"), at("b/y.js:1", "y()")}, list{at("d/x.js:1", "x()"), at("e/y.js:1", "y()")}, []int{-1, -1}},
		"names that changed alike":       {list{at("a/foo.js:1", "x()"), at("b/bar.js:1", "y()")}, list{at("a/z_foo.js:1", "x()"), at("b/z_bar.js:1", "y()")}, []int{0, 1}},
		"one name that changed":          {list{at("a/foo.js:1", "x()")}, list{at("a/z_foo.js:1", "x()")}, []int{-1}},
		"names that changed in two ways": {list{at("a/foo.js:1", "x()"), at("b/bar.js:1", "y()")}, list{at("a/z_foo.js:1", "x()"), at("b/y_bar.js:1", "y()")}, []int{-1, -1}},
		"short names":                    {list{at("a/a.js:1", "x()"), at("b/b.js:1", "y()")}, list{at("a/1a.js:1", "x()"), at("b/1b.js:1", "y()")}, []int{-1, -1}},
		"another extension":              {list{at("a/foo.js:1", "x()"), at("b/bar.js:1", "y()")}, list{at("a/foo.ts:1", "x()"), at("b/bar.ts:1", "y()")}, []int{0, 1}},
		"equal code in names changed alike": {
			list{at("a/foo.js:1", "x()"), at("b/bar.js:1", "y()"), at("c/one.js:1", "z()"), at("c/two.js:1", "z()")},
			list{at("a/z_foo.js:1", "x()"), at("b/z_bar.js:1", "y()"), at("c/z_one.js:1", "z()"), at("c/z_two.js:1", "z()")}, []int{0, 1, 2, 3},
		},
		"other code in names changed alike": {
			list{at("a/foo.js:1", "x()"), at("b/bar.js:1", "y()"), at("c/one.js:1", "z()")},
			list{at("a/z_foo.js:1", "x()"), at("b/z_bar.js:1", "y()"), at("c/z_one.js:1", "q()")}, []int{0, 1, -1},
		},
		"another checkout":                 {list{absolute(about("builds/a1/0/acme/shop/src/app.js:10", "m"))}, list{absolute(about("builds/z9/1/acme/shop/src/app.js:12", "m"))}, []int{0}},
		"another slot of the machine":      {list{absolute(about("builds/a1/0/acme/shop/app.js:10", "m"))}, list{absolute(about("builds/a1/1/acme/shop/app.js:12", "m"))}, []int{0}},
		"another home":                     {list{absolute(about("home/ada/shop/src/app.js:10", "m"))}, list{absolute(about("home/bob/shop/src/app.js:12", "m"))}, []int{0}},
		"another module, named alike":      {list{absolute(about("builds/acme/shop/a/src/main/app.js:10", "m"))}, list{absolute(about("builds/acme/shop/b/src/main/app.js:10", "m"))}, []int{-1}},
		"another module, in a container":   {list{absolute(about("src/a/src/main/app.js:10", "m"))}, list{absolute(about("src/b/src/main/app.js:10", "m"))}, []int{-1}},
		"directories of the repository":    {list{about("builds/a1/0/acme/shop/src/app.js:10", "m")}, list{about("builds/z9/1/acme/shop/src/app.js:12", "m")}, []int{-1}},
		"a checkout that stands as it did": {list{absolute(about("home/ada/a/b/c.js:1", "m")), absolute(about("home/ada/x.js:1", "n"))}, list{absolute(about("home/bob/a/b/c.js:1", "m")), absolute(about("home/ada/x.js:1", "n"))}, []int{-1, 1}},
		"a short path in another checkout": {list{absolute(about("home/ada/app.js:10", "m"))}, list{absolute(about("home/bob/app.js:12", "m"))}, []int{-1}},
		"manifests in another checkout":    {list{absolute(advised("CVE-2099-1", "home/ada/shop/web/go.sum", "p", ""))}, list{absolute(advised("CVE-2099-1", "home/bob/shop/web/go.sum", "p", ""))}, []int{0}},
		"a manifest in a renamed directory": {
			list{advised("CVE-2099-1", "web/go.sum", "p", "GHSA-aaaa-bbbb-cccc"), advised("CVE-2099-2", "web/go.sum", "p", "")},
			list{advised("CVE-2099-2", "app/go.sum", "p", ""), advised("CVE-2099-1", "app/go.sum", "p", "GHSA-aaaa-bbbb-cccc")}, []int{1, 0},
		},
		"one advisory, by its two ids": {list{advised("CVE-2099-1", "web/go.sum", "p", "GHSA-aaaa-bbbb-cccc")}, list{advised("CVE-2099-1", "app/go.sum", "p", "GHSA-aaaa-bbbb-cccc")}, []int{-1}},
		"other packages in a renamed directory": {
			list{advised("CVE-2099-1", "web/go.sum", "p", ""), advised("CVE-2099-2", "web/go.sum", "p", "")},
			list{advised("CVE-2099-1", "app/go.sum", "q", ""), advised("CVE-2099-2", "app/go.sum", "q", "")}, []int{-1, -1},
		},
		"a manifest of another kind": {
			list{advised("CVE-2099-1", "go.sum", "p", ""), advised("CVE-2099-2", "go.sum", "p", "")},
			list{advised("CVE-2099-1", "yarn.lock", "p", ""), advised("CVE-2099-2", "yarn.lock", "p", "")}, []int{-1, -1},
		},
		"one that was and one that was not": {list{absolute(about("tmp/a/p/q/r.js:1", "m"))}, list{absolute(about("tmp/b/p/q/r.js:1", "m")), absolute(about("tmp/b/p/q/s.js:1", "m"))}, []int{0, -1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := recognised(test.before, test.after, nil)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("partners (-want +got):\n%s", diff)
			}
		})
	}
}

// A report that names very many checkouts tells nothing of any, and takes no work for each pair of a checkout and a file.
func TestCompareRecognisesFewCheckouts(t *testing.T) {
	t.Parallel()
	for _, checkouts := range []int{8, 9} {
		var before, after []core.Finding
		for i := range checkouts {
			for user, side := range map[string]*[]core.Finding{"ada": &before, "bob": &after} {
				f := about(fmt.Sprintf("home/%s%d/shop%d/src/app.js:10", user, i, i), "m")
				f.About.Absolute = true
				*side = append(*side, f)
			}
		}
		_, absent := recognised(before, after, nil)
		if known := absent == 0; known != (checkouts == 8) {
			t.Errorf("%d checkouts: %d findings are gone", checkouts, absent)
		}
	}
}
