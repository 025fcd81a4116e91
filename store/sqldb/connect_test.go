package sqldb_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// The settings of a session may stay behind at a pooler, or belong to another client: those of a transaction hold.
func TestTransactionsBringTheirSettings(t *testing.T) {
	t.Parallel()
	db := openDB(t, storetest.PostgresURL(t))
	tx, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for name, want := range map[string]string{
		"jit": "off", "enable_seqscan": "off", "enable_hashjoin": "off", "idle_in_transaction_session_timeout": "5s",
	} {
		var got string
		if err := tx.GetContext(t.Context(), &got, `SHOW `+name); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"jit": "off", "enable_seqscan": "off", "enable_hashjoin": "off", "idle_in_transaction_session_timeout": "0",
	} {
		var got string
		if err := db.GetContext(t.Context(), &got, `SHOW `+name); err != nil || got != want {
			t.Errorf("outside of transactions, %s is %q, %v, want %q", name, got, err, want)
		}
	}
}

// The driver by itself waits as long as the server's machine keeps the connection.
func TestStatementsEndWithTheirContexts(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	wire.Connect(t)
	db := openDB(t, wire.URL)
	ping := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return db.Ping(ctx)
	}
	wire.Freeze()
	began := time.Now()
	if err := ping(200 * time.Millisecond); !errors.Is(err, core.ErrUnavailable) || time.Since(began) > time.Minute {
		t.Errorf("%v after %s, want that the database is away", err, time.Since(began))
	}
	wire.Thaw()
	for range 3 { // a context that ends after its statement does no harm to the next one on that connection
		if err := ping(time.Minute); err != nil {
			t.Error(err)
		}
		time.Sleep(1200 * time.Millisecond)
	}
}

// Connecting, and so a start, ends with its context, too.
func TestConnectingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	wire := storetest.NewWire(t)
	wire.Connect(t)
	wire.Freeze()
	defer wire.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := sqldb.Open(ctx, sqldb.Config{URL: wire.URL + "&connect_timeout=0"})
	if !errors.Is(err, core.ErrUnavailable) || time.Since(began) > time.Minute {
		t.Errorf("%v after %s, want that the database is away", err, time.Since(began))
	}
}
