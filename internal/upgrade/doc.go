// Package upgrade holds Scanhook to its promise that an upgrade loses nothing: `make upgrade` runs the binary of the last release
// beside the present one on one database, under a steady stream of pushes, pipelines and reports. The present one has a migration
// more, which adds a column, an index and a table. Replicas are replaced and restarted one after the other, forth and back. No call
// may be answered 5xx, no row lost or doubled.
//
// It consists of tests alone. Reading order: upgrade_test.go, binaries_test.go, mutant_test.go.
package upgrade
