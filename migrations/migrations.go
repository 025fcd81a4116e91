// Package migrations carries the schema: one folder of sql-migrate files per engine, with the same file names in both.
// They are applied, under a lock, by store.Open.
package migrations

import "embed"

// Files holds postgres/NNNN_name.sql and sqlite/NNNN_name.sql.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
