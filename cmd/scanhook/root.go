package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
)

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
		Args:          cli.OnlyCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().StringVar(&opts.config, "config", cmp.Or(os.Getenv("SCANHOOK_CONFIG"), "config.yaml"),
		"configuration `FILE` (also SCANHOOK_CONFIG)")
	root.PersistentFlags().BoolVarP(&opts.verbose, "verbose", "v", false, "log more")
	root.SetFlagErrorFunc(cli.WrongFlag)
	root.SetHelpFunc(cli.ShowHelp)
	root.Version = buildVersion()
	root.SetVersionTemplate(versionLine())
	for _, command := range []func(*options) *cobra.Command{
		newServe, newDemo, newInit, newMigrate, newBackup, newCheck, newSend, newUpload, newExplain, newHooks, newRecover, newEPSS,
		newVersion,
	} {
		root.AddCommand(cli.Strict(command(&opts)))
	}
	return cli.Strict(root)
}

// load reads the configuration. Its warnings are for scanhook check and scanhook serve.
func (o *options) load() (*config.Config, error) {
	return config.Load(o.config, platformTypes(), os.LookupEnv)
}

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

// sayWaiting tells a person why nothing happens yet.
func sayWaiting(out io.Writer) func(string) {
	return func(what string) { fmt.Fprintf(out, "Waiting: %s.\n", what) }
}

func completePlatforms(opts *options) cobra.CompletionFunc {
	return completeNames(opts, func(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.Platforms)) })
}

// completeNames offers names out of the configuration, and nothing where there is none that can be read.
func completeNames(opts *options, names func(*config.Config) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cfg, err := opts.load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}
