// Package chaos holds Scanhook to its promise that a 2xx is on disk, by force: `make chaos` runs real processes on a
// real database against fake platforms, kills the ones, restarts the other and has the third answer with
// every fault they know, under a steady stream of pushes. What must hold afterwards is in verdict_test.go.
//
// It consists of tests alone. Reading order: chaos_test.go, plan_test.go, arena_test.go, sender_test.go,
// conductor_test.go, verdict_test.go, proof_test.go.
package chaos
