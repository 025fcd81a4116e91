package store

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

// textsTable keeps what the migrations said that were applied, by hash. One that was changed afterwards has made another
// schema than ours, on which the first statement that needs the difference would fail.
const textsTable = "schema_texts"

// texts are the hashes of our migrations. Line ends do not count, which a checkout may change.
func (d dialect) texts() (map[string]string, error) {
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

// checkTexts tells whether the migrations that were applied to a database are ours, and changes nothing.
func checkTexts(ctx context.Context, db *sqlx.DB, d dialect) error {
	var applied []string
	err := db.SelectContext(ctx, &applied, `SELECT id FROM `+schemaTable+` ORDER BY id`)
	if isUndefined(err) {
		return nil
	}
	if err != nil {
		return err
	}
	kept, err := keptTexts(ctx, db)
	if err != nil {
		return err
	}
	ours, err := d.texts()
	if err != nil {
		return err
	}
	whole := true
	for _, id := range applied {
		switch ours, known := ours[id]; {
		case !known:
			return fmt.Errorf("%w: it has %s", errNewer, id)
		case kept[id] == "":
			whole = false
		case kept[id] != ours:
			return otherText(id + " said something else when it was applied")
		}
	}
	if !whole { // what was made before there were hashes
		return compareSchema(ctx, db, d, applied)
	}
	return nil
}

func otherText(how string) error {
	return fmt.Errorf("%w: this scanhook did not make the database's schema (%s): run the scanhook that made it, or start with a"+
		" fresh database; what a version before the first release made cannot be brought up to date", core.ErrConflict, how)
}

func keptTexts(ctx context.Context, db *sqlx.DB) (map[string]string, error) {
	var rows []struct {
		ID   string `db:"id"`
		Hash string `db:"sha256"`
	}
	err := db.SelectContext(ctx, &rows, `SELECT id, sha256 FROM `+textsTable)
	if isUndefined(err) {
		err = nil
	}
	kept := map[string]string{}
	for _, row := range rows {
		kept[row.ID] = row.Hash
	}
	return kept, err
}

// keepTexts notes our migrations before they are applied, and those of a database that has no notes but our schema.
func (m migration) keepTexts(ctx context.Context) error {
	kept, err := keptTexts(ctx, m.db)
	if err != nil {
		return err
	}
	ours, err := m.dialect.texts()
	if err != nil || maps.Equal(kept, ours) {
		return err
	}
	_, err = m.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+textsTable+` (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL)`)
	for _, id := range slices.Sorted(maps.Keys(ours)) {
		if err == nil && kept[id] != ours[id] {
			_, err = m.db.ExecContext(ctx, m.db.Rebind(`
				INSERT INTO `+textsTable+` (id, sha256) VALUES (?, ?)
				ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256`), id, ours[id])
		}
	}
	return err
}

// forgetTexts drops the notes of migrations that were taken back.
func (m migration) forgetTexts(ctx context.Context) error {
	_, err := m.db.ExecContext(ctx, `DELETE FROM `+textsTable+` WHERE id NOT IN (SELECT id FROM `+schemaTable+`)`)
	if isUndefined(err) {
		return nil
	}
	return err
}

// compareSchema looks for differences to the schema that the applied migrations would make here, which SQLite in memory
// tells for both engines: they have the same tables, columns and indexes.
func compareSchema(ctx context.Context, db *sqlx.DB, d dialect, applied []string) error {
	memory, err := sqlx.Open(sqlite.driver, ":memory:")
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	memory.SetMaxOpenConns(1)
	set := migrate.MigrationSet{TableName: schemaTable}
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

// compareParts lets a database have tables and indexes beside ours.
func compareParts(want, have []string) error {
	tables := map[string]bool{}
	for _, part := range want {
		if !slices.Contains(have, part) {
			return otherText("it has no " + part)
		}
		table, _, _ := strings.Cut(part, ".")
		tables[table] = true
	}
	for _, part := range have {
		if table, _, column := strings.Cut(part, "."); column && tables[table] && !slices.Contains(want, part) {
			return otherText("it has the " + part)
		}
	}
	return nil
}
