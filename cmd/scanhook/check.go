package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// checkTimeout bounds each question that scanhook check asks of another machine.
const checkTimeout = 10 * time.Second

func newCheck(opts *options) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Test the configuration and what it needs, and change nothing",
		Long: "Reads the configuration and prints a line for each thing that it speaks of:\n" +
			"  ok    works\n" +
			"  off   is not used\n" +
			"  warn  works, but hardly as it is meant\n" +
			"  fail  is broken; the command exits with 1\n" +
			"Statuses that wait because a token may not post them are tried again at once by the running server.",
		Example: "  scanhook check --config /etc/scanhook/config.yaml",
		Args:    exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			i := inspection{Config: cfg, file: opts.config}
			lines := i.inspect(cmd.Context())
			return printLines(cmd.OutOrStdout(), lines)
		},
	}
}

// verdict is the first word of a line of scanhook check.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictOff  verdict = "off"
	verdictWarn verdict = "warn"
	verdictFail verdict = "fail"
)

// line is one thing that was checked.
type line struct {
	verdict verdict
	subject string
	text    string // a sentence without its full stop
}

var errBroken = errors.New("something is broken: mend the lines that start with fail")

func printLines(out io.Writer, lines []line) error {
	var err error
	for _, l := range lines {
		fmt.Fprintf(out, "%-4s  %s: %s\n", l.verdict, l.subject, l.text)
		if l.verdict == verdictFail {
			err = errBroken
		}
	}
	return err
}
