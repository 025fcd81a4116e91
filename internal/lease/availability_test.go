package lease

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/core"
)

func TestAvailability(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		shared bool
		away   time.Duration
		want   bool // right after it
	}{
		"a short outage, in which no lease can expire": {away: 5 * time.Second},
		"a long outage, noticed late":                  {away: 70 * time.Second, want: true},
		"a start where others may hold leases":         {shared: true, want: true},
		"a start alone":                                {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := NewAvailability(30*time.Second, test.shared)
				if test.away > 0 {
					a.note(time.Now(), core.ErrUnavailable)
					time.Sleep(test.away)
				}
				if a.InGrace() != test.want {
					t.Fatalf("in grace %t, want %t", a.InGrace(), test.want)
				}
				a.note(time.Now(), core.ErrNotFound)
				time.Sleep(15 * time.Second)
				if a.InGrace() != test.want {
					t.Errorf("15 s later: in grace %t, want %t", a.InGrace(), test.want)
				}
				time.Sleep(5 * time.Second)
				if a.InGrace() {
					t.Error("still in grace 20 s later, when every live worker has extended its leases")
				}
			})
		})
	}
}

// Short failures, however many, begin no grace: dead workers are found.
func TestAvailabilityBearsShortFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAvailability(30*time.Second, false)
		for range 100 {
			a.note(time.Now(), core.ErrUnavailable)
			time.Sleep(2 * time.Second)
			a.note(time.Now(), nil)
			if a.InGrace() {
				t.Fatal("in grace after a short failure")
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// A database that hangs has been unavailable since the step began, not since it was given up.
func TestOutageCountsFromTheStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAvailability(30*time.Second, false)
		began := time.Now()
		time.Sleep(11 * time.Second)
		a.note(began, core.ErrUnavailable)
		if !a.InGrace() {
			t.Error("not in grace after 11 s in which no lease can have been extended")
		}
		time.Sleep(time.Minute)
		a.note(time.Now(), nil)
		began = time.Now().Add(-11 * time.Second)
		time.Sleep(time.Minute)
		a.note(time.Now(), nil)
		a.note(began, core.ErrUnavailable)
		if a.InGrace() {
			t.Error("in grace for one step that waited while others were answered")
		}
	})
}
