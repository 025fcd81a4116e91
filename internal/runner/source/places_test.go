package source_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/source"
)

// placed tells where the files of a report are in a repository.
func placed(tree, named []string) (files []string, changes core.Changes) {
	search := source.Search(named)
	for _, file := range tree {
		search.MayBe(file)
	}
	report := core.Report{}
	for _, name := range named {
		report.Findings = append(report.Findings, core.Finding{File: name, About: core.About{Absolute: true}})
	}
	search.Places(named).MoveIn(&report, &changes)
	for _, f := range report.Findings {
		files = append(files, f.File)
	}
	return files, changes
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	type list = []string
	tests := map[string]struct{ tree, named, want, strange list }{
		"as the repository does":        {list{"a/x.c", "x.c"}, list{"a/x.c", "x.c"}, list{"a/x.c", "x.c"}, nil},
		"in a directory":                {list{"native/x.c", "native/y.c", "web/x.c"}, list{"x.c", "y.c"}, list{"native/x.c", "native/y.c"}, nil},
		"in a directory, one in both":   {list{"native/x.c", "native/y.c", "x.c"}, list{"x.c", "y.c"}, list{"native/x.c", "native/y.c"}, nil},
		"below a directory":             {list{"native/src/x.c"}, list{"src/x.c"}, list{"native/src/x.c"}, nil},
		"in a container":                {list{"lib/x.c", "y.c"}, list{"src/lib/x.c", "src/y.c"}, list{"lib/x.c", "y.c"}, nil},
		"in a directory of a container": {list{"native/lib/x.c", "other/lib/y.c"}, list{"work/lib/x.c"}, list{"native/lib/x.c"}, nil},
		"on a runner":                   {list{"src/app.js"}, list{"home/runner/work/shop/shop/src/app.js"}, list{"src/app.js"}, nil},
		"on Windows":                    {list{"src/app.js"}, list{"C:/agent/_work/1/s/src/app.js"}, list{"src/app.js"}, nil},
		"two roots":                     {list{"a/x.c", "b/y.c", "b/z.c"}, list{"m/a/x.c", "n/b/y.c", "n/b/z.c"}, list{"a/x.c", "b/y.c", "b/z.c"}, nil},
		"one of two alike":              {list{"a/x.c", "b/x.c"}, list{"x.c"}, list{"x.c"}, list{"x.c"}},
		"not in the repository":         {list{"a/x.c"}, list{"usr/include/stdio.h"}, list{"usr/include/stdio.h"}, list{"usr/include/stdio.h"}},
		"a name alone in another place": {list{"a/b/x.c"}, list{"q/r/x.c"}, list{"q/r/x.c"}, list{"q/r/x.c"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, changes := placed(test.tree, test.named)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			var strange list
			for _, file := range changes.Files {
				if !file.Opaque || file.Old != file.New {
					t.Errorf("want nothing to be told of %s", file.New)
				}
				strange = append(strange, file.New)
			}
			if diff := cmp.Diff(test.strange, strange); diff != "" {
				t.Errorf("not in the repository (-want +got):\n%s", diff)
			}
		})
	}
}

// A packed report is the same afterwards but for its files, and what was not searched is named as the repository does, too.
func TestPlacesOfPackedReports(t *testing.T) {
	t.Parallel()
	named := []string{"src/a.c"}
	search := source.Search(named)
	search.MayBe("a.c")
	report := core.Report{Packed: new(core.Packed), Coverage: new(core.Coverage)}
	report.Packed.Add(&core.Finding{RuleID: "r", File: "src/a.c", Line: 7, Message: "m"})
	report.Packed.Add(&core.Finding{RuleID: "r", File: "src/a.c", Line: 8, Message: "m", Commit: "of history"})
	report.Coverage.LeaveOut(core.LeftError, 2, "src/a.c", "src/b.c")
	search.Places(named).MoveIn(&report, nil)
	want := []core.Finding{{RuleID: "r", File: "a.c", Line: 7, Message: "m"}, {RuleID: "r", File: "src/a.c", Line: 8, Message: "m", Commit: "of history"}}
	if diff := cmp.Diff(want, report.All(10)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if left := report.Coverage.Left[0].Names; !slices.Equal(left, []string{"a.c", "b.c"}) {
		t.Errorf("not searched are %v", left)
	}
}
