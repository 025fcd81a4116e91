package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	probeSize = 1 << 20 // bytes that a workspace must have room for
	probeTime = 10 * time.Second
)

// machineFault is a failure for which neither the commit nor the scanner is to blame. It says what to do.
type machineFault struct{ error }

func (f machineFault) Unwrap() error { return f.error }

const (
	makeRoom   = "make room in %s, or let TMPDIR name a directory that has more"
	letWrite   = "let Scanhook write to %s, or let TMPDIR name a directory where it may"
	makeDir    = "make the directory %s, or let TMPDIR name one that there is"
	checkDisk  = "check the disk of %s"
	moreFiles  = "let Scanhook have more open files (ulimit -n)"
	moreMemory = "let Scanhook have more memory and processes"
)

// machineFaults are the errors of the system that are the machine's, with the words that programs have for them where
// no program is to blame itself for them, and what to do about the directory of workspaces.
var machineFaults = []struct {
	errno  syscall.Errno
	words  string
	advice string
}{
	{syscall.ENOSPC, "No space left on device", makeRoom},
	{syscall.EDQUOT, "Disk quota exceeded", makeRoom},
	{syscall.EROFS, "Read-only file system", letWrite},
	{syscall.EIO, "Input/output error", checkDisk},
	{syscall.ENFILE, "Too many open files in system", moreFiles},
	{syscall.EMFILE, "", moreFiles},
	{syscall.ENOMEM, "", moreMemory},
	{syscall.EAGAIN, "", moreMemory},
}

// ofWorkspace is the part of a path that is another one for each job: what is wrong is the same.
var ofWorkspace = regexp.MustCompile(`[^\s"]*` + workspacePrefix + `\d+/?`)

func advised(err error, advice, dir string) error {
	if strings.Contains(advice, "%s") {
		advice = fmt.Sprintf(advice, dir)
	}
	return machineFault{fmt.Errorf("%s: %s", ofWorkspace.ReplaceAllString(err.Error(), ""), advice)}
}

// faultOf is err where it is a fault of the machine that has its workspaces in dir, with advice; nil otherwise.
func faultOf(err error, dir string) error {
	if errors.As(err, new(machineFault)) {
		return err
	}
	for _, fault := range machineFaults {
		if errors.Is(err, fault.errno) {
			return advised(err, fault.advice, dir)
		}
	}
	return nil
}

// saidFault is err, with advice, where a line of what the failed program said ends with words for a fault of the machine;
// nil otherwise. What git passes on from a server counts for nothing.
func saidFault(err error, said, dir string) error {
	for line := range strings.Lines(said) {
		line = strings.TrimRight(line, "\r\n .")
		for _, fault := range machineFaults {
			if fault.words != "" && strings.HasSuffix(line, ": "+fault.words) && !strings.HasPrefix(line, "remote: ") {
				return advised(err, fault.advice, dir)
			}
		}
	}
	return nil
}

// workspaceFault is why no workspace can be made, which no commit is to blame for.
func workspaceFault(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return advised(err, makeDir, dir)
	case faultOf(err, dir) != nil:
		return faultOf(err, dir)
	}
	return advised(err, letWrite, dir)
}

// startFault is why a program of the system could not even be started.
func startFault(program string, err error, dir string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return machineFault{fmt.Errorf("%s is not installed: install it where Scanhook runs: %w", program, err)}
	case faultOf(err, dir) != nil:
		return faultOf(err, dir)
	}
	return machineFault{fmt.Errorf("%s cannot be run: let Scanhook execute it: %w", program, err)}
}

// ProbeWorkspace tells whether commits can be checked out below dir. Its error says what to do.
func ProbeWorkspace(dir string) error {
	space, err := newWorkspace(dir, defaultDisk)
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(space.source, "probe"), make([]byte, probeSize), 0o600)
	return workspaceFault(errors.Join(err, space.remove()), dir)
}

// GitVersion asks git, which fetches the commits. Its error says what to do.
func GitVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	said, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		return "", startFault("git", err, os.TempDir())
	}
	return strings.TrimPrefix(strings.TrimSpace(string(said)), "git version "), nil
}
