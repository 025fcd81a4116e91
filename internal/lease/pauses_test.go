package lease_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/lease"
)

func TestPauses(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	var pauses lease.Pauses
	if pauses.Paused("github", noon) || !pauses.End("github").IsZero() {
		t.Error("paused before anything was asked for")
	}
	pauses.Delay("github", noon, 10*time.Minute)
	pauses.Delay("github", noon, time.Minute) // shortens nothing
	for after, want := range map[time.Duration]bool{
		-time.Second: false, // the clock went back
		0:            true, 9 * time.Minute: true, 10 * time.Minute: false,
	} {
		if got := pauses.Paused("github", noon.Add(after)); got != want {
			t.Errorf("after %s: paused %t, want %t", after, got, want)
		}
	}
	if pauses.Paused("gitlab", noon) {
		t.Error("another platform is paused too")
	}
	pauses.Delay("github", noon.Add(-time.Hour), time.Minute)
	if got := pauses.End("github"); got != noon.Add(-59*time.Minute) {
		t.Errorf("after the clock went back the pause ends at %s", got)
	}
}
