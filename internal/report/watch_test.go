package report

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// statusReader is a fake that also tells what it shows.
type statusReader struct {
	*fake
	shown  core.StatusSeen
	err    error
	looked int
}

func (w *statusReader) LatestStatus(ctx context.Context, status core.Status) (core.StatusSeen, error) {
	w.looked++

	seen := w.shown
	seen.Project.Name, seen.CommitSHA, seen.Context = status.ProjectName, status.CommitSHA, status.Context
	return seen, w.err
}

// final is a bench whose scan has its final status posted; the look is what a watching lane does next.
func final(t *testing.T) (*bench, *statusReader, core.Scan, func(after time.Duration) bool) {
	t.Helper()
	b := setup(t)
	w := &statusReader{fake: b.platform}
	b.Platforms["github"] = w
	scan := b.push(t, 1)
	b.look(t, scan, 0)
	if _, err := b.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Failure: "no disk"}); err != nil {
		t.Fatal(err)
	}
	b.look(t, scan, time.Second)
	l := b.newLane("github")
	return b, w, scan, func(after time.Duration) bool {
		b.now = b.now.Add(after)
		worked, err := l.look(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return worked
	}
}

func TestWatchPutsRightWhatWasOverwritten(t *testing.T) {
	t.Parallel()
	b, w, scan, look := final(t)
	w.shown = core.StatusSeen{ID: 77, State: core.StatusSuccess, Creator: "ci-bot"}
	if look(59 * time.Second); w.looked != 0 {
		t.Error("looked too early")
	}
	look(time.Second)
	if got := b.look(t, scan, 0); got.PostedRevision != 3 || w.looked != 1 {
		t.Errorf("status = %+v after %d looks, want it posted again", got, w.looked)
	}
	w.shown.ID = 78
	look(time.Minute)
	if got := b.look(t, scan, 0); got.PostedRevision != 3 || w.looked != 2 {
		t.Errorf("status = %+v after %d looks, want it left alone", got, w.looked)
	}
}

func TestWatchLooksTwiceAndNoMore(t *testing.T) {
	t.Parallel()
	_, w, _, look := final(t)
	w.err = errors.New("502")
	for range 40 {
		look(time.Minute)
	}
	if w.looked != 2 {
		t.Errorf("looked %d times, want 2", w.looked)
	}
}

func TestWatchStaysOutOfTheWay(t *testing.T) {
	t.Parallel()
	b, w, _, look := final(t)
	w.err = &platforms.RateLimited{After: 10 * time.Minute, Err: errors.New("429")}
	b.pauses.delay("github", b.now, 2*time.Minute)
	if look(time.Minute); w.looked != 0 {
		t.Error("looked while the platform wants to be left alone")
	}
	if look(time.Minute); w.looked != 1 {
		t.Errorf("looked %d times, want once", w.looked)
	}
	if b.pauses.paused("github", b.now) {
		t.Error("a look that was refused holds up posts")
	}
	if !look(3*time.Hour) || w.looked != 1 {
		t.Errorf("looked %d times, want the late look left out", w.looked)
	}
}
