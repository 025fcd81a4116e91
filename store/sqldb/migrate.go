package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/migrations"
)

// MigrationsTable has a row for each migration that was applied.
const MigrationsTable = "schema_migrations"

const (
	advisoryLock = 0x5ca_4400       // any number that all replicas agree on, beside the schema's
	repeatAfter  = 15 * time.Second // how often Config.Waiting is called
	keepAlive    = 10 * time.Second // how often the transaction of the lock executes something
)

// Migrate moves the schema of the database of cfg: up as far as it goes, or down by steps. It returns how many
// migrations were applied.
func Migrate(ctx context.Context, cfg Config, direction Direction, steps int) (int, error) {
	pool, d, err := connect(cfg)
	if err != nil {
		return 0, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = pool.Close() }()
	m := migration{db: pool, dialect: d, waiting: cfg.Waiting}
	n, err := m.run(ctx, migrate.MigrationDirection(direction), steps)
	if err != nil {
		return n, fmt.Errorf("migrating database: %w", Classify(err))
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
	ctx, unlock, err := m.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	newer, err := checkSchema(ctx, m.db, m.dialect)
	switch {
	case err == nil && newer != "" && to == migrate.Down:
		err = fmt.Errorf("%w: it has %s", errNewer, newer)
	case err == nil && to == migrate.Up:
		err = m.recordHashes(ctx) // before they are applied, so that none that is applied lacks its hash
	}
	if err == nil {
		n, err = m.apply(ctx, to, steps)
	}
	if err == nil && to == migrate.Down {
		err = m.forgetHashes(ctx)
	}
	if lost := context.Cause(ctx); err != nil && lost != nil {
		err = fmt.Errorf("%w: %w", lost, err)
	}
	return n, err
}

func (m migration) apply(ctx context.Context, to migrate.MigrationDirection, steps int) (int, error) {
	set := migrate.MigrationSet{TableName: MigrationsTable, IgnoreUnknown: true} // which checkSchema has looked at
	n, err := set.ExecMaxContext(ctx, m.db.DB, m.dialect.migrate, m.dialect.source(), to, steps)
	var failed *migrate.TxError // which hides what went wrong from errors.Is
	if errors.As(err, &failed) {
		return n, fmt.Errorf("applying %s: %w", failed.Migration.Id, failed.Err)
	}
	return n, err
}

var errNewer = fmt.Errorf("%w: the database is newer than this scanhook: migrate down with the newer one", core.ErrConflict)

// acquire keeps other processes from migrating until unlock. The context that it returns ends when the lock is lost.
func (m migration) acquire(ctx context.Context) (locked context.Context, unlock func(), err error) {
	if m.dialect.file != "" {
		unlock, err = m.lockFile(ctx)
		return ctx, unlock, err
	}
	tx, err := m.lockAdvisory(ctx)
	if err != nil {
		return ctx, nil, err
	}
	locked, lose := context.WithCancelCause(ctx)
	stop := stayAlive(locked, tx, func(err error) { lose(fmt.Errorf("losing the migration lock: %w", err)) })
	return locked, func() {
		stop()
		_ = tx.Rollback()
		lose(nil)
	}, nil
}

func (m migration) lockFile(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(m.dialect.beside(".lock"))
	for notify := m.notifier(); ; pause(ctx, lockPause) {
		locked, err := lock.TryLock()
		if err == nil && !locked {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w: the database's folder must exist and be writable", lock.Path(), err)
		}
		if locked {
			return func() { _ = lock.Unlock() }, nil
		}
		notify(func() string { return "another process migrates the database, and holds " + lock.Path() + " meanwhile" })
	}
}

// lockAdvisory takes a lock that ends with a transaction of its own: a session's lock would stay behind at a pooler. It
// polls, because a transaction that waits in the server holds a snapshot, for which CREATE INDEX CONCURRENTLY in the
// winner's migration would wait forever.
func (m migration) lockAdvisory(ctx context.Context) (*sqlx.Tx, error) {
	for notify := m.notifier(); ; pause(ctx, lockPause) {
		tx, err := m.db.BeginTxx(ctx, nil)
		if err != nil {
			return nil, explainPooler(ctx, m.db, err)
		}
		locked := false
		err = tx.GetContext(ctx, &locked, `SELECT pg_try_advisory_xact_lock($1, `+schemaKey+`)`, advisoryLock)
		if err == nil && locked {
			// Longer than keepAlive, and bounded because the process may be cut off.
			_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = '1min'`)
		}
		if err == nil && locked {
			return tx, nil
		}
		_ = tx.Rollback()
		if err != nil {
			return nil, err
		}
		notify(func() string { return m.holder(ctx) })
	}
}

// holder names the session that migrates.
func (m migration) holder(ctx context.Context) string {
	var who struct {
		PID         int       `db:"pid"`
		Application string    `db:"application"`
		Address     string    `db:"address"`
		Since       time.Time `db:"since"`
	}
	err := m.db.GetContext(ctx, &who, `
		SELECT a.pid, COALESCE(a.application_name, '') AS application, COALESCE(host(a.client_addr), 'its own machine') AS address,
			COALESCE(a.xact_start, a.backend_start) AS since
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid = $1 AND l.objid::int = `+schemaKey+` AND l.objsubid = 2 LIMIT 1`, advisoryLock)
	if err != nil {
		return "another process migrates the database"
	}
	return fmt.Sprintf("another process migrates the database, or holds its migration lock: PostgreSQL's session %d %q from %s,"+
		" since %s; should that one be dead, end it with SELECT pg_terminate_backend(%d)",
		who.PID, who.Application, who.Address, who.Since.UTC().Format(time.DateTime), who.PID)
}

// notifier calls waiting at once, and then now and then.
func (m migration) notifier() func(what func() string) {
	var next time.Time
	return func(what func() string) {
		if now := time.Now(); m.waiting != nil && !now.Before(next) {
			m.waiting(what())
			next = now.Add(repeatAfter)
		}
	}
}

// stayAlive executes something in a transaction now and then until stop: the server ends one that is idle, and so may what
// lies between.
func stayAlive(ctx context.Context, tx *sqlx.Tx, lost func(error)) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(keepAlive)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := tx.ExecContext(ctx, `SELECT 1`); err != nil {
				lost(err)
				return
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

// errPooler explains a pooler in statement mode, which closes the connection without a message that reaches the driver.
var errPooler = fmt.Errorf("%w: the server answers statements and hangs up when a transaction begins, as PgBouncer does with"+
	" pool_mode = statement: set pool_mode to transaction or session, or let database.url name PostgreSQL itself",
	core.ErrConflict)

// explainPooler returns err, the reason why no transaction began, or errPooler where single statements before and after it
// are answered.
func explainPooler(ctx context.Context, db *sqlx.DB, err error) error {
	for range 2 {
		if !errors.Is(err, driver.ErrBadConn) {
			return err
		}
		if _, answers := db.ExecContext(ctx, `SELECT 1`); answers != nil {
			return err
		}
		var tx *sql.Tx
		if tx, err = db.BeginTx(ctx, nil); err == nil {
			_ = tx.Rollback()
			return fmt.Errorf("beginning a transaction: %w", driver.ErrBadConn)
		}
	}
	if errors.Is(err, driver.ErrBadConn) {
		return errPooler
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// hashesTable keeps the hashes of the migrations that were applied. One that was edited afterwards has made another schema
// than this binary expects, on which the first statement that needs the difference would fail.
const hashesTable = "schema_texts"

// checkSchema tells whether the migrations that were applied to a database are those of this binary, and changes nothing. Later
// ones than ours are permitted: while a newer scanhook is rolled out, older ones run and start beside it. newer is the last of
// them.
func checkSchema(ctx context.Context, db *sqlx.DB, d dialect) (newer string, err error) {
	var applied []string
	err = db.SelectContext(ctx, &applied, `SELECT id FROM `+MigrationsTable+` ORDER BY id`)
	if IsUndefined(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	recorded, err := recordedHashes(ctx, db)
	if err != nil {
		return "", err
	}
	ours, err := migrations.Hashes(d.name)
	if err != nil {
		return "", err
	}
	last := slices.Max(slices.Collect(maps.Keys(ours)))
	for _, id := range applied {
		switch hash, known := ours[id]; {
		case !known && id > last:
			newer = id
		case !known:
			return "", otherSchema("it has " + id)
		case recorded[id] != hash:
			return "", otherSchema(id + " was different when it was applied")
		}
	}
	return newer, nil
}

// Tables lists the tables that the migrations of this binary make, for a database to which exactly these were applied.
// core.ErrNotFound where no scanhook has opened the database yet, core.ErrConflict where some are missing or there are others.
func (db *DB) Tables(ctx context.Context) (tables []string, err error) {
	if err := db.CheckComplete(ctx); err != nil {
		return nil, err
	}
	memory, err := sqlx.Open(sqlite.driver, ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { _ = memory.Close() }()
	memory.SetMaxOpenConns(1)
	set := migrate.MigrationSet{TableName: MigrationsTable}
	if _, err := set.ExecContext(ctx, memory.DB, sqlite.migrate, sqlite.source(), migrate.Up); err != nil {
		return nil, err
	}
	err = memory.SelectContext(ctx, &tables, `
		SELECT name FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '`+MigrationsTable+`' ORDER BY name`)
	return tables, err
}

// CheckComplete tells whether exactly the migrations of this binary were applied. Errors are those of Tables.
func (db *DB) CheckComplete(ctx context.Context) error {
	if err := db.checkComplete(ctx); err != nil {
		return fmt.Errorf("looking at the schema: %w", Classify(err))
	}
	return nil
}

func (db *DB) checkComplete(ctx context.Context) error {
	newer, err := checkSchema(ctx, db.DB, db.dialect)
	if err != nil {
		return err
	}
	if newer != "" {
		return fmt.Errorf("%w: a newer scanhook has applied %s: use that one", core.ErrConflict, newer)
	}
	ours, err := migrations.Hashes(db.name)
	if err != nil {
		return err
	}
	var applied int
	err = db.GetContext(ctx, &applied, `SELECT COUNT(*) FROM `+MigrationsTable)
	switch {
	case IsUndefined(err), err == nil && applied == 0:
		return fmt.Errorf("%w: no scanhook has made its tables in it", core.ErrNotFound)
	case err == nil && applied < len(ours):
		return fmt.Errorf("%w: it is older than this scanhook: bring it up to date with scanhook migrate", core.ErrConflict)
	}
	return err
}

func otherSchema(how string) error {
	return fmt.Errorf("%w: this scanhook did not make the database's schema (%s): run the scanhook that made it, or start with a"+
		" fresh database; what a version before the first release made cannot be brought up to date", core.ErrConflict, how)
}

func recordedHashes(ctx context.Context, db *sqlx.DB) (map[string]string, error) {
	var rows []struct {
		ID   string `db:"id"`
		Hash string `db:"sha256"`
	}
	err := db.SelectContext(ctx, &rows, `SELECT id, sha256 FROM `+hashesTable)
	if IsUndefined(err) {
		err = nil
	}
	recorded := map[string]string{}
	for _, row := range rows {
		recorded[row.ID] = row.Hash
	}
	return recorded, err
}

// recordHashes keeps the hashes of migrations before they are applied.
func (m migration) recordHashes(ctx context.Context) error {
	recorded, err := recordedHashes(ctx, m.db)
	if err != nil {
		return err
	}
	ours, err := migrations.Hashes(m.dialect.name)
	if err != nil {
		return err
	}
	maps.DeleteFunc(ours, func(id, hash string) bool { return recorded[id] == hash })
	if len(ours) == 0 { // the database's user may own the tables only
		return nil
	}
	_, err = m.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+hashesTable+` (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL)`)
	for id, hash := range ours {
		if err == nil {
			_, err = m.db.ExecContext(ctx, m.db.Rebind(`
				INSERT INTO `+hashesTable+` (id, sha256) VALUES (?, ?)
				ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256`), id, hash)
		}
	}
	return err
}

// forgetHashes drops the hashes of migrations that were reverted.
func (m migration) forgetHashes(ctx context.Context) error {
	_, err := m.db.ExecContext(ctx, `DELETE FROM `+hashesTable+` WHERE id NOT IN (SELECT id FROM `+MigrationsTable+`)`)
	if IsUndefined(err) {
		return nil
	}
	return err
}
