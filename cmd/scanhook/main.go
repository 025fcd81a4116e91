// Command scanhook receives webhooks from Git platforms, has commits scanned and answers with commit statuses.
//
// Each command has a file of its name. A command that is a program of its own (check, upload) has a package
// below; cli is what all commands share. wire.go makes all parts out of the configuration, platforms.go the adapters,
// loops.go what works in the background; serve.go runs them behind listener.go, and reload.go has them made anew. sandbox.go
// is Scanhook beside a simulated platform, for the demo and the tests.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/cage"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitAway   = 3 // the server could not be reached, or its answer took too long
)

func main() {
	if err := cage.Conceal(); err != nil {
		fmt.Fprintln(os.Stderr, "scanhook: warning: other processes can see secrets of this one:", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code; tests call it as main does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "scanhook:", err)
	if wrong := new(cli.UsageError); errors.As(err, &wrong) {
		fmt.Fprintf(stderr, "Run '%s --help' for how to use it.\n", cmd.CommandPath())
	}
	return exitCode(err)
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	opts := cli.Options{Types: platformTypes()}
	root := &cobra.Command{
		Use:   "scanhook",
		Short: "Webhooks in, security scans, commit statuses out",
		Long: "Scanhook receives webhooks from GitHub, GitLab and Gitea, has each commit scanned,\n" +
			"and answers with a commit status that says what is new in it.",
		Example:       "  scanhook demo\n  scanhook init && scanhook serve",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cli.OnlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().StringVar(&opts.Config, "config", cmp.Or(os.Getenv("SCANHOOK_CONFIG"), "config.yaml"),
		"configuration `FILE` (also SCANHOOK_CONFIG)")
	root.PersistentFlags().BoolVarP(&opts.Verbose, "verbose", "v", false, "log more")
	root.SetFlagErrorFunc(cli.WrongFlag)
	root.SetHelpFunc(cli.ShowHelp)
	root.Version = buildVersion()
	root.SetVersionTemplate(versionLine())
	for _, command := range []func(*cli.Options) *cobra.Command{
		newServe, newDemo, newInit, newMigrate, newBackup, newMove, newConfig, newCheck, newSend, newUpload, newWait, newExport, newExplain, newHooks,
		newRecover, newScan, newEPSS,
		newVersion,
	} {
		root.AddCommand(cli.Strict(command(&opts)))
	}
	return cli.Strict(root)
}

func exitCode(err error) int {
	usage, away := new(cli.UsageError), new(cli.NoAnswer)
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
