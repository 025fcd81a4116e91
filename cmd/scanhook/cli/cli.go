// Package cli is what all commands of scanhook share: how arguments are refused, how help is set, how a server is called as the
// platforms do, and how text from other machines is printed on a terminal. It knows no command.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/suggest"
)

// UsageError is a command line that makes no sense, as opposed to a command that failed.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// WrongUse returns a UsageError with a sentence.
func WrongUse(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// NoAnswer is the error of a command that got no answer: a server is out of reach, or the time is up.
type NoAnswer struct{ Err error }

func (e *NoAnswer) Error() string { return e.Err.Error() }
func (e *NoAnswer) Unwrap() error { return e.Err }

// Strict makes wrong arguments a UsageError, like wrong flags.
func Strict(cmd *cobra.Command) *cobra.Command {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &UsageError{err}
		}
		return nil
	}
	return cmd
}

// Exactly accepts n arguments; the error shows how the command is written.
func Exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return accept(cmd, args, len(args) == n) }
}

// AtMost accepts n arguments or fewer.
func AtMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return accept(cmd, args, len(args) <= n) }
}

// AtLeast accepts n arguments or more.
func AtLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return accept(cmd, args, len(args) >= n) }
}

func accept(cmd *cobra.Command, args []string, fit bool) error {
	if fit {
		return nil
	}
	form := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	return fmt.Errorf("use it as: %s (%s given)", form, core.Plural(len(args), "argument"))
}

// OnlyCommands refuses what is not a command, and names the nearest one, or all.
func OnlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	if starts := cmd.SuggestionsFor(args[0]); len(starts) > 0 { // the argument is the beginning of these
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], starts[0])
	}
	if near := suggest.Nearest(args[0], names); near != "" {
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], near)
	}
	return fmt.Errorf("there is no command %q; there are: %s", args[0], strings.Join(names, ", "))
}

// WrongFlag makes a UsageError of pflag's error, and names the nearest flag.
func WrongFlag(cmd *cobra.Command, err error) error {
	unknown := new(pflag.NotExistError)
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
		if near := suggest.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return &UsageError{err}
}

// CompleteFiles offers one file with one of the extensions.
func CompleteFiles(extensions ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

// OpenInput opens a file, or standard input for "-".
func OpenInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
}
