// Package scanbench measures what the built-in scanner costs: `make bench-scan` makes repositories with real git, pushes to a
// real `scanhook serve`, and prints its CPU, its time and its memory beside those of the gitleaks command on a checkout of the
// same tree. No test fails for a figure, because a machine does other work too; but what is found must be right. That holds also
// while mirrors are deleted, cut and locked, which is tried as well.
//
// It consists of tests alone and needs Linux. Reading order: scanbench_test.go, figures_test.go, bench_test.go,
// command_test.go, repository_test.go, text_test.go; damages_test.go.
package scanbench
