// Package chaos holds Scanhook to its promise that a 2xx is on disk, by force: `make chaos` runs real processes on a
// real database against fake platforms, kills the ones, restarts the other and has the third answer with
// every fault they know, under a steady stream of pushes. What must hold afterwards is in internal/servetest.
//
// It consists of tests alone. Reading order: chaos_test.go, disruptor_test.go, api_faults_test.go, mutants_test.go.
package chaos
