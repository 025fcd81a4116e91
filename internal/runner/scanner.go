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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/cage"
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

	// What Command may do, besides reading programs and libraries of the system and changing the files of its job.
	Read, Write  []string // files and directories, absolute
	Network      bool     // for commits of the project itself
	ForksNetwork bool     // for those of forks too
	Memory       int64    // bytes of all its processes; 4 GiB by default

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
func (s Scanner) run(ctx context.Context, name string, in confinement, changed []string, key secrets.Key) (core.Report, error) {
	timeout := cmp.Or(s.Timeout, defaultTimeout)
	ctx, cancel := in.bound(ctx, timeout, tooSlow(name, timeout))
	defer cancel(nil)
	report, err := s.runCommand(ctx, cancel, name, in, changed, key)
	source.MakeRelative(&report, in.space.Source)
	return report, err
}

// runCommand runs a scanner over the checkout and reads its report, from its {output} file or else its standard output.
//
// Scanners exit with a code other than 0 if they have found something. So a report with results counts whatever the code, an
// empty one only with code 0. Errors are sentences; what a killed scanner did report is returned beside them.
func (s Scanner) runCommand(
	ctx context.Context, cancel context.CancelCauseFunc, name string, in confinement, changed []string, key secrets.Key,
) (core.Report, error) {
	space := in.space
	output := filepath.Join(space.Reports, reportName)
	argv, err := s.arguments(name, changed, space.Source, output)
	if err != nil {
		return core.Report{}, err
	}
	said := new(sandbox.Tail)
	ended, err := s.capture(ctx, in, argv, said, output, func() { cancel(tooLong(name)) })
	if ctx.Err() != nil {
		return core.Report{}, context.Cause(ctx)
	}
	if err != nil {
		return core.Report{}, fmt.Errorf("%s could not be run: %w", name, in.faultOf(name, err))
	}
	report, err := judge(name, ended, space, strings.ReplaceAll(said.String(), space.Source+"/", ""), key)
	if err != nil {
		err = cmp.Or(space.Fits(), in.faultInOutput(err, said.String()), err)
	}
	return report, err
}

// arguments looks the program up before the checkout is its working directory: a relative path must not lead into it.
func (s Scanner) arguments(name string, changed []string, source, output string) ([]string, error) {
	program, err := exec.LookPath(s.Command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%q cannot be found: install it where Scanhook runs, or correct scanners.%s.command: %w",
			s.Command[0], name, err)
	}
	argv := []string{program}
	for _, arg := range s.Command[1:] {
		argv = append(argv, fill(arg, changed, source, output)...)
	}
	return argv, nil
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

// capture runs a program and keeps the end of its output in said. Its standard output is written to the file output unless it is
// told of that, and full is called if it grows too large.
func (s Scanner) capture(
	ctx context.Context, in confinement, argv []string, said *sandbox.Tail, output string, full func(),
) (cage.Result, error) {
	spec := s.spec(in, argv[0])
	if mentions(s.Command, outputPlaceholder) {
		return in.level.Execute(ctx, spec, argv, said, said)
	}
	file, err := os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return cage.Result{}, err
	}
	into := &sandbox.Capped{Writer: file, Left: maxReport, Full: full}
	ended, err := in.level.Execute(ctx, spec, argv, into, said)
	return ended, errors.Join(err, into.Err, file.Close())
}

// judge decides what a scanner that has ended has reported.
func judge(name string, ended cage.Result, space sandbox.Workspace, said string, key secrets.Key) (core.Report, error) {
	report, err := readReport(space, key)
	if err == nil && (ended.Success() || ended.Exited() && report.Results > 0 || report.Failure != "") {
		return report, nil
	}
	if ended.Ended != "" {
		return report, fmt.Errorf("%s %s and was stopped: raise scanners.%s.memory or let it look at less", name, ended.Ended, name)
	}
	said = cmp.Or(reports.RedactText(said), "nothing") + adviceOn(name, said)
	if err != nil {
		return core.Report{}, fmt.Errorf("%s ended with %s and left no report that can be read (%w); it said: %s",
			name, ended, err, said)
	}
	return report, fmt.Errorf("%s ended with %s; it said: %s", name, ended, said)
}

// readReport reads the report that a scanner has left. The scanner may have put anything in its place.
func readReport(space sandbox.Workspace, key secrets.Key) (core.Report, error) {
	root, err := os.OpenRoot(space.Root)
	if err != nil {
		return core.Report{}, err
	}
	defer func() { _ = root.Close() }()
	name := filepath.Join(filepath.Base(space.Reports), reportName)
	info, err := root.Lstat(name)
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
	file, err := root.Open(name)
	if err != nil {
		return core.Report{}, err
	}
	defer file.Close()
	return reports.Parse(file, reports.Limits{MaxBytes: maxReport, Key: key})
}

// reportName is the file in the workspace's directory for reports.
const reportName = "report"

