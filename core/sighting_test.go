package core_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

func TestCompareSeenStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	soon, past := now.Add(time.Second), now.Add(-time.Second)
	ours := core.Status{Revision: 2, PostedRevision: 2, PostedID: 10, State: core.StatusCancelled, Description: "a b\u2028c"}
	foreign := core.StatusSeen{ID: 11, State: core.StatusSuccess}
	for name, c := range map[string]struct {
		change func(*core.Status, *core.StatusSeen)
		want   core.Sighting
	}{
		"a stranger's":     {func(*core.Status, *core.StatusSeen) {}, core.Overwritten},
		"another text":     {func(s *core.Status, seen *core.StatusSeen) { seen.State = s.State }, core.Overwritten},
		"ours":             {func(_ *core.Status, seen *core.StatusSeen) { seen.ID = 10 }, core.SeenOwn},
		"before ours":      {func(_ *core.Status, seen *core.StatusSeen) { seen.ID = 9 }, core.SeenOlder},
		"without a number": {func(_ *core.Status, seen *core.StatusSeen) { seen.ID = 0 }, core.SeenRumour},
		"ours, without a number": {func(s *core.Status, seen *core.StatusSeen) {
			*seen = core.StatusSeen{State: s.State, Description: s.Description}
		}, core.SeenSame},
		"dealt with":                  {func(s *core.Status, _ *core.StatusSeen) { s.SeenID = 11 }, core.SeenOlder},
		"nobody knows the order":      {func(s *core.Status, _ *core.StatusSeen) { s.PostedID = 0 }, core.SeenOlder},
		"a newer wish is due":         {func(s *core.Status, _ *core.StatusSeen) { s.Revision = 3 }, core.SeenMoving},
		"ours is on its way":          {func(s *core.Status, _ *core.StatusSeen) { s.LeaseUntil = &soon }, core.SeenMoving},
		"a lease that has run out":    {func(s *core.Status, _ *core.StatusSeen) { s.LeaseUntil = &past }, core.Overwritten},
		"GitHub's word, and no space": {func(_ *core.Status, seen *core.StatusSeen) { seen.State, seen.Description = "error", "ab c" }, core.SeenSame},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, seen := ours, foreign
			c.change(&status, &seen)
			if got := status.Compare(seen, now); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
