package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/source"
)

// The placeholders in a scanner's command.
const (
	sourcePlaceholder = "{source}"
	outputPlaceholder = "{output}"
)

// maxReport bounds the report of a scanner, in bytes.
const maxReport = 256 << 20

const defaultTimeout = 10 * time.Minute

// Scanner says how to run one scanner; either Builtin or Command is set.
type Scanner struct {
	Builtin string        // "gitleaks"
	Command []string      // argument vector; {source} and {output} are replaced in each argument
	Timeout time.Duration // 10 minutes by default
}

// run runs the scanner of a name over a checkout.
func (s Scanner) run(ctx context.Context, name string, space sandbox.Workspace) (core.Report, error) {
	timeout := cmp.Or(s.Timeout, defaultTimeout)
	ctx, cancel := space.Bound(ctx, timeout, fmt.Errorf("%s did not end within %s and was stopped: "+
		"raise scanners.%s.timeout or let it look at less", name, timeout, name))
	defer cancel(nil)
	switch {
	case len(s.Command) > 0:
		report, err := runCommand(ctx, cancel, name, s.Command, space)
		source.MakeRelative(&report, space.Source)
		return report, err
	case s.Builtin == gitleaks.Name:
		return gitleaks.Search(ctx, space.Source)
	}
	return core.Report{}, fmt.Errorf("scanners.%s has neither a command nor a known builtin: the one there is is %s",
		name, gitleaks.Name)
}

// runCommand runs a scanner over the checkout and reads its report, from its {output} file or else its standard output.
//
// Scanners exit with a code other than 0 if they have found something. So a report with results counts whatever the code, an
// empty one only with code 0. Errors are sentences; what a killed scanner did report is returned beside them.
func runCommand(ctx context.Context, cancel context.CancelCauseFunc, name string, argv []string, space sandbox.Workspace) (
	core.Report, error,
) {
	output := filepath.Join(space.Reports, "report")
	cmd, err := prepare(ctx, name, argv, output, space)
	if err != nil {
		return core.Report{}, err
	}
	said := new(sandbox.Tail)
	err = capture(cmd, said, output, !mentions(argv, outputPlaceholder), func() { cancel(tooLong(name)) })
	if ctx.Err() != nil {
		return core.Report{}, context.Cause(ctx)
	}
	if fault := sandbox.FaultOf(err, filepath.Dir(space.Root)); fault != nil || err != nil && !sandbox.Exited(err) {
		return core.Report{}, fmt.Errorf("%s could not be run: %w", name, cmp.Or(fault, err))
	}
	report, err := judge(name, cmd.ProcessState, output, strings.ReplaceAll(said.String(), space.Source+"/", ""))
	if err != nil && space.Fits() == nil {
		err = cmp.Or(sandbox.FaultInOutput(err, said.String(), filepath.Dir(space.Root)), err)
	}
	return report, err
}

// prepare looks the program up before the checkout is its working directory: a relative path must not lead into it.
func prepare(ctx context.Context, name string, argv []string, output string, space sandbox.Workspace) (*exec.Cmd, error) {
	program, err := exec.LookPath(argv[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%q cannot be found: install it where Scanhook runs, or correct scanners.%s.command: %w",
			argv[0], name, err)
	}
	placeholders := strings.NewReplacer(sourcePlaceholder, space.Source, outputPlaceholder, output)
	cmd := exec.CommandContext(ctx, program)
	for _, arg := range argv[1:] {
		cmd.Args = append(cmd.Args, placeholders.Replace(arg))
	}
	cmd.Dir = space.Source
	cmd.Env = space.Environment()
	return cmd, nil
}

// capture runs cmd and keeps the end of its output in said. fromStdout writes its standard output to the file output, and
// full is called if that grows too large.
func capture(cmd *exec.Cmd, said *sandbox.Tail, output string, fromStdout bool, full func()) error {
	cmd.Stdout, cmd.Stderr = said, said
	if !fromStdout {
		return sandbox.RunGroup(cmd)
	}
	file, err := os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	into := &sandbox.Capped{Writer: file, Left: maxReport, Full: full}
	cmd.Stdout = into
	err = sandbox.RunGroup(cmd)
	return errors.Join(err, into.Err, file.Close())
}

// judge decides what a scanner that has ended has reported.
func judge(name string, state *os.ProcessState, output, said string) (core.Report, error) {
	report, err := readReport(output)
	if err == nil && (state.Success() || state.Exited() && report.Results > 0 || report.Failure != "") {
		return report, nil
	}
	said = cmp.Or(reports.RedactText(said), "nothing")
	if err != nil {
		return core.Report{}, fmt.Errorf("%s ended with %s and left no report that can be read (%w); it said: %s",
			name, state, err, said)
	}
	return report, fmt.Errorf("%s ended with %s; it said: %s", name, state, said)
}

func readReport(path string) (core.Report, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return core.Report{}, errors.New("it wrote none")
	case err != nil:
		return core.Report{}, err
	case !info.Mode().IsRegular():
		return core.Report{}, errors.New("it is not a regular file")
	case info.Size() == 0:
		return core.Report{}, errors.New("it is empty")
	}
	file, err := os.Open(path)
	if err != nil {
		return core.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return reports.Parse(file, reports.Limits{MaxBytes: maxReport})
}

func mentions(argv []string, placeholder string) bool {
	return strings.Contains(strings.Join(argv, "\x00"), placeholder)
}

func tooLong(name string) error {
	return fmt.Errorf("%s wrote a report of more than %d MiB and was stopped: let it look at less", name, maxReport>>20)
}