func mentions(argv []string, placeholder string) bool {
	return strings.Contains(strings.Join(argv, "\x00"), placeholder)
}

func tooSlow(name string, timeout time.Duration) error {
	return fmt.Errorf("%s did not end within %s and was stopped: raise scanners.%s.timeout or let it look at less", name, timeout, name)
}

func tooLong(name string) error {
	return fmt.Errorf("%s wrote a report of more than %d MiB and was stopped: let it look at less", name, maxReport>>20)
}

// confinement is where the command of a job is run.
type confinement struct {
	level   cage.Level
	space   sandbox.Workspace // its Home is that of the scanner, if it has one
	hidden  cage.Hidden
	objects string // of git, that the repository beside the files reads
	fork    bool   // the commit is that of a fork
}

// spec says what a scanner's command may do.
func (s Scanner) spec(in confinement, program string) cage.Spec {
	space, network := in.space, s.Network && (!in.fork || s.ForksNetwork)
	read := slices.Concat(cage.System(network), cage.ProgramFiles(program), s.Read)
	write := append(in.hidden.Without(s.Write...), space.Source, space.Home, space.Temp, space.Reports)
	granted := in.hidden.Without(read...)
	if in.objects != "" {
		granted = append(granted, in.objects)
	}
	return cage.Spec{
		Read: granted, Write: write, Network: network, Dir: space.Source, Env: space.Environment(),
		View: space.View, Temp: space.Temp, Memory: s.Memory, File: space.Limit,
	}
}

// bound returns a context that ends after the timeout, with late as its cause, or when the command needs more disk than it may.
func (in confinement) bound(ctx context.Context, timeout time.Duration, late error) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := in.space.Bound(ctx, timeout, late)
	if strings.HasPrefix(in.space.Home, in.space.Root) {
		return ctx, cancel
	}
	ctx, free := keptIn(in.space.Home).Bound(ctx, timeout, late)
	return ctx, func(cause error) {
		free(cause)
		cancel(cause)
	}
}

// faultOf tells a fault of the host, which another try may not meet, from one of the scanner.
func (in confinement) faultOf(name string, err error) error {
	if fault := in.space.Place().FaultOf(err); fault != nil {
		return fault
	}
	if errors.As(err, new(cage.Unmade)) {
		return sandbox.HostFault{Err: fmt.Errorf("%w; scanhook check tells what the kernel gives", err)}
	}
	if advice := adviceOn(name, err.Error()); advice != "" {
		return fmt.Errorf("%w%s", err, advice)
	}
	return err
}

// faultInOutput tells a fault of the host by what a command printed. In the cage's view all is read-only that the command was not
// granted, which is no fault of the host.
func (in confinement) faultInOutput(err error, said string) error {
	if in.level.View {
		said = strings.ReplaceAll(said, ": Read-only file system", "")
	}
	return in.space.Place().FaultInOutput(err, said)
}

// adviceOn is what to do where a command was refused something, perhaps by its cage; empty where nothing says so.
func adviceOn(name, said string) string {
	lower := strings.ToLower(said)
	for _, refusal := range []string{"permission denied", "no such file or directory", "read-only file system", "operation not permitted",
		"network is unreachable", "could not resolve", "temporary failure in name resolution"} {
		if strings.Contains(lower, refusal) {
			return fmt.Sprintf(" (it sees only what it is granted: see network, read and write of scanners.%s)", name)
		}
	}
	return ""
}

// maxHome is what a scanner may keep between its jobs, in bytes.
const maxHome = 4 << 30

func keptIn(home string) sandbox.Workspace {
	return sandbox.Workspace{Root: home, Limit: maxHome}
}

// maxHomes is how many jobs of a scanner run at once on the hosts that share a directory.
const maxHomes = 1000

// takeHome takes one of the directories that a scanner keeps between its jobs, such as its database of vulnerabilities. Each job has one
// for itself: programs do not expect that another one writes there too. One that has become too large is emptied.
func takeHome(scanner string) (home string, lock *flock.Flock, err error) {
	if err := os.MkdirAll(scanner, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the directory that a scanner keeps: %w", err)
	}
	for n := range maxHomes {
		home = filepath.Join(scanner, strconv.Itoa(n+1))
		lock := flock.New(home + ".lock")
		held, err := lock.TryLock()
		if err == nil && !held {
			_ = lock.Close()
			continue
		}
		if err == nil && keptIn(home).Fits() != nil {
			err = keptIn(home).Remove()
		}
		if err == nil {
			err = os.MkdirAll(home, 0o700)
		}
		if err != nil {
			return "", nil, errors.Join(fmt.Errorf("taking the directory that a scanner keeps: %w", err), lock.Close())
		}
		return home, lock, nil
	}
	return "", nil, fmt.Errorf("all of the %d directories in %s are in use", maxHomes, scanner)
}
