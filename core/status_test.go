package core_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

func TestStatusFor(t *testing.T) {
	t.Parallel()
	pass, fail := core.Pass, core.Fail
	cases := map[string]struct {
		scan  core.Scan
		state core.StatusState
		text  string
	}{
		"pending":    {core.Scan{Status: core.ScanPending}, core.StatusPending, "Scan in progress"},
		"processing": {core.Scan{Status: core.ScanProcessing}, core.StatusPending, "Scan in progress"},
		"passed": {
			core.Scan{Status: core.ScanCompleted, Verdict: &pass, Summary: "No findings"}, core.StatusSuccess, "No findings",
		},
		"gate":   {core.Scan{Status: core.ScanCompleted, Verdict: &fail, Summary: "1 new"}, core.StatusFailure, "1 new"},
		"failed": {core.Scan{Status: core.ScanFailed, Error: "no git"}, core.StatusError, "Scan failed: no git"},
		"superseded": {
			core.Scan{Status: core.ScanFailed, SupersededBy: "abc", Error: core.SupersededError("0123456789")},
			core.StatusCancelled, "Superseded by a newer push: 0123456",
		},
	}
	for name, c := range cases {
		if state, text := core.StatusFor(c.scan); state != c.state || text != c.text {
			t.Errorf("%s: %s %q, want %s %q", name, state, text, c.state, c.text)
		}
	}
}

func TestDriftTo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	soon, past := now.Add(time.Second), now.Add(-time.Second)
	ours := core.Status{Revision: 2, PostedRevision: 2, PostedID: 10, State: core.StatusCancelled, Description: "a b\u2028c"}
	foreign := core.ObservedStatus{ID: 11, State: core.StatusSuccess}
	for name, c := range map[string]struct {
		change func(*core.Status, *core.ObservedStatus)
		want   core.Drift
	}{
		"another program's": {func(*core.Status, *core.ObservedStatus) {}, core.DriftForeign},
		"another text":      {func(s *core.Status, seen *core.ObservedStatus) { seen.State = s.State }, core.DriftForeign},
		"ours":              {func(_ *core.Status, seen *core.ObservedStatus) { seen.ID = 10 }, core.DriftOwn},
		"before ours":       {func(_ *core.Status, seen *core.ObservedStatus) { seen.ID = 9 }, core.DriftOlder},
		"without a number":  {func(_ *core.Status, seen *core.ObservedStatus) { seen.ID = 0 }, core.DriftUnknown},
		"ours, without a number": {func(s *core.Status, seen *core.ObservedStatus) {
			*seen = core.ObservedStatus{State: s.State, Description: s.Description}
		}, core.DriftEqual},
		"dealt with":                  {func(s *core.Status, _ *core.ObservedStatus) { s.ObservedID = 11 }, core.DriftOlder},
		"nobody knows the order":      {func(s *core.Status, _ *core.ObservedStatus) { s.PostedID = 0 }, core.DriftOlder},
		"a newer one is due":          {func(s *core.Status, _ *core.ObservedStatus) { s.Revision = 3 }, core.DriftPending},
		"ours is on its way":          {func(s *core.Status, _ *core.ObservedStatus) { s.LeaseUntil = &soon }, core.DriftPending},
		"a lease that has run out":    {func(s *core.Status, _ *core.ObservedStatus) { s.LeaseUntil = &past }, core.DriftForeign},
		"GitHub's word, and no space": {func(_ *core.Status, seen *core.ObservedStatus) { seen.State, seen.Description = "error", "ab c" }, core.DriftEqual},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, seen := ours, foreign
			c.change(&status, &seen)
			if got := status.DriftTo(seen, now); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
