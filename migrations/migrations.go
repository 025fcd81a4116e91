// Package migrations carries the schema: one folder of sql-migrate files per engine, with the same file names in both.
// They are applied, under a lock, by store.Open.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// Files holds postgres/NNNN_name.sql and sqlite/NNNN_name.sql.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS

// Newest is the number of the newest migration, with leading zeros.
func Newest() string {
	files, _ := fs.Glob(Files, "postgres/*.sql") // in the order of their names; the pattern is right
	number, _, _ := strings.Cut(path.Base(files[len(files)-1]), "_")
	return number
}

// Hashes are those of an engine's migrations, by their file names. Line ends do not count, because a checkout may change them.
func Hashes(engine string) (map[string]string, error) {
	hashes := map[string]string{}
	files, err := fs.Glob(Files, engine+"/*.sql")
	for _, file := range files {
		text, err := Files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(strings.ReplaceAll(string(text), "\r\n", "\n")))
		hashes[path.Base(file)] = hex.EncodeToString(sum[:])
	}
	return hashes, err
}
