package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Probe leaves the schema to Migrate, and does not create what is not there.
func TestProbe(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for range 2 {
			if err := store.Probe(t.Context(), url); (e.Name == "sqlite") != errors.Is(err, core.ErrNotFound) {
				t.Errorf("before the first start: %v", err)
			}
		}
		if n, err := store.Migrate(t.Context(), url, store.Up, 0); err != nil || n == 0 {
			t.Fatalf("%d migrations, %v, want all of them", n, err)
		}
		if err := store.Probe(t.Context(), url); err != nil {
			t.Errorf("after migrating: %v", err)
		}
	})
}

func TestProbeFindsNobody(t *testing.T) {
	t.Parallel()
	err := store.Probe(t.Context(), "postgres://scanhook:hunter2@127.0.0.1:1/scanhook")
	if !errors.Is(err, core.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want core.ErrUnavailable without the password", err)
	}
}

func TestProbeOfUnknownDatabase(t *testing.T) {
	t.Parallel()
	url := strings.Replace(storetest.PostgresURL(t), "/postgres?", "/no_such_database?", 1)
	if err := store.Probe(t.Context(), url); err == nil || errors.Is(err, core.ErrUnavailable) {
		t.Errorf("error = %v, want what the server says", err)
	}
}
