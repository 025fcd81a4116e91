package statuses

import (
	"context"
	"errors"
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

func TestNotesAreTriedUntilTheyStand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &writer{fake: b.platform}
	b.Platforms["github"] = w
	policy := storetest.Policy
	policy.Comment = core.CommentNote
	b.store = storetest.Open(t, store.Config{
		Now: func() time.Time { return b.now }, Notes: b.Platforms.KeepNotes, Policies: core.Policies{{Match: "**", Policy: policy}},
	})
	b.Store = b.store
	work := func(after time.Duration) {
		t.Helper()
		b.now = b.now.Add(after)
		if _, err := b.sender.notes(w).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scan := b.push(t, 1)
	d, push := storetest.PushOf(2)
	_, err := b.store.Accept(t.Context(), storetest.With(d, core.Request{
		Project: push.Project, Number: 7, Action: core.RequestOpened, Head: scan.CommitSHA, Branch: scan.Branch, Target: "main", UpdatedAt: b.now,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if work(0); len(w.notes) != 0 {
		t.Errorf("written before there is a verdict: %+v", w.notes)
	}
	if _, err := b.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Failure: "no disk"}); err != nil {
		t.Fatal(err)
	}
	w.failures = []error{
		&platforms.HTTPError{Code: 403, Err: platforms.ErrRefused}, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")}, platforms.ErrGone,
	}
	for _, after := range []time.Duration{0, 15 * time.Second, time.Second, time.Minute, 0} {
		work(after)
	}
	if len(w.notes) != 1 || len(w.failures) != 0 || !strings.Contains(w.notes[0].Text, "could not be judged") ||
		!strings.HasPrefix(w.notes[0].Text, hidden(w.notes[0].Marker)) {
		t.Fatalf("written: %+v", w.notes)
	}
	if work(checkNote); len(w.notes) != 2 || w.notes[1] != (platforms.Note{ID: 5, Marker: w.notes[0].Marker, Text: w.notes[0].Text}) {
		t.Errorf("the check compared %+v", w.notes)
	}
	if work(24 * time.Hour); len(w.notes) != 2 {
		t.Errorf("checked more than once: %+v", w.notes)
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
