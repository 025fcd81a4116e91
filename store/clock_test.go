package store_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A replica whose clock is wrong goes by the database's, and takes nobody's lease for lapsed.
func TestReplicasShareTheDatabasesClock(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, wrong := range []time.Duration{10 * time.Minute, -10 * time.Minute, 0} {
			s.TurnClock(wrong)
			skew := syncClock(t, s)
			if e.Name == "sqlite" {
				if skew != 0 {
					t.Errorf("an embedded database has no clock, but is %s ahead", skew)
				}
				continue
			}
			if off := (skew + wrong).Abs(); off > time.Second {
				t.Errorf("with a clock that is %s wrong the database is %s ahead", wrong, skew)
			}
			if off := time.Until(s.Now()).Abs(); off > 2*time.Second {
				t.Errorf("with a clock that is %s wrong, now is off by %s", wrong, off)
			}
		}
	})
}

// syncClock asks again where the machine was too busy for an answer that counts.
func syncClock(t *testing.T, s *store.Store) time.Duration {
	t.Helper()
	for {
		began := time.Now()
		skew, err := s.SyncClock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(began) < time.Second {
			return skew
		}
	}
}

func TestAGivenTimeIsKept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		if skew, err := s.SyncClock(t.Context()); skew != 0 || err != nil || !s.Now().Equal(clock.Now()) {
			t.Errorf("skew %s, %v, now %s", skew, err, s.Now())
		}
	})
}
