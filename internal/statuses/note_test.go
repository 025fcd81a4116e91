package statuses

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// writer is a platform with comments on requests, which answers with what the test queued.
type writer struct {
	*fake
	failures []error
	notes    []platforms.Note
}

func (w *writer) KeepNote(_ context.Context, _ core.Project, _ int64, note platforms.Note) (platforms.KeptNote, error) {
	if len(w.failures) > 0 {
		err := w.failures[0]
		w.failures = w.failures[1:]
		return platforms.KeptNote{}, err
	}
	w.notes = append(w.notes, note)
	return platforms.KeptNote{ID: 5, Written: true}, nil
}

// noted is a bench whose requests have comments.
type noted struct {
	*bench
	writer *writer
}

func setupNotes(t *testing.T) *noted {
	t.Helper()
	b := setup(t)
	w := &writer{fake: b.platform}
	b.Platforms["github"] = w
	policy := storetest.Policy
	policy.Comment = core.CommentNote
	b.store = storetest.Open(t, store.Config{
		Now: func() time.Time { return b.now }, Notes: b.Platforms.KeepNotes, Policies: core.Policies{{Match: "**", Policy: policy}},
	})
	b.Store = b.store
	return &noted{b, w}
}

// work writes what is due after some time.
func (b *noted) work(t *testing.T, after time.Duration) {
	t.Helper()
	b.now = b.now.Add(after)
	if _, err := b.sender.notes(b.writer).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tell announces request 7 with a scan's commit as its head, by the n-th call.
func (b *noted) tell(t *testing.T, n int, action core.RequestAction, scan core.Scan) {
	t.Helper()
	b.now = b.now.Add(time.Second)
	d, push := storetest.PushOf(n)
	_, err := b.store.Accept(t.Context(), storetest.With(d, core.Request{
		Project: push.Project, Number: 7, Action: action, Head: scan.CommitSHA, Branch: scan.Branch, Target: "main", UpdatedAt: b.now,
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// end ends a scan with a verdict.
func (b *noted) end(t *testing.T, scan core.Scan) {
	t.Helper()
	if _, err := b.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Failure: "no disk"}); err != nil {
		t.Fatal(err)
	}
}

// wrote expects so many comments, the last of which says something.
func (b *noted) wrote(t *testing.T, when string, count int, says string) {
	t.Helper()
	if len(b.writer.notes) != count || count > 0 && !strings.Contains(b.writer.notes[count-1].Text, says) {
		t.Errorf("%s: written %+v, want %d, the last of which says %q", when, b.writer.notes, count, says)
	}
}

func TestNotesAreTriedUntilTheyStand(t *testing.T) {
	t.Parallel()
	b := setupNotes(t)
	w := b.writer
	scan := b.push(t, 1)
	b.tell(t, 2, core.RequestOpened, scan)
	b.work(t, 0)
	b.wrote(t, "before there is a verdict", 0, "")
	b.end(t, scan)
	w.failures = []error{
		&platforms.HTTPError{Code: 403, Err: platforms.ErrRefused}, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")}, platforms.ErrGone,
	}
	for _, after := range []time.Duration{0, 15 * time.Second, time.Second, time.Minute, 0} {
		b.work(t, after)
	}
	if len(w.notes) != 1 || len(w.failures) != 0 || !strings.Contains(w.notes[0].Text, "could not be judged") ||
		!strings.HasPrefix(w.notes[0].Text, hidden(w.notes[0].Marker)) {
		t.Fatalf("written: %+v", w.notes)
	}
	if b.work(t, checkNote); len(w.notes) != 2 || w.notes[1] != (platforms.Note{ID: 5, Marker: w.notes[0].Marker, Text: w.notes[0].Text}) {
		t.Errorf("the check compared %+v", w.notes)
	}
	b.work(t, 24*time.Hour)
	b.wrote(t, "checked once", 2, "")
}

// A request that was closed keeps no comment that says that its scan is in progress, and gets none that it did not have, unless it was merged
// because of the verdict that the comment is about.
func TestNotesHaveTheLastWordOnClosedRequests(t *testing.T) {
	t.Parallel()
	b := setupNotes(t)
	first, second, third := b.push(t, 1), b.push(t, 2), b.push(t, 3)
	b.tell(t, 4, core.RequestOpened, first)
	b.work(t, 0)
	b.end(t, first)
	b.tell(t, 5, core.RequestClosed, first)
	b.work(t, 0)
	b.wrote(t, "merged at the verdict", 1, "could not be judged")
	b.tell(t, 6, core.RequestOpened, second)
	b.work(t, 0)
	b.wrote(t, "opened again", 2, "in progress")
	b.tell(t, 7, core.RequestClosed, second)
	b.work(t, 0)
	b.wrote(t, "closed before the verdict", 2, "in progress")
	b.end(t, second)
	b.work(t, closedPause)
	b.wrote(t, "the last word", 3, "could not be judged")
	b.tell(t, 8, core.RequestOpened, third)
	b.writer.failures = []error{platforms.ErrGone}
	b.work(t, 0)
	b.tell(t, 9, core.RequestClosed, third)
	b.end(t, third)
	b.work(t, time.Hour)
	b.wrote(t, "closed without a comment", 3, "")
}

// Comments wait for statuses, not the other way round: they keep to the pace of the platform, and their pauses hold up no status.
func TestNotesHoldUpNoStatus(t *testing.T) {
	t.Parallel()
	b := setupNotes(t)
	b.Pace = map[string]time.Duration{"github": 10 * time.Second}
	scan := b.push(t, 1)
	b.tell(t, 2, core.RequestOpened, scan)
	b.end(t, scan)
	b.writer.failures = []error{&platforms.RateLimited{After: time.Hour, Err: errors.New("429")}}
	b.post(t, scan, 0)
	b.work(t, 0)
	if len(b.writer.failures) != 1 {
		t.Error("a comment was written at once after a status")
	}
	b.work(t, 10*time.Second)
	if len(b.writer.failures) != 0 {
		t.Error("no comment was written in its turn")
	}
	b.now = b.now.Add(time.Second)
	b.push(t, 3)
	posted := len(b.platform.posted)
	b.post(t, scan, 0)
	if len(b.platform.posted) != posted {
		t.Error("a status was posted at once after a comment")
	}
	b.post(t, scan, 9*time.Second)
	if len(b.platform.posted) != posted+1 {
		t.Error("a status waits for the comments")
	}
	b.work(t, 50*time.Minute)
	b.wrote(t, "in the pause of comments", 0, "")
	b.work(t, 10*time.Minute)
	b.wrote(t, "after it", 1, "could not be judged")
}

// No worker looks for comments where they are off.
func TestNotesHaveAWorkerWhereTheyAreOn(t *testing.T) {
	t.Parallel()
	b := setupNotes(t)
	if _, on := b.sender.keeper(); !on {
		t.Error("none where they are on")
	}
	b.Store = storetest.Open(t, store.Config{Notes: b.Platforms.KeepNotes})
	if _, on := b.sender.keeper(); on {
		t.Error("one where they are off")
	}
}

func TestTextsFromOutsideAreCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "`?`",
		"2 new (1 critical), 1 fixed": "2 new (1 critical), 1 fixed",
		"a: b":                        "a: b",
		"www.evil.example":            "`www.evil.example`",
		"x`\n/merge @all":             "`x' /merge @all`",
		"http://evil.example":         "`http://evil.example`",
		"- item":                      "`- item`",
		"\x1b[31mred":                 "`red`",
		strings.Repeat("界", maxText):  "`" + core.Clip(strings.Repeat("界", maxText), maxText) + "`",
		"GH-12":                       "`GH-12`",
		"fail_on: high, in_a:\u202eb": "",
	} {
		got := plain(text)
		if want != "" && got != want || strings.ContainsAny(got, "\n\u202e") || slices.Contains([]int{1, 3}, strings.Count(got, "`")) {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// threader is a writer that keeps threads, too.
type threader struct {
	*writer
	refuses error
	kept    []platforms.Threads
	head    string
}

func (w *threader) KeepThreads(_ context.Context, _ core.Project, _ int64, head string, threads platforms.Threads) error {
	if w.refuses != nil {
		return w.refuses
	}
	w.head, w.kept = head, append(w.kept, threads)
	return nil
}

// The threads are those of the new findings on lines of the head, and are tried until they stand.
func TestThreadsFollowTheNewFindings(t *testing.T) {
	t.Parallel()
	b := setupNotes(t)
	w := &threader{writer: b.writer, refuses: errors.New("502")}
	b.Platforms["github"] = w
	policy := storetest.Policy
	policy.Comment, policy.Scanners = core.CommentThreads, []string{"trivy"}
	b.store = storetest.Open(t, store.Config{
		Now: func() time.Time { return b.now }, Notes: b.Platforms.KeepNotes, Policies: core.Policies{{Match: "**", Policy: policy}},
		Scanners: core.Scanners{"trivy": core.Uploaded},
	})
	b.Store = b.store
	scan := b.push(t, 1)
	b.tell(t, 2, core.RequestOpened, scan)
	report := core.Report{}
	for line := range 30 {
		report.Findings = append(report.Findings, core.Finding{
			Tool: "trivy", RuleID: fmt.Sprint("r", line), File: "main.go", Line: line, Severity: core.High, Title: "@all ` /close", Message: "m",
		})
	}
	put := func(report core.Report) {
		t.Helper()
		if _, err := b.store.PutReport(t.Context(), scan.ReferenceID, "trivy", report); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(time.Minute)
		if _, err := b.sender.notes(w).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(report)
	if len(w.kept) != 0 {
		t.Errorf("kept %+v", w.kept)
	}
	w.refuses = nil
	b.now = b.now.Add(time.Minute)
	if _, err := b.sender.notes(w).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.kept) != 1 || len(w.kept[0].Wanted) != maxThreads || len(w.kept[0].Still) != 30 || !w.kept[0].All || w.head != scan.CommitSHA {
		t.Fatalf("after the outage: %d times, %+v", len(w.kept), w.kept)
	}
	seen := map[string]bool{}
	for _, one := range w.kept[0].Wanted {
		if seen[one.Key] || one.Line < 1 || one.File != "main.go" || !strings.Contains(one.Text, "`@all ' /close`") {
			t.Errorf("thread %+v", one)
		}
		seen[one.Key] = true
	}
	put(core.Report{Findings: report.Findings[1:2]})
	put(core.Report{})
	if len(w.kept) != 3 || len(w.kept[1].Wanted) != 1 || !seen[w.kept[1].Wanted[0].Key] || len(w.kept[2].Still) != 0 || !w.kept[2].All {
		t.Errorf("as findings go: %+v; before %+v", w.kept[1:], w.kept[0])
	}
	for line := range maxAnnotations {
		f := report.Findings[0]
		f.RuleID, f.Line = fmt.Sprint("many", line), line
		report.Findings = append(report.Findings, f)
	}
	if put(report); len(w.kept) != 4 || w.kept[3].All {
		t.Errorf("of more than are read: %+v", w.kept[3:])
	}
}
