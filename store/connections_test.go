package store_test

import (
	"errors"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A process that stalls within a transaction does not hold up the others for longer than their callers wait.
func TestStalledTransactionIsEnded(t *testing.T) {
	t.Parallel()
	s := storetest.Engine{Name: "postgres", URL: storetest.PostgresURL}.Open(t, store.Config{})
	stalled, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stalled.Rollback() }()
	if _, err := stalled.ExecContext(t.Context(), `LOCK TABLE deliveries`); err != nil {
		t.Fatal(err)
	}
	d, p := storetest.PushOf(1)
	receipt, err := s.AcceptPush(t.Context(), d, p)
	if errors.Is(err, core.ErrUnavailable) { // on a busy machine it may be ended a moment too late for the first call
		receipt, err = s.AcceptPush(t.Context(), d, p)
	}
	if err != nil || receipt.Outcome != core.ScanCreated {
		t.Errorf("accepting behind a stalled transaction: %+v, %v", receipt, err)
	}
}

// The settings of a session may stay behind at a pooler, or be somebody else's: those of a transaction hold.
func TestTransactionsBringTheirSettings(t *testing.T) {
	t.Parallel()
	s := storetest.Engine{Name: "postgres", URL: storetest.PostgresURL}.Open(t, store.Config{})
	tx, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for name, want := range map[string]string{"jit": "off", "idle_in_transaction_session_timeout": "5s"} {
		var got string
		if err := tx.GetContext(t.Context(), &got, `SHOW `+name); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"jit": "off", "idle_in_transaction_session_timeout": "0"} {
		if got, err := s.Setting(t.Context(), name); err != nil || got != want {
			t.Errorf("outside of transactions, %s is %q, %v, want %q", name, got, err, want)
		}
	}
}
