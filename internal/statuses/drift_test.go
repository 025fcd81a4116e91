package statuses

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestOverwrittenStatusIsRestored(t *testing.T) {
	t.Parallel()
	b, w, scan, check := final(t)
	w.shown = core.ObservedStatus{ID: 77, State: core.StatusSuccess, Creator: "ci-bot"}
	if check(59 * time.Second); w.checked != 0 {
		t.Error("checked too early")
	}
	check(time.Second)
	if got := b.post(t, scan, 0); got.PostedRevision != 3 || w.checked != 1 {
		t.Errorf("status = %+v after %d checks, want it posted again", got, w.checked)
	}
	w.shown.ID = 78
	check(time.Minute)
	if got := b.post(t, scan, 9*time.Second); got.PostedRevision != 3 || w.checked != 2 {
		t.Errorf("status = %+v after %d checks, want it posted after a pause", got, w.checked)
	}
	if got := b.post(t, scan, time.Second); got.PostedRevision != 4 || !got.Contested() {
		t.Errorf("status = %+v after the pause, want it posted again", got)
	}
	if !strings.Contains(b.log.String(), "keeps replacing") {
		t.Errorf("the log does not tell of it:\n%s", b.log)
	}
	w.shown = core.ObservedStatus{ID: got(b.store.ListStatuses(t.Context(), scan))[0].PostedID, State: core.StatusError}
	for range 24 * 60 {
		check(time.Minute)
	}
	if w.checked < 8 || w.checked > 12 {
		t.Errorf("checked %d times within a day, want it ever more seldom", w.checked)
	}
}

func got(list []core.Status, _ error) []core.Status { return list }

func TestDriftIsCheckedTwice(t *testing.T) {
	t.Parallel()
	_, w, _, check := final(t)
	w.err = errors.New("502")
	for range 40 {
		check(time.Minute)
	}
	if w.checked != 2 {
		t.Errorf("checked %d times, want 2", w.checked)
	}
}

func TestDriftChecksGiveWay(t *testing.T) {
	t.Parallel()
	b, w, _, check := final(t)
	w.err = &platforms.RateLimited{After: 10 * time.Minute, Err: errors.New("429")}
	b.pauses.Delay("github", b.now, 2*time.Minute)
	if check(time.Minute); w.checked != 0 {
		t.Error("checked while the platform wants to be left alone")
	}
	if check(time.Minute); w.checked != 1 {
		t.Errorf("checked %d times, want once", w.checked)
	}
	if b.pauses.Paused("github", b.now) {
		t.Error("a check that was refused holds up posts")
	}
	if check(3 * time.Hour); w.checked != 1 {
		t.Errorf("checked %d times, want the late check left out", w.checked)
	}
}
