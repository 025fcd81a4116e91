package platforms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestLongListsOfCommitsAreCounted(t *testing.T) {
	t.Parallel()
	commits := make([]string, 2000)
	for i := range commits {
		commits[i] = fmt.Sprintf(`{"id":"%040d","message":"m","added":["a%[1]d"],"modified":["README"],"removed":[]}`, i)
	}
	files := platforms.CountFiles(decodeCommits(t, "["+strings.Join(commits, ",")+"]"), 0)
	if files.Count == nil || *files.Count != 2001 || files.Truncated {
		t.Errorf("got %+v, want 2001 files", files)
	}
}

func TestListsBeyondAllSenseAreCutShort(t *testing.T) {
	t.Parallel()
	names := strings.TrimSuffix(strings.Repeat(`"a",`, 1<<20), ",")
	for what, list := range map[string]string{
		"commits":          "[" + strings.Repeat("{},", 300_000) + "{}]",
		"files of one":     `[{"added":[` + names + `]}]`,
		"files of many":    "[" + strings.Repeat(`{"removed":["a","b","c","d","e","f","g","h"]},`, 9000) + "{}]",
		"what is no array": `{"a":"` + strings.Repeat("x", 1<<17) + `"}`,
		"other things":     "[" + strings.TrimSuffix(strings.Repeat(`1,"a",null,[[]],`, 9000), ",") + "]",
	} {
		commits := decodeCommits(t, list)
		if files := platforms.CountFiles(commits, 0); files.Count != nil && !files.Truncated {
			t.Errorf("%s: %+v is told as the whole truth", what, files)
		}
		if len(commits) > 2100 {
			t.Errorf("%s: %d commits are held", what, len(commits))
		}
	}
}

func TestCountFiles(t *testing.T) {
	t.Parallel()
	one := platforms.Commit{Added: []string{"a"}, Modified: []string{}, Removed: []string{}}
	same := platforms.Commit{Modified: []string{"a", "b"}}
	empty := platforms.Commit{Added: []string{}, Modified: []string{}, Removed: []string{}}
	count := func(n int) *int { return &n }
	tests := map[string]struct {
		commits []platforms.Commit
		total   int64
		want    core.ChangedFiles
	}{
		"no list of commits":      {nil, 4, core.ChangedFiles{}},
		"no commits":              {[]platforms.Commit{}, 0, core.ChangedFiles{Count: count(0)}},
		"no commits are listed":   {[]platforms.Commit{}, 4, core.ChangedFiles{Count: count(0), Truncated: true}},
		"commits without lists":   {[]platforms.Commit{{}, {}}, 2, core.ChangedFiles{}},
		"a file is counted once":  {[]platforms.Commit{one, same}, 2, core.ChangedFiles{Count: count(2)}},
		"more commits than told":  {[]platforms.Commit{one}, 21, core.ChangedFiles{Count: count(1), Truncated: true}},
		"total is not told":       {[]platforms.Commit{one}, 0, core.ChangedFiles{Count: count(1)}},
		"one commit is too large": {[]platforms.Commit{one, empty}, 2, core.ChangedFiles{Count: count(1), Truncated: true}},
		"as many as ever listed": {
			[]platforms.Commit{{Added: strings.Split(strings.Repeat("x,", 2999)+"x", ",")}}, 1,
			core.ChangedFiles{Count: count(1), Truncated: true},
		},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, platforms.CountFiles(test.commits, test.total)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
