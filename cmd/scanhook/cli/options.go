package cli

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
)

// Options are the flags that every command has.
type Options struct {
	Config  string // path of the configuration
	Verbose bool

	Types []config.PlatformType // that the configuration may name
}

// Load reads the configuration. Its warnings are for scanhook check and scanhook serve.
func (o *Options) Load() (*config.Config, error) { return config.Load(o.Config, o.Types, os.LookupEnv) }

// Parse is Load for what was read from the file.
func (o *Options) Parse(data []byte) (*config.Config, error) {
	return config.Parse(o.Config, data, o.Types, os.LookupEnv)
}

// Logger writes JSON lines where a machine reads, and text for people.
func (o *Options) Logger(stderr io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if o.Verbose {
		level = slog.LevelDebug
	}
	handler := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(os.Getenv("SCANHOOK_LOG"), "json") {
		return slog.New(slog.NewJSONHandler(stderr, handler))
	}
	return slog.New(slog.NewTextHandler(stderr, handler))
}

// QuietLogger logs nothing without --verbose; it is for commands that print what they do.
func (o *Options) QuietLogger(stderr io.Writer) *slog.Logger {
	if o.Verbose {
		return o.Logger(stderr)
	}
	return slog.New(slog.DiscardHandler)
}

// ReportWaiting prints what a command waits for.
func ReportWaiting(out io.Writer) func(string) {
	return func(what string) { fmt.Fprintf(out, "Waiting: %s.\n", what) }
}

// CompletePlatforms offers the platforms of the configuration.
func (o *Options) CompletePlatforms() cobra.CompletionFunc {
	return o.CompleteNames(func(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.Platforms)) })
}

// CompleteNames offers names out of the configuration, and nothing where there is none that can be read.
func (o *Options) CompleteNames(names func(*config.Config) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cfg, err := o.Load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}
