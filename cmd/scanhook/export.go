package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/internal/reports/export"
)

const exportHelp = `Writes the scan of a commit in the format of another program. The commit is the argument, else that of the CI job,
else HEAD of the git repository here; the project is found as by upload.

With --wait it waits until the scan has ended, writes the report, and exits by the verdict as wait does: in a GitLab job
with artifacts:reports:codequality the findings show in the merge request, and the job is the gate.`

// exported is one run of scanhook export.
type exported struct {
	remote.Target
	format, output string
	wait           bool
	limit          time.Duration
}

func newExport(opts *cli.Options) *cobra.Command { return newExportWith(opts, os.LookupEnv) }

func newExportWith(opts *cli.Options, env remote.Env) *cobra.Command {
	e := exported{Target: newTarget(), limit: verdictTimeout}
	cmd := &cobra.Command{
		Use: "export [SHA]", Short: "Write a scan as SARIF, CSV or GitLab's reports", Long: exportHelp,
		Example: "  scanhook export --format gl-codequality --output gl-code-quality-report.json --wait\n" +
			"  scanhook export --scan https://scanhook.example/scans/6ba7b810-9dad-41d1-80b4-00c04fd430c8 --format csv",
		Args: cli.AtMost(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(formatNames(), e.format) {
				return cli.WrongUse("there is no format %q; there are: %s", e.format, strings.Join(formatNames(), ", "))
			}
			if err := completeTarget(cmd, opts, env, &e.Target, args); err != nil {
				return err
			}
			return e.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addTargetFlags(cmd, &e.Target, opts)
	flags := cmd.Flags()
	flags.StringVar(&e.format, "format", export.SARIF.Name, "`FORMAT`: "+strings.Join(formatNames(), ", "))
	flags.StringVarP(&e.output, "output", "o", "-", "`FILE` to write, - for standard output")
	flags.BoolVar(&e.wait, "wait", false, "wait for the verdict, and exit by it")
	flags.DurationVar(&e.limit, "timeout", e.limit, "how much `TIME` to wait")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	return cmd
}

func formatNames() (names []string) {
	for _, format := range export.Formats {
		names = append(names, format.Name)
	}
	return names
}

func (e *exported) run(ctx context.Context, out, errs io.Writer) error {
	state, err := e.find(ctx, errs)
	if err != nil {
		return err
	}
	path := "/scans/" + url.PathEscape(state.Scan) + "/" + e.format
	err = e.writeTo(out, func(w io.Writer) error { return e.Client(errs).Download(ctx, path, w) })
	if err == nil && e.wait {
		fmt.Fprintln(errs, cli.OneLine("scan "+state.Scan+": "+state.String()))
		err = state.Judge()
	}
	return err
}

func (e *exported) find(ctx context.Context, errs io.Writer) (remote.State, error) {
	if e.wait {
		return e.WaitFor(ctx, e.limit, errs)
	}
	state, err := e.Find(ctx, e.Client(errs))
	if err == nil && state.Scan == "" {
		err = &cli.NoAnswer{Err: fmt.Errorf("no scan of commit %s is known; --wait waits for one", e.Commit.SHA)}
	}
	return state, err
}

// writeTo replaces the file only by a whole report.
func (e *exported) writeTo(out io.Writer, write func(io.Writer) error) error {
	if e.output == "-" {
		return write(out)
	}
	file, err := os.CreateTemp(filepath.Dir(e.output), ".scanhook-export-*")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	err = write(file)
	if closed := file.Close(); err == nil && closed != nil {
		err = fmt.Errorf("writing the report: %w", closed)
	}
	if err == nil {
		err = os.Chmod(file.Name(), 0o644) //nolint:gosec // as a shell would leave it: the CI system reads it as another user
	}
	if err == nil {
		err = os.Rename(file.Name(), e.output)
	}
	return err
}
