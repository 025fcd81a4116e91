package gitrepo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzParseLog(f *testing.F) {
	id, stamp := strings.Repeat("a", 40), "2026-03-02T09:30:00Z"
	fields := []string{id, id, "", "A", "a@x", stamp, "C", "c@x", stamp, "message\n"}
	record := strings.Join(fields, "\x00") + "\x00"
	f.Add("")
	f.Add(record)
	f.Add(record + "\nA\x00new file\x00M\x00old\x00" + record)
	f.Add(record + "\nA\x00")
	f.Add(strings.Repeat("\x00", 25))
	f.Fuzz(func(t *testing.T, out string) {
		commits, err := parseLog(out)
		if err != nil {
			return
		}
		var paths int
		for _, c := range commits {
			paths += len(c.Added) + len(c.Modified) + len(c.Removed)
		}
		// Every commit takes its fields and every path two tokens: nothing is invented and nothing read twice.
		if want := len(commits)*len(commitFields) + 2*paths; want > strings.Count(out, "\x00")+1 {
			t.Errorf("read %d tokens out of %q", want, out)
		}
	})
}

func TestParseLogKeepsOddNames(t *testing.T) {
	t.Parallel()
	id, stamp := strings.Repeat("b", 40), "2026-03-02T09:30:00+02:00"
	fields := []string{id, id, id + " " + id, "A", "a@x", stamp, "C", "c@x", stamp, "one\n\ntwo\x01\n"}
	commits, err := parseLog(strings.Join(fields, "\x00") + "\x00\nA\x00a\nb \"c\"\x00T\x00link\x00D\x00M\x00")
	if err != nil || len(commits) != 1 {
		t.Fatalf("commits = %v, %v, want one", commits, err)
	}
	got := [][]string{commits[0].Added, commits[0].Modified, commits[0].Removed, {commits[0].Message, commits[0].Title()}}
	want := [][]string{{"a\nb \"c\""}, {"link"}, {"M"}, {"one\n\ntwo\x01", "one"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
}
