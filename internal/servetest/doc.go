// Package servetest runs real `scanhook serve` processes on a real database and against fake platforms, under a load of signed
// pushes, pipelines and uploads, and checks what was acknowledged against what the database holds and the platforms show. The
// tests of internal/chaos, internal/upgrade and internal/failover differ in what they do to the processes and the database
// meanwhile. It needs Linux.
//
// Reading order: cluster.go, replica.go, database.go, pushes.go, sender.go, rows.go, invariants.go.
package servetest
