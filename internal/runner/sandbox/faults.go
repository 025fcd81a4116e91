package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// HostFault is a failure for which neither the commit nor the scanner is to blame. It says what to do.
type HostFault struct{ Err error }

func (f HostFault) Error() string { return f.Err.Error() }
func (f HostFault) Unwrap() error { return f.Err }

const (
	makeRoom   = "make room in %s, or let TMPDIR name a directory that has more"
	letWrite   = "let Scanhook write to %s, or let TMPDIR name a directory where it may"
	makeDir    = "make the directory %s, or let TMPDIR name one that there is"
	checkDisk  = "check the disk of %s"
	moreFiles  = "let Scanhook have more open files (ulimit -n)"
	moreMemory = "let Scanhook have more memory and processes"
)

// hostFaults are the errors of the system that are faults of the host. words is how programs report them, where these words
// cannot be about the program itself; advice is what to do about the directory of workspaces.
var hostFaults = []struct {
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

// workspacePath is the part of a path that differs from job to job, and must not make equal faults differ.
var workspacePath = regexp.MustCompile(`[^\s"]*` + dirPrefix + `\d+/?`)

func advised(err error, advice, dir string) error {
	if strings.Contains(advice, "%s") {
		advice = fmt.Sprintf(advice, dir)
	}
	return HostFault{fmt.Errorf("%s: %s", workspacePath.ReplaceAllString(err.Error(), ""), advice)}
}

// FaultOf returns err with advice if it is a fault of the host, whose workspaces are in dir; nil otherwise.
func FaultOf(err error, dir string) error {
	if errors.As(err, new(HostFault)) {
		return err
	}
	for _, fault := range hostFaults {
		if errors.Is(err, fault.errno) {
			return advised(err, fault.advice, dir)
		}
	}
	return nil
}

// FaultInOutput returns err with advice if a line of the failed program's output ends with the words for a fault of the host;
// nil otherwise. Lines that git passes on from a server do not count.
func FaultInOutput(err error, output, dir string) error {
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n .")
		for _, fault := range hostFaults {
			if fault.words != "" && strings.HasSuffix(line, ": "+fault.words) && !strings.HasPrefix(line, "remote: ") {
				return advised(err, fault.advice, dir)
			}
		}
	}
	return nil
}

// workspaceFault turns the failure to make a workspace into a fault of the host.
func workspaceFault(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return advised(err, makeDir, dir)
	case FaultOf(err, dir) != nil:
		return FaultOf(err, dir)
	}
	return advised(err, letWrite, dir)
}

// StartFault turns the failure to start a program into a fault of the host.
func StartFault(program string, err error, dir string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return HostFault{fmt.Errorf("%s is not installed: install it where Scanhook runs: %w", program, err)}
	case FaultOf(err, dir) != nil:
		return FaultOf(err, dir)
	}
	return HostFault{fmt.Errorf("%s cannot be run: let Scanhook execute it: %w", program, err)}
}
