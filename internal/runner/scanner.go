package runner

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/source"
)

// The placeholders in a scanner's command.
const (
	sourcePlaceholder  = "{source}"
	outputPlaceholder  = "{output}"
	changedPlaceholder = "{changed}"
)

// maxReport bounds the report of a scanner, in bytes.
const maxReport = 256 << 20

const defaultTimeout = 10 * time.Minute

// Scanner says how to run one scanner; either Builtin or Command is set.
type Scanner struct {
	Builtin string        // "gitleaks"
	Command []string      // argument vector; {source} and {output} are replaced in each argument, {changed} by one for each file
	Timeout time.Duration // 10 minutes by default

	Rules func(platform, project string) *gitleaks.Rules // of Builtin; those that are built in by default
}

// rulesFor returns what a project is searched by.
func (s Scanner) rulesFor(platform, project string) (*gitleaks.Rules, error) {
	if s.Rules == nil {
		return gitleaks.LoadRules()
	}
	return s.Rules(platform, project), nil
}

// version is another one for each command of a scanner with a name. Rules that the program has elsewhere are not known.
func (s Scanner) version(name string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + strings.Join(s.Command, "\x00")))
	return "command " + hex.EncodeToString(sum[:])
}

// run runs the command of the scanner with a name over a checkout. One that mentions {changed} gets paths instead of it.
func (s Scanner) run(
	ctx context.Context, name string, space sandbox.Workspace, changed []string, key secrets.Key,
) (core.Report, error) {
	timeout := cmp.Or(s.Timeout, defaultTimeout)
	ctx, cancel := space.Bound(ctx, timeout, tooSlow(name, timeout))
	defer cancel(nil)
	report, err := runCommand(ctx, cancel, name, s.Command, changed, space, key)
	source.MakeRelative(&report, space.Source)
	return report, err
}

// runCommand runs a scanner over the checkout and reads its report, from its {output} file or else its standard output.
//
// Scanners exit with a code other than 0 if they have found something. So a report with results counts whatever the code, an
// empty one only with code 0. Errors are sentences; what a killed scanner did report is returned beside them.
func runCommand(
	ctx context.Context, cancel context.CancelCauseFunc, name string, argv, changed []string, space sandbox.Workspace, key secrets.Key,
) (core.Report, error) {
	output := filepath.Join(space.Reports, "report")
	cmd, err := prepare(ctx, name, argv, changed, output, space)
	if err != nil {
		return core.Report{}, err
	}
	said := new(sandbox.Tail)
	err = capture(cmd, said, output, !mentions(argv, outputPlaceholder), func() { cancel(tooLong(name)) })
	if ctx.Err() != nil {
		return core.Report{}, context.Cause(ctx)
	}
	if fault := space.Place().FaultOf(err); fault != nil || err != nil && !sandbox.Exited(err) {
		return core.Report{}, fmt.Errorf("%s could not be run: %w", name, cmp.Or(fault, err))
	}
	report, err := judge(name, cmd.ProcessState, output, strings.ReplaceAll(said.String(), space.Source+"/", ""), key)
	if err != nil && space.Fits() == nil {
		err = cmp.Or(space.Place().FaultInOutput(err, said.String()), err)
	}
	return report, err
}

// prepare looks the program up before the checkout is its working directory: a relative path must not lead into it.
func prepare(
	ctx context.Context, name string, argv, changed []string, output string, space sandbox.Workspace,
) (*exec.Cmd, error) {
	program, err := exec.LookPath(argv[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%q cannot be found: install it where Scanhook runs, or correct scanners.%s.command: %w",
			argv[0], name, err)
	}
	cmd := exec.CommandContext(ctx, program)
	for _, arg := range argv[1:] {
		cmd.Args = append(cmd.Args, fill(arg, changed, space.Source, output)...)
	}
	cmd.Dir = space.Source
	cmd.Env = space.Environment()
	return cmd, nil
}

// fill returns an argument with its placeholders replaced, once for each changed file where it mentions them. What a path holds
// is not replaced, and none is taken for an option.
func fill(arg string, changed []string, source, output string) (filled []string) {
	if !strings.Contains(arg, changedPlaceholder) {
		changed = []string{""}
	}
	for _, path := range changed {
		if strings.HasPrefix(path, "-") {
			path = "./" + path
		}
		replacer := strings.NewReplacer(sourcePlaceholder, source, outputPlaceholder, output, changedPlaceholder, path)
		filled = append(filled, replacer.Replace(arg))
	}
	return filled
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
func judge(name string, state *os.ProcessState, output, said string, key secrets.Key) (core.Report, error) {
	report, err := readReport(output, key)
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

func readReport(path string, key secrets.Key) (core.Report, error) {
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
	return reports.Parse(file, reports.Limits{MaxBytes: maxReport, Key: key})
}

func mentions(argv []string, placeholder string) bool {
	return strings.Contains(strings.Join(argv, "\x00"), placeholder)
}

func tooSlow(name string, timeout time.Duration) error {
	return fmt.Errorf("%s did not end within %s and was stopped: raise scanners.%s.timeout or let it look at less", name, timeout, name)
}

func tooLong(name string) error {
	return fmt.Errorf("%s wrote a report of more than %d MiB and was stopped: let it look at less", name, maxReport>>20)
}
