package runner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/core"
)

func TestSight(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		others bool
		away   time.Duration
		want   bool // for the first question after it
	}{
		"a short outage, in which no lease can run out": {away: 5 * time.Second},
		"a long outage, noticed by rare looks":          {away: 70 * time.Second, want: true},
		"a start where others may hold jobs":            {others: true, want: true},
		"a start alone":                                 {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSight(30*time.Second, test.others)
				if test.away > 0 {
					s.note(time.Now(), core.ErrUnavailable)
					time.Sleep(test.away)
				}
				if s.blind() != test.want {
					t.Fatalf("blind %t, want %t", s.blind(), test.want)
				}
				s.note(time.Now(), core.ErrNotFound)
				time.Sleep(15 * time.Second)
				if s.blind() != test.want {
					t.Errorf("15 s later: blind %t, want %t", s.blind(), test.want)
				}
				time.Sleep(5 * time.Second)
				if s.blind() {
					t.Error("still blind 20 s later: all who live have been heard of")
				}
			})
		})
	}
}

// Single failures, however many, make nobody blind: the dead are found.
func TestSightBearsHiccups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSight(30*time.Second, false)
		for range 100 {
			s.note(time.Now(), core.ErrUnavailable)
			time.Sleep(2 * time.Second)
			s.note(time.Now(), nil)
			if s.blind() {
				t.Fatal("blind after a hiccup")
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A database that stands still has been away since it was asked, not since the question was given up.
func TestSightCountsFromTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSight(30*time.Second, false)
		asked := time.Now()
		time.Sleep(11 * time.Second)
		s.note(asked, core.ErrUnavailable)
		if !s.blind() {
			t.Error("sees after 11 s in which no lease can have been extended")
		}
		time.Sleep(time.Minute)
		s.note(time.Now(), nil)
		asked = time.Now().Add(-11 * time.Second)
		time.Sleep(time.Minute)
		s.note(time.Now(), nil)
		s.note(asked, core.ErrUnavailable)
		if s.blind() {
			t.Error("blind for one question that waited while others were answered")
		}
	})
}
