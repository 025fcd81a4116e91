package match_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

// advised is a vulnerable package in a manifest.
func advised(id, file, pkg, aliases string) core.Finding {
	return core.Finding{RuleID: id, File: file, Message: "see " + id, About: core.About{Package: pkg, Aliases: aliases}}
}

func TestCompareRecognisesAdvisories(t *testing.T) {
	t.Parallel()
	type list = []core.Finding
	const lock = "package-lock.json"
	one, two := advised("CVE-2099-1111", lock, "alpha", ""), advised("CVE-2099-2222", lock, "alpha", "")
	placed := func(line int, f core.Finding) core.Finding {
		f.Line = line
		return f
	}
	tests := map[string]struct {
		before, after list
		want          []int
		absent        int
	}{
		"another package":             {list{one}, list{advised("CVE-2099-1111", lock, "beta", "")}, []int{-1}, 1},
		"another manifest":            {list{one}, list{advised("CVE-2099-1111", "go.sum", "alpha", "")}, []int{-1}, 1},
		"another vulnerability":       {list{one}, list{two}, []int{-1}, 1},
		"an alias":                    {list{advised("GHSA-aaaa-bbbb-cccc", lock, "alpha", "CVE-2099-1111")}, list{one}, []int{0}, 0},
		"the alias of another one":    {list{advised("GHSA-aaaa-bbbb-cccc", lock, "beta", "CVE-2099-1111")}, list{one}, []int{-1}, 1},
		"a vendor's id":               {list{advised("SNYK-JS-ALPHA-1", lock, "alpha", "CVE-2099-1111")}, list{one}, []int{0}, 0},
		"two of them, one shared":     {list{advised("GHSA-aaaa-bbbb-cccc", lock, "alpha", "CVE-2099-2222 CVE-2099-1111")}, list{two, one}, []int{-1, 0}, 0},
		"the package by its URL":      {list{advised("CVE-2099-1111", lock, "pkg:npm/alpha@1.0?a=b", "")}, list{advised("CVE-2099-1111", lock, "pkg:npm/alpha@1.1", "")}, []int{0}, 0},
		"of another ecosystem":        {list{advised("CVE-2099-1111", lock, "pkg:npm/alpha@1.0", "")}, list{advised("CVE-2099-1111", lock, "pkg:gem/alpha@1.0", "")}, []int{-1}, 1},
		"scoped":                      {list{advised("CVE-2099-1111", lock, "pkg:npm/@a/b", "")}, list{advised("CVE-2099-1111", lock, "pkg:npm/@a/c", "")}, []int{-1}, 1},
		"the package is not named":    {list{one}, list{advised("CVE-2099-1111", lock, "", "")}, []int{0}, 0},
		"two versions in one, fixed":  {list{placed(5, one), placed(90, one)}, list{placed(90, one)}, []int{1}, 1},
		"a second version in one":     {list{placed(5, one)}, list{placed(90, one), placed(5, one)}, []int{-1, 0}, 0},
		"no advisory with its code":   {list{at(lock+":1", "x()")}, list{one}, []int{-1}, 1},
		"a CVE behind which it is":    {list{advised("CVE-2099-1111-alpha", lock, "alpha", "")}, list{one}, []int{0}, 0},
		"more ids than are kept":      {list{advised("CVE-2099-1111", lock, "alpha", "GHSA-aaaa-bbbb-cccc DSA-1-1 GO-2099-1")}, list{one}, []int{0}, 0},
		"another CVE of one bulletin": {list{advised("CVE-2099-1111", lock, "alpha", "RHSA-2099:1 ALAS2-2099-1")}, list{advised("CVE-2099-2222", lock, "alpha", "RHSA-2099:1 ALAS2-2099-1")}, []int{-1}, 1},
		"a bulletin with its CVE":     {list{advised("RHSA-2099:1", lock, "alpha", "CVE-2099-1111")}, list{one}, []int{0}, 0},
		"a bulletin alone":            {list{advised("RHSA-2099:1", lock, "alpha", "")}, list{advised("RHSA-2099:1", lock, "alpha", "")}, []int{0}, 0},
		"two with one alias": {
			list{advised("PYSEC-2099-2", lock, "alpha", "CVE-2099-1111"), advised("GHSA-aaaa-bbbb-cccc", lock, "alpha", "CVE-2099-1111")},
			list{advised("GHSA-aaaa-bbbb-cccc", lock, "alpha", "CVE-2099-1111"), advised("PYSEC-2099-2", lock, "alpha", "CVE-2099-1111")},
			[]int{1, 0}, 0,
		},
		"another license":             {list{advised("GPL-3.0", lock, "alpha", "")}, list{advised("MIT", lock, "alpha", "")}, []int{-1}, 1},
		"a rule about a resource":     {list{about("main.tf:3", "open")}, list{about("main.tf:40", "open")}, []int{0}, 0},
		"a rule of another resource":  {list{ofResource("old")}, list{ofResource("fresh")}, []int{-1}, 1},
		"a rule of the same resource": {list{ofResource("old")}, list{ofResource("old")}, []int{0}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, changes := range []*core.Changes{nil, {Files: []core.FileChange{{Old: lock, New: lock, Opaque: true}, {Old: "main.tf", New: "main.tf", Opaque: true}}}} {
				got, absent := recognised(slices.Clone(test.before), slices.Clone(test.after), changes)
				if diff := cmp.Diff(test.want, got); diff != "" || absent != test.absent {
					t.Errorf("absent %d, want %d; partners (-want +got):\n%s", absent, test.absent, diff)
				}
			}
		})
	}
}

func ofResource(name string) core.Finding {
	return core.Finding{RuleID: "SNYK-CC-TF-1", File: "main.tf", Line: 3, Message: "open to the world", About: core.About{Resource: name}}
}
