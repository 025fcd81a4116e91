package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// The driver by itself waits for as long as the server's machine keeps the connection.
func TestStatementsEndWithTheirContexts(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	wire.Connect(t)
	s, err := store.Open(t.Context(), store.Config{URL: wire.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ping := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return s.Ping(ctx)
	}
	wire.Freeze()
	began := time.Now()
	if err := ping(200 * time.Millisecond); !errors.Is(err, core.ErrUnavailable) || time.Since(began) > time.Minute {
		t.Errorf("%v after %s, want that the database is away", err, time.Since(began))
	}
	wire.Thaw()
	for range 3 { // a context that ends after its statement does no harm to the next one on that line
		if err := ping(time.Minute); err != nil {
			t.Error(err)
		}
		time.Sleep(1200 * time.Millisecond)
	}
}

// Making a connection ends with the context that wants it, too, and so does a start.
func TestConnectingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	wire.Connect(t)
	wire.Freeze()
	defer wire.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := store.Open(ctx, store.Config{URL: wire.URL + "&connect_timeout=0"})
	if !errors.Is(err, core.ErrUnavailable) || time.Since(began) > time.Minute {
		t.Errorf("%v after %s, want that the database is away", err, time.Since(began))
	}
}
