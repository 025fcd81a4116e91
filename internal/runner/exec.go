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

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// The placeholders in a scanner's command.
const (
	sourcePlaceholder = "{source}"
	outputPlaceholder = "{output}"
)

// maxReport bounds the report of a scanner, in bytes.
const maxReport = 256 << 20

// runCommand runs a scanner over the checkout and reads its report, from its {output} file or else its standard output.
//
// Scanners exit with other codes than 0 for having found something, so a report with results counts whatever the code;
// an empty one only with code 0. Errors are sentences; what a killed scanner did report is returned beside them.
func runCommand(ctx context.Context, cancel context.CancelCauseFunc, name string, argv []string, space workspace) (
	core.Report, error,
) {
	output := filepath.Join(space.reports, "report")
	cmd, err := prepare(ctx, name, argv, output, space)
	if err != nil {
		return core.Report{}, err
	}
	words := &tail{limit: tailSize}
	err = capture(cmd, words, output, !mentions(argv, outputPlaceholder), func() { cancel(tooLong(name)) })
	if ctx.Err() != nil {
		return core.Report{}, context.Cause(ctx)
	}
	if fault := faultOf(err, filepath.Dir(space.root)); fault != nil || err != nil && !ended(err) {
		return core.Report{}, fmt.Errorf("%s could not be run: %w", name, cmp.Or(fault, err))
	}
	report, err := judge(name, cmd.ProcessState, output, strings.ReplaceAll(words.String(), space.source+"/", ""))
	if err != nil && space.fits() == nil {
		err = cmp.Or(saidFault(err, words.String(), filepath.Dir(space.root)), err)
	}
	return report, err
}

// prepare finds the program before its working directory is the checkout: a relative path must not lead into it.
func prepare(ctx context.Context, name string, argv []string, output string, space workspace) (*exec.Cmd, error) {
	program, err := exec.LookPath(argv[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not there to be run: install it where Scanhook runs, or mend scanners.%s.command: %w",
			argv[0], name, err)
	}
	placeholders := strings.NewReplacer(sourcePlaceholder, space.source, outputPlaceholder, output)
	cmd := exec.CommandContext(ctx, program)
	for _, arg := range argv[1:] {
		cmd.Args = append(cmd.Args, placeholders.Replace(arg))
	}
	cmd.Dir = space.source
	cmd.Env = space.environment()
	return cmd, nil
}

// capture runs cmd and keeps the end of what it says. fromStdout puts its standard output into the file output, and
// full is called when that grows beyond all measure.
func capture(cmd *exec.Cmd, words *tail, output string, fromStdout bool, full func()) error {
	cmd.Stdout, cmd.Stderr = words, words
	if !fromStdout {
		return runGroup(cmd)
	}
	file, err := os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	into := &capped{Writer: file, left: maxReport, full: full}
	cmd.Stdout = into
	err = runGroup(cmd)
	return errors.Join(err, into.failure, file.Close())
}

// judge decides what a scanner that has ended delivered.
func judge(name string, state *os.ProcessState, output, words string) (core.Report, error) {
	report, err := readReport(output)
	if err == nil && (state.Success() || state.Exited() && report.Results > 0 || report.Failure != "") {
		return report, nil
	}
	said := cmp.Or(reports.RedactText(words), "nothing")
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
