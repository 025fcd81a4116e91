// Package bench measures what a webhook call costs: `make bench` compares, in one run, calls that are only verified, calls that
// are a transaction each, and ours, which are kept first and derived after. The load comes from a process of its own.
//
// It consists of tests alone. Reading order: bench_test.go, servers_test.go, load_test.go.
package bench
