package sqldb_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// A replica whose clock is wrong uses the database's, so that it takes no lease for expired.
func TestReplicasShareTheDatabasesClock(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := sqldb.NewClock(openDB(t, e.URL(t)), sqldb.HostClock{}, nil)
		for _, wrong := range []time.Duration{10 * time.Minute, -10 * time.Minute, 0} {
			clock.Host.Wall = func() time.Time { return time.Now().Add(wrong) }
			skew := syncClock(t, clock)
			if e.Name == "sqlite" {
				if skew != 0 {
					t.Errorf("an embedded database has no clock, but is %s ahead", skew)
				}
				continue
			}
			if off := (skew + wrong).Abs(); off > time.Second {
				t.Errorf("with a clock that is %s wrong the database is %s ahead", wrong, skew)
			}
			if off := time.Until(clock.Now()).Abs(); off > 2*time.Second {
				t.Errorf("with a clock that is %s wrong, now is off by %s", wrong, off)
			}
		}
	})
}

// syncClock asks again where the machine was too busy for an answer that counts.
func syncClock(t *testing.T, clock *sqldb.Clock) time.Duration {
	t.Helper()
	for {
		began := time.Now()
		skew, err := clock.Sync(t.Context())
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
	given := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := sqldb.NewClock(openDB(t, e.URL(t)), sqldb.HostClock{}, func() time.Time { return given })
		if skew, err := clock.Sync(t.Context()); skew != 0 || err != nil || !clock.Now().Equal(given) {
			t.Errorf("skew %s, %v, now %s", skew, err, clock.Now())
		}
	})
}
