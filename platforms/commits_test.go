package platforms_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

func decodeCommits(t *testing.T, list string) platforms.Commits {
	t.Helper()
	var push struct {
		Commits platforms.Commits `json:"commits"`
	}
	if err := platforms.DecodeObject([]byte(`{"commits":`+list+`}`), &push); err != nil {
		t.Fatal(err)
	}
	return push.Commits
}

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

func TestBodiesOfTooManyObjects(t *testing.T) {
	t.Parallel()
	body := `{"pull_requests":[` + strings.Repeat("{},", 1_000_001) + `{}]}`
	if err := platforms.DecodeObject([]byte(body), &json.RawMessage{}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("want too large, got %v", err)
	}
}
