// Package growth measures whether Scanhook slows down as its database grows: `make bench` runs the real serve against
// a platform that answers at once. A load generator in a process of its own calls it, and the rates at the beginning and
// at the end are printed. No test fails for a rate, because the rates of a machine that does other work vary.
//
// `make growth` compares what the steps of a push and the pages cost in databases of several sizes, and counts the indexes
// that a push changes.
//
// It also prints what the page of alerts costs in a small and in a large database.
//
// It consists of tests alone. Reading order: growth_test.go, posting_test.go, load_test.go, server_test.go,
// platform_test.go; sizes_test.go, steps_test.go, fill_test.go; indexes_test.go; alerts_test.go.
package growth
