package core_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

func TestPackedKeepsWhatReportsSay(t *testing.T) {
	t.Parallel()
	const many = 10_000
	var want []core.Finding
	var packed core.Packed
	for n := range many {
		f := core.Finding{
			Tool: "tool", RuleID: fmt.Sprint("r", n%7), File: fmt.Sprint("f", n%100), Line: n, EndLine: n + 1,
			Severity: core.Severities[n%4], Title: fmt.Sprint("t", n%7), Message: strings.Repeat("m", n%300),
			CVEID: fmt.Sprint("CVE-", n%3), CWE: "CWE-79", HelpURI: "https://example.com", Snippet: strings.Repeat("s", n%5),
			PartialFingerprint: fmt.Sprint(n), Surroundings: match.SurroundingsOf([]uint16{uint16(n)}, nil),
			Commit: strings.Repeat("c", n%2*40),
		}
		if n%3 == 0 {
			f.Suppressed = new(strings.Repeat("x", n%2))
		}
		if n == 5000 {
			f.Message = strings.Repeat("long", 50_000)
		}
		want = append(want, f)
		packed.Add(&f)
	}
	for n := 0; n < many; n += 11 {
		want[n].File, want[n].Title = "moved", ""
		switch n % 3 {
		case 0:
			want[n].Message += "!"
		case 1:
			want[n].Suppressed = new("why")
		case 2:
			want[n].Suppressed = nil
		}
		packed.Put(n, &want[n])
	}
	var got core.Finding
	for n := range packed.Len() {
		packed.Get(n, &got)
		if diff := cmp.Diff(want[n], got); diff != "" {
			t.Fatalf("finding %d (-want +got):\n%s", n, diff)
		}
	}
	if packed.Len() != many {
		t.Errorf("want %d findings, got %d", many, packed.Len())
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	var c core.Coverage
	for n := range 30 {
		c.LeaveOut(core.LeftSize, 1, fmt.Sprintf("large%02d", n))
	}
	c.LeaveOut(core.LeftHistory, 7)
	c.LeaveOut(core.LeftBinary, 0, "nothing")
	c.Add(core.Coverage{Searched: 3, Left: []core.Omission{
		{Reason: core.LeftBinary, Count: 2, Names: []string{"a", "b"}}, {Reason: core.LeftSize, Count: 1, Names: []string{"more"}},
	}})
	got := map[core.LeftOut]string{}
	for _, left := range c.Left {
		got[left.Reason] = fmt.Sprint(left.Count, " ", len(left.Names))
	}
	want := map[core.LeftOut]string{core.LeftSize: "31 20", core.LeftHistory: "7 0", core.LeftBinary: "2 2"}
	if diff := cmp.Diff(want, got); diff != "" || c.Searched != 3 || c.Left[0].Reason != core.LeftBinary {
		t.Errorf("coverage (-want +got):\n%s%+v", diff, c)
	}
}

// What is left of many scans stays small, and says how much it is.
func TestLeftCommitsAreBounded(t *testing.T) {
	t.Parallel()
	var c core.Coverage
	for n := range 20 {
		c.LeaveCommits(core.Stretch{Tips: []string{fmt.Sprint(n), "tip"}, Bases: []string{"all", fmt.Sprint("base ", n)}, Commits: 2})
	}
	if len(c.Unread()) != 20 {
		t.Fatalf("want each of a few kept as it is, got %+v", c.Unread())
	}
	var many []string
	for n := range 2000 {
		many = append(many, fmt.Sprint("many ", n))
	}
	c.LeaveCommits(core.Stretch{Tips: many, Bases: []string{"other", "all"}})
	if left := c.Unread(); len(left) != 1 || left[0].Commits != 41 || len(left[0].Tips) != 1000 || c.NotSearched() != 41 {
		t.Fatalf("want one of 41 commits, got %d stretches, %d commits not searched", len(left), c.NotSearched())
	}
	one := c.Unread()[0]
	if diff := cmp.Diff([]string{"0", "tip", "1"}, one.Tips[:3]); diff != "" || len(one.Bases) != 1 || one.Bases[0] != "all" {
		t.Errorf("bases %q, tips (-want +got):\n%s", one.Bases, diff)
	}
	c.PutUnread(c.Unread())
	if len(c.Unread()) != 1 || c.NotSearched() != 41 {
		t.Errorf("want it kept, got %d commits not searched", c.NotSearched())
	}
}

// Commits of which nothing but their number is known are told also when others are replaced.
func TestPutUnread(t *testing.T) {
	t.Parallel()
	var c core.Coverage
	c.LeaveOut(core.LeftHistory, 2)
	c.LeaveOut(core.LeftSize, 1, "large")
	c.LeaveCommits(core.Stretch{Tips: []string{"a"}, Commits: 7})
	for _, want := range []int{4, 3} {
		left := make([]core.Stretch, want-3)
		c.PutUnread(left)
		if c.NotSearched() != want || len(c.Unread()) != len(left) {
			t.Errorf("want %d, got %+v", want, c)
		}
	}
}

func TestUnsearched(t *testing.T) {
	t.Parallel()
	many := make([]string, 50)
	for n := range many {
		many[n] = fmt.Sprintf("large%02d", n)
	}
	for name, test := range map[string]struct {
		leave func(*core.Coverage)
		kept  bool     // and read again
		want  []string // of the files below
	}{
		"nothing":             {func(*core.Coverage) {}, false, nil},
		"by size":             {func(c *core.Coverage) { c.LeaveOut(core.LeftSize, 1, "a.sql") }, true, []string{"a.sql"}},
		"a binary now":        {func(c *core.Coverage) { c.LeaveOut(core.LeftBinary, 1, "a.sql") }, true, []string{"a.sql"}},
		"exempt":              {func(c *core.Coverage) { c.LeaveOut(core.LeftAllowed, 30, "a.sql") }, true, nil},
		"no files":            {func(c *core.Coverage) { c.LeaveOut(core.LeftHistory, 3); c.LeaveOut(core.LeftSubmodule, 1) }, true, nil},
		"an archive":          {func(c *core.Coverage) { c.LeaveOut(core.LeftArchive, 1, "b.zip") }, true, []string{"b.zip!x", "b.zip!y"}},
		"part of an archive":  {func(c *core.Coverage) { c.LeaveOut(core.LeftSize, 1, "b.zip!y") }, true, []string{"b.zip!x", "b.zip!y"}},
		"many":                {func(c *core.Coverage) { c.LeaveOut(core.LeftSize, 50, many...) }, false, []string{"large49"}},
		"many, as it is kept": {func(c *core.Coverage) { c.LeaveOut(core.LeftSize, 50, many...) }, true, []string{"a.sql", "b.zip!x", "b.zip!y", "large49"}},
		"without names":       {func(c *core.Coverage) { c.LeaveOut(core.LeftError, 1) }, false, []string{"a.sql", "b.zip!x", "b.zip!y", "large49"}},
	} {
		var c core.Coverage
		test.leave(&c)
		sum := new(core.Coverage)
		sum.Add(core.Contents{Coverage: c}.CoverageAt(""))
		if test.kept {
			job := core.Job{}
			job.Finish(core.Report{Coverage: sum}, 0, 0, time.Time{})
			sum = job.Coverage()
		}
		var got []string
		for _, file := range []string{"a.sql", "b.zip!x", "b.zip!y", "large49"} {
			if unsearched := sum.Unsearched(); unsearched != nil && unsearched(file) {
				got = append(got, file)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: files that were not searched (-want +got):\n%s", name, diff)
		}
	}
}

// Nothing outside of what a report is about counts as searched; of one that nobody knows the extent of, nothing does.
func TestCoverageOfAPart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		globs                []string
		unsearched, searched []string
	}{
		"a directory":  {[]string{"services/api"}, []string{"services/web/a.go", "a.go", "services/api2/a.go", ""}, []string{"services/api/x/a.go"}},
		"globs":        {[]string{"src/**", "*.mod"}, []string{"lib/a.go", "b/go.mod"}, []string{"src/a/b.go", "go.mod"}},
		"an archive":   {[]string{"lib"}, []string{"a.zip!b.txt"}, []string{"lib/a.zip!b.txt"}},
		"all":          {[]string{"**"}, nil, []string{"a", "b/c", ""}},
		"nobody knows": {nil, []string{"a", "b/c", ""}, nil},
	} {
		var coverage core.Coverage
		coverage.LookedAt(c.globs...)
		unsearched, outside := coverage.Unsearched(), coverage.Outside()
		for _, file := range c.unsearched {
			if !unsearched(file) || (outside != nil) != (c.globs != nil) || outside != nil && !outside(file) {
				t.Errorf("%s: %q counts as searched", name, file)
			}
		}
		for _, file := range c.searched {
			if unsearched(file) || outside(file) {
				t.Errorf("%s: %q does not count as searched", name, file)
			}
		}
		if _, known := coverage.UnsearchedFiles(); known || coverage.NotSearched() != 1 {
			t.Errorf("%s: %+v", name, coverage)
		}
	}
	for glob, want := range map[string]string{
		"./src/": "src", "/a/**": "a/**", ".": "**", "../x": "x", " b ": "b", "[": "", "a\x00": "", strings.Repeat("x", 501): "",
	} {
		got, err := core.CleanGlob(glob)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", glob, got, err)
		}
	}
}

// What a scanner's own settings exempt is neither searched nor waited for.
func TestCoverageOfWhatIsSkipped(t *testing.T) {
	t.Parallel()
	var coverage core.Coverage
	coverage.LeaveOut(core.LeftSkipped, 1, "vendor/a.js")
	if left, known := coverage.UnsearchedFiles(); !coverage.Unsearched()("vendor/a.js") || coverage.NotSearched() != 0 || len(left) > 0 || !known {
		t.Errorf("%+v: %v %t", coverage, left, known)
	}
}
