package notes_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/notes"
	"github.com/scanhook/scanhook/store/storetest"
)

// bench is a store whose requests have comments, with a clock.
type bench struct {
	*store.Store
	now time.Time
}

func open(t *testing.T, e storetest.Engine) *bench {
	b := &bench{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	policies := core.Policies{{Match: "**", Policy: core.Policy{
		Context: "scanhook", Branches: []string{"**"}, Scanners: []string{"gitleaks"}, ScanTimeout: time.Hour, Comment: core.CommentNote,
	}}}
	b.Store = e.Open(t, store.Config{
		Now: func() time.Time { return b.now }, Policies: policies, Scanners: core.Scanners{"gitleaks": core.BuiltIn},
		Notes: func(string) bool { return true },
	})
	return b
}

// tell announces request 7 from a fork, with the n-th commit as its head.
func (b *bench) tell(t *testing.T, n int, action core.RequestAction) {
	t.Helper()
	b.now = b.now.Add(time.Minute)
	d, push := storetest.PushOf(n)
	head := storetest.SHA(n)
	_, err := b.Accept(t.Context(), storetest.With(d, core.Request{
		Project: push.Project, Number: 7, Action: action, Head: head, Target: "main", Branch: "patch", Ref: "refs/pull/7/head", Fork: true, UpdatedAt: b.now,
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// claim expects one note, or none.
func (b *bench) claim(t *testing.T, when string, want int) notes.Note {
	t.Helper()
	list, err := b.Notes().Claim(t.Context(), "github", 8, 5*time.Minute)
	if err != nil || len(list) != want {
		t.Fatalf("%s: claimed %+v, %v; want %d", when, list, err, want)
	}
	if want == 0 {
		return notes.Note{}
	}
	return list[0]
}

func (b *bench) settle(t *testing.T, note notes.Note, end notes.End) {
	t.Helper()
	if err := b.Notes().Settle(t.Context(), note, end); err != nil {
		t.Fatal(err)
	}
}

// A request has one note. It is due with each change of its head, and only one process has it at a time.
func TestNotesFollowTheHeadOfTheirRequest(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := open(t, e)
		b.tell(t, 1, core.RequestOpened)
		first := b.claim(t, "opened", 1)
		subject, err := b.Notes().Subject(t.Context(), first)
		if err != nil || subject.HeadSHA != storetest.SHA(1) || subject.ScanID == 0 || !subject.IsOpen || subject.ProjectName == "" {
			t.Errorf("it is about %+v, %v", subject, err)
		}
		b.tell(t, 2, core.RequestPushed)
		b.claim(t, "while it is being written", 0)
		b.settle(t, first, notes.End{Posted: true, NoteID: 5, Digest: "one", Written: true, CheckAfter: time.Hour})
		second := b.claim(t, "another head", 1)
		if second.NoteID != 5 || second.Digest != "one" || second.Marker != first.Marker || second.Checked() {
			t.Errorf("after %+v came %+v", first, second)
		}
		if err := b.Notes().Settle(t.Context(), first, notes.End{Posted: true}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settled without a lease: %v", err)
		}
		b.settle(t, second, notes.End{Error: "502", RetryAfter: time.Minute})
		b.claim(t, "in the pause", 0)
		b.now = b.now.Add(time.Minute)
		third := b.claim(t, "after the pause", 1)
		if third.Attempts != 1 || third.LastError != "502" {
			t.Errorf("after a failure: %+v", third)
		}
		b.settle(t, third, notes.End{Error: "locked", GivenUp: true})
		b.now = b.now.Add(10 * time.Minute)
		b.claim(t, "given up", 0)
		b.tell(t, 3, core.RequestPushed)
		fourth := b.claim(t, "given up, but there is something else to say", 1)
		b.settle(t, fourth, notes.End{Gone: true})
		fifth := b.claim(t, "deleted", 1)
		if fifth.NoteID != 0 || fifth.Marker == first.Marker || fifth.Digest != "" {
			t.Errorf("after it was deleted: %+v", fifth)
		}
		list, err := b.Notes().Of(t.Context(), fifth.ProjectID, storetest.SHA(3))
		if err != nil || len(list) != 1 || list[0].Number != 7 {
			t.Errorf("notes of the head: %+v, %v", list, err)
		}
	})
}

// A note that was written is compared once with what the platform shows, and written anew where somebody deleted it.
func TestNotesAreChecked(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := open(t, e)
		b.tell(t, 1, core.RequestOpened)
		b.settle(t, b.claim(t, "opened", 1), notes.End{Posted: true, NoteID: 5, Digest: "one", Written: true, CheckAfter: time.Hour})
		b.claim(t, "too early", 0)
		b.now = b.now.Add(time.Hour)
		check := b.claim(t, "the check", 1)
		if !check.Checked() {
			t.Errorf("claimed for a check: %+v", check)
		}
		b.settle(t, check, notes.End{Gone: true})
		again := b.claim(t, "deleted", 1)
		if again.Checked() || again.NoteID != 0 {
			t.Errorf("after it was deleted: %+v", again)
		}
		b.settle(t, again, notes.End{Posted: true, NoteID: 6, Digest: "one", Written: true})
		b.now = b.now.Add(24 * time.Hour)
		b.claim(t, "all is well", 0)
	})
}
