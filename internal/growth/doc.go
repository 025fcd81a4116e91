// Package growth measures whether Scanhook slows down as its database grows: `make bench` runs the real serve against
// a platform that answers at once. A load generator in a process of its own calls it, and the rates at the beginning and
// at the end are printed. No test fails for a rate, because the rates of a machine that does other work vary.
//
// It consists of tests alone. Reading order: growth_test.go, posting_test.go, load_test.go, server_test.go,
// platform_test.go.
package growth
