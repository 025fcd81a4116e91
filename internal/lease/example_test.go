package lease_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/internal/lease"
)

// A worker is a claim, a unit of work and a settlement. In the program the first and the last are methods of the store.
func ExampleWorker() {
	jobs := []string{"a.go", "b.go"}
	worker := lease.Worker[string, int]{
		Name: "lengths", Every: time.Second, Lease: time.Minute, Log: slog.New(slog.DiscardHandler),
		Claim: func(_ context.Context, most int) ([]string, error) {
			claimed := jobs[:min(most, len(jobs))]
			jobs = jobs[len(claimed):]
			return claimed, nil
		},
		Work: func(_ context.Context, name string) (int, error) { return len(name), nil },
		Settle: func(_ context.Context, name string, length int) error {
			fmt.Println(name, "has", length, "letters")
			return nil
		},
	}
	for worked := true; worked; { // Run does this until its context ends, with pauses and in parallel
		worked, _ = worker.Once(context.Background())
	}
	// Output:
	// a.go has 4 letters
	// b.go has 4 letters
}
