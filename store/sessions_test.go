package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		for _, key := range []string{"kept", "logged out"} {
			if err := s.PutSession(t.Context(), store.Session{Key: key, Person: "who " + key}, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DeleteSession(t.Context(), "logged out"); err != nil {
			t.Fatal(err)
		}
		find := func(keys ...string) (string, bool) {
			session, err := s.FindSession(t.Context(), keys)
			if err != nil && !errors.Is(err, core.ErrNotFound) {
				t.Fatal(err)
			}
			if err == nil && session.Person != "who "+session.Key {
				t.Errorf("%+v is of another person", session)
			}
			return session.Key, err == nil
		}
		if key, ok := find("unknown", "kept"); !ok || key != "kept" {
			t.Errorf("found %q, %v; want the session that was kept", key, ok)
		}
		if _, ok := find("logged out", "unknown"); ok {
			t.Error("a session goes on after its end")
		}
		if _, ok := find(); ok {
			t.Error("no key has a session")
		}
		now = now.Add(time.Hour)
		if _, ok := find("kept"); ok {
			t.Error("a session outlives its time")
		}
	})
}
