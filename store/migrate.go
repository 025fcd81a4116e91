package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/migrations"
)

const schemaTable = "schema_migrations"

// Migrate moves the schema of the database of cfg: up as far as it goes, or down by steps. It returns how many
// migrations were applied.
func Migrate(ctx context.Context, cfg Config, direction Direction, steps int) (int, error) {
	db, d, err := connect(cfg.URL)
	if err != nil {
		return 0, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	m := migration{db: db, dialect: d, waiting: cfg.Waiting}
	n, err := m.run(ctx, migrate.MigrationDirection(direction), steps)
	if err != nil {
		return n, fmt.Errorf("migrating database: %w", classify(err))
	}
	return n, nil
}

// Direction of a migration.
type Direction int

// The directions.
const (
	Up   = Direction(migrate.Up)
	Down = Direction(migrate.Down)
)

// migration moves the schema of one database.
type migration struct {
	db      *sqlx.DB
	dialect dialect
	waiting func(what string) // may be nil
}

// source holds the migrations of an engine.
func (d dialect) source() migrate.MigrationSource {
	return migrate.EmbedFileSystemMigrationSource{FileSystem: migrations.Files, Root: d.name}
}

// run migrates while no other process does.
func (m migration) run(ctx context.Context, to migrate.MigrationDirection, steps int) (n int, err error) {
	ctx, unlock, err := m.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := checkTexts(ctx, m.db, m.dialect); err != nil {
		return 0, err
	}
	if to == migrate.Up {
		err = m.keepTexts(ctx) // before they are applied: none that is applied may lack its hash
	}
	if err == nil {
		n, err = m.apply(ctx, to, steps)
	}
	if err == nil && to == migrate.Down {
		err = m.forgetTexts(ctx)
	}
	if lost := context.Cause(ctx); err != nil && lost != nil {
		err = fmt.Errorf("%w: %w", lost, err)
	}
	return n, err
}

func (m migration) apply(ctx context.Context, to migrate.MigrationDirection, steps int) (int, error) {
	set := migrate.MigrationSet{TableName: schemaTable}
	n, err := set.ExecMaxContext(ctx, m.db.DB, m.dialect.migrate, m.dialect.source(), to, steps)
	var plan *migrate.PlanError
	var failed *migrate.TxError // which hides what went wrong from errors.Is
	switch {
	case errors.As(err, &plan):
		return n, fmt.Errorf("%w: %w", errNewer, err)
	case errors.As(err, &failed):
		return n, fmt.Errorf("applying %s: %w", failed.Migration.Id, failed.Err)
	}
	return n, err
}

var errNewer = fmt.Errorf("%w: the database is newer than this scanhook, install the newer version", core.ErrConflict)

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
