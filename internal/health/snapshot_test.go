package health_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/store/storetest"
)

// However many callers there are, the database is read once; a caller that hangs up does not cancel it.
func TestSnapshotsAreShared(t *testing.T) {
	t.Parallel()
	w := newFixture(t, storetest.SQLite)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	contains(t, w.Report(over), "ok    database")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() { contains(t, w.Report(t.Context()), "ok    database") })
	}
	asking.Wait()
	w.now = w.now.Add(time.Hour)
	contains(t, w.Report(t.Context()), "warn  database: does not answer")
	expect(t, w, "scanhook_database_up", `scanhook_database_up 0`)
	expect(t, w, "scanhook_intake_queue_length", `scanhook_intake_queue_length 0`)
}
