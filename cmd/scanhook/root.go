package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
)

// usageError is a command line that makes no sense, as opposed to a command that failed.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// options are the flags that every command has.
type options struct {
	config  string
	verbose bool
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	var opts options
	root := &cobra.Command{
		Use:   "scanhook",
		Short: "Webhooks in, security scans, commit statuses out",
		Long: "Scanhook receives webhooks from GitHub and GitLab, has each commit scanned,\n" +
			"and answers with a commit status that says what is new in it.",
		Example:       "  scanhook demo\n  scanhook init && scanhook serve",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().StringVar(&opts.config, "config", cmp.Or(os.Getenv("SCANHOOK_CONFIG"), "config.yaml"),
		"configuration `FILE` (also SCANHOOK_CONFIG)")
	root.PersistentFlags().BoolVarP(&opts.verbose, "verbose", "v", false, "log more")
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpFunc(showHelp)
	root.Version = buildVersion()
	root.SetVersionTemplate(versionLine())
	for _, command := range []func(*options) *cobra.Command{
		newServe, newDemo, newInit, newMigrate, newBackup, newCheck, newSend, newUpload, newExplain, newHooks, newRecover, newEPSS,
		newVersion,
	} {
		root.AddCommand(strict(command(&opts)))
	}
	return strict(root)
}

// strict makes wrong arguments a usageError, like wrong flags.
func strict(cmd *cobra.Command) *cobra.Command {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{cmd.CommandPath(), err}
		}
		return nil
	}
	return cmd
}

// exactly and atLeast want that many arguments, or some, and otherwise say in which form.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return fits(cmd, args, len(args) == n) }
}

func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return fits(cmd, args, len(args) >= n) }
}

func fits(cmd *cobra.Command, args []string, fit bool) error {
	if fit {
		return nil
	}
	form := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	return fmt.Errorf("use it as: %s (%s given)", form, core.Plural(len(args), "argument"))
}

// load reads the configuration. Its warnings are for scanhook check and scanhook serve.
func (o *options) load() (*config.Config, error) { return config.Load(o.config, os.LookupEnv) }

// logger writes JSON lines where a machine reads, and text for people.
func (o *options) logger(stderr io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	handler := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(os.Getenv("SCANHOOK_LOG"), "json") {
		return slog.New(slog.NewJSONHandler(stderr, handler))
	}
	return slog.New(slog.NewTextHandler(stderr, handler))
}

// quietLogger says nothing unless asked to, for commands that tell their own story.
func (o *options) quietLogger(stderr io.Writer) *slog.Logger {
	if o.verbose {
		return o.logger(stderr)
	}
	return slog.New(slog.DiscardHandler)
}
