// Command scanhook receives webhooks from Git platforms, has commits scanned and answers with commit statuses.
//
// It is the top floor: it knows every room and owns nothing but flags (a file for each command, and files that begin
// with the command's name for its parts: check_hooks.go is what `scanhook check` says of webhooks), the wiring (app.go,
// with adapters.go, monitoring.go and pages.go) and the run loop (serve.go, listener.go). sandbox.go is Scanhook beside a
// fake platform, for the demo and the end-to-end tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitAway   = 3 // the server could not be reached, or its answer took too long
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code; tests call it as main does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "scanhook:", err)
	if usage := new(usageError); errors.As(err, &usage) {
		fmt.Fprintf(stderr, "Run '%s --help' for how to use it.\n", usage.command)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	usage, away := new(usageError), new(noAnswer)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &away):
		return exitAway
	}
	return exitFailed
}
