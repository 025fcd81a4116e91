package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/migrations"
)

// hashesTable keeps the hashes of the migrations that were applied. One that was edited afterwards has made another schema
// than this binary expects, on which the first statement that needs the difference would fail.
const hashesTable = "schema_texts"

// hashes are those of this binary's migrations. Line ends do not count, because a checkout may change them.
func (d dialect) hashes() (map[string]string, error) {
	hashes := map[string]string{}
	files, err := fs.Glob(migrations.Files, d.name+"/*.sql")
	for _, file := range files {
		text, err := migrations.Files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(strings.ReplaceAll(string(text), "\r\n", "\n")))
		hashes[strings.TrimPrefix(file, d.name+"/")] = hex.EncodeToString(sum[:])
	}
	return hashes, err
}

// checkSchema tells whether the migrations that were applied to a database are those of this binary, and changes nothing.
func checkSchema(ctx context.Context, db *sqlx.DB, d dialect) error {
	var applied []string
	err := db.SelectContext(ctx, &applied, `SELECT id FROM `+MigrationsTable+` ORDER BY id`)
	if IsUndefined(err) {
		return nil
	}
	if err != nil {
		return err
	}
	recorded, err := recordedHashes(ctx, db)
	if err != nil {
		return err
	}
	ours, err := d.hashes()
	if err != nil {
		return err
	}
	whole := true
	for _, id := range applied {
		switch ours, known := ours[id]; {
		case !known:
			return fmt.Errorf("%w: it has %s", errNewer, id)
		case recorded[id] == "":
			whole = false
		case recorded[id] != ours:
			return otherSchema(id + " was different when it was applied")
		}
	}
	if !whole { // it was made before there were hashes
		return compareSchema(ctx, db, d, applied)
	}
	return nil
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

// recordHashes keeps the hashes of migrations before they are applied, and those of a database that has this schema but no
// hashes.
func (m migration) recordHashes(ctx context.Context) error {
	recorded, err := recordedHashes(ctx, m.db)
	if err != nil {
		return err
	}
	ours, err := m.dialect.hashes()
	if err != nil || maps.Equal(recorded, ours) {
		return err
	}
	_, err = m.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+hashesTable+` (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL)`)
	for _, id := range slices.Sorted(maps.Keys(ours)) {
		if err == nil && recorded[id] != ours[id] {
			_, err = m.db.ExecContext(ctx, m.db.Rebind(`
				INSERT INTO `+hashesTable+` (id, sha256) VALUES (?, ?)
				ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256`), id, ours[id])
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

// compareSchema looks for differences to the schema that the applied migrations would make, in an SQLite database in
// memory for both engines: they have the same tables, columns and indexes.
func compareSchema(ctx context.Context, db *sqlx.DB, d dialect, applied []string) error {
	memory, err := sqlx.Open(sqlite.driver, ":memory:")
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	memory.SetMaxOpenConns(1)
	set := migrate.MigrationSet{TableName: MigrationsTable}
	if _, err := set.ExecMaxContext(ctx, memory.DB, sqlite.migrate, sqlite.source(), migrate.Up, len(applied)); err != nil {
		return err
	}
	var want, have []string
	if err := memory.SelectContext(ctx, &want, sqlite.schemaParts); err != nil {
		return err
	}
	if err := db.SelectContext(ctx, &have, d.schemaParts); err != nil {
		return err
	}
	return compareParts(want, have)
}

// compareParts permits other tables and indexes beside ours.
func compareParts(want, have []string) error {
	tables := map[string]bool{}
	for _, part := range want {
		if !slices.Contains(have, part) {
			return otherSchema("it has no " + part)
		}
		table, _, _ := strings.Cut(part, ".")
		tables[table] = true
	}
	for _, part := range have {
		if table, _, column := strings.Cut(part, "."); column && tables[table] && !slices.Contains(want, part) {
			return otherSchema("it has the " + part)
		}
	}
	return nil
}
