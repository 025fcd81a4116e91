package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
)

// Probe tells whether the database at url would let a Store write, without touching its schema: it begins a transaction
// and takes it back, and looks whether the schema is one of ours. Errors: core.ErrNotFound for an SQLite file that Open would create, core.ErrUnavailable when the
// server does not answer, and what the driver says of a wrong password or a database that does not exist.
func Probe(ctx context.Context, url string) error {
	db, d, err := connect(url)
	if err != nil {
		return fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	if d.file != "" {
		if err := probeFile(d.file); err != nil {
			return fmt.Errorf("looking for database: %w", err)
		}
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("reaching database: %w", classify(explainPooler(ctx, db, err)))
	}
	readOnly, mayCreate := false, true
	if d.file == "" {
		err = tx.QueryRowxContext(ctx, `SELECT current_setting('transaction_read_only')::boolean,
			to_regclass('`+schemaTable+`') IS NOT NULL OR COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE)`).Scan(&readOnly, &mayCreate)
	} else { // a file that may not be written to lets transactions begin
		_, err = tx.ExecContext(ctx, `CREATE TABLE probe_of_scanhook (id INTEGER)`)
	}
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return fmt.Errorf("reaching database: %w", classify(err))
	}
	if readOnly {
		return fmt.Errorf("writing to database: %w%s", core.ErrUnavailable, adviceReadOnly)
	}
	if !mayCreate {
		return fmt.Errorf("creating tables: %w%s", core.ErrConflict, adviceSchema)
	}
	if err := checkTexts(ctx, db, d); err != nil {
		return fmt.Errorf("looking at the schema: %w", classify(err))
	}
	return nil
}

// Troubles lists what waits for a token in the database at url, and has it tried again at once by whoever serves that
// database. The schema is not touched; the error is core.ErrNotFound where there is no database yet.
func Troubles(ctx context.Context, url string) ([]core.Trouble, error) {
	s, err := attach(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.db.Close() }()
	list, err := s.ListTroubles(ctx, "", "")
	if isUndefined(err) {
		return nil, fmt.Errorf("%w: there are no tables yet", core.ErrNotFound)
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list, s.RetryTroubles(ctx)
}

// Hooks lists the webhooks of the projects that the policies name, from the database at url. The schema is not touched;
// the error is core.ErrNotFound where there is no database yet.
func Hooks(ctx context.Context, url string, policies core.Policies) ([]liveness.Hook, error) {
	s, err := attach(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.db.Close() }()
	s.policies = policies
	return s.ListHooks(ctx)
}

// FailingHooks lists the webhooks to mend from the database at url, as of their last check. The schema is not touched;
// the error is core.ErrNotFound where there is no database yet.
func FailingHooks(ctx context.Context, url string) ([]HookPlace, error) {
	s, err := attach(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.db.Close() }()
	return s.ListFailingHooks(ctx)
}

// Skew is how far the clock of the database at url is ahead of ours; see SyncClock.
func Skew(ctx context.Context, url string) (time.Duration, error) {
	s, err := attach(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.db.Close() }()
	return s.SyncClock(ctx)
}

// CheckIntegrity looks through the SQLite file at url for damage. The error is core.ErrNotFound where there is none yet.
func CheckIntegrity(ctx context.Context, url string) error {
	s, err := attach(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = s.db.Close() }()
	var said string
	if err := s.db.GetContext(ctx, &said, `PRAGMA quick_check(1)`); err != nil {
		return fmt.Errorf("looking through the database: %w", classify(err))
	}
	if said != "ok" {
		return fmt.Errorf("looking through the database: %s%s", strings.Join(strings.Fields(said), " "), adviceDamaged)
	}
	return nil
}

// attach opens a database as it is, for a look.
func attach(ctx context.Context, url string) (*Store, error) {
	if err := Probe(ctx, url); err != nil {
		return nil, err
	}
	db, d, err := connect(url)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	return &Store{db: db, front: db, dialect: d, steady: newSteadyClock(machineClock())}, nil
}

// probeFile keeps SQLite from creating a file that is not there.
func probeFile(path string) error {
	_, err := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	trial, err := os.CreateTemp(filepath.Dir(path), ".scanhook-probe-")
	if err != nil {
		return fmt.Errorf("%w: make the folder, and let the user that scanhook runs as write to it", err)
	}
	if err := errors.Join(trial.Close(), os.Remove(trial.Name())); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is created at the first start", core.ErrNotFound, path)
}
