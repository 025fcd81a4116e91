package sandbox

import (
	"cmp"
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

// Place is a directory of the host.
type Place struct {
	Dir     string
	Setting string // what names it, for advice; TMPDIR by default
}

// Of the advice, %[1]s is the directory of a place, and %[2]s its setting.
const (
	makeRoom   = "make room in %[1]s, or let %[2]s name a directory that has more"
	letWrite   = "let Scanhook write to %[1]s, or let %[2]s name a directory where it may"
	makeDir    = "make the directory %[1]s, or let %[2]s name one that there is"
	checkDisk  = "check the disk of %[1]s"
	moreFiles  = "let Scanhook have more open files (ulimit -n)"
	moreMemory = "let Scanhook have more memory and processes"
)

// hostFaults are the errors of the system that are faults of the host. words is how programs report them, where these words
// cannot be about the program itself; advice is what to do about the place.
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

func (p Place) advised(err error, advice string) error {
	if strings.Contains(advice, "%") {
		advice = fmt.Sprintf(advice, p.Dir, cmp.Or(p.Setting, "TMPDIR"))
	}
	return HostFault{fmt.Errorf("%s: %s", workspacePath.ReplaceAllString(err.Error(), ""), advice)}
}

// FaultOf returns err with advice if it is a fault of the host; nil otherwise.
func (p Place) FaultOf(err error) error {
	if errors.As(err, new(HostFault)) {
		return err
	}
	for _, fault := range hostFaults {
		if errors.Is(err, fault.errno) {
			return p.advised(err, fault.advice)
		}
	}
	return nil
}

// FaultInOutput returns err with advice if a line of the failed program's output ends with the words for a fault of the host;
// nil otherwise. Lines that git passes on from a server do not count.
func (p Place) FaultInOutput(err error, output string) error {
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n .")
		for _, fault := range hostFaults {
			if fault.words != "" && strings.HasSuffix(line, ": "+fault.words) && !strings.HasPrefix(line, "remote: ") {
				return p.advised(err, fault.advice)
			}
		}
	}
	return nil
}

// Unusable turns the failure to make or lock something in a place into a fault of the host.
func (p Place) Unusable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return p.advised(err, makeDir)
	case p.FaultOf(err) != nil:
		return p.FaultOf(err)
	}
	return p.advised(err, letWrite)
}

// StartFault turns the failure to start a program, which works in a place, into a fault of the host.
func (p Place) StartFault(program string, err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return HostFault{fmt.Errorf("%s is not installed: install it where Scanhook runs: %w", program, err)}
	case p.FaultOf(err) != nil:
		return p.FaultOf(err)
	}
	return HostFault{fmt.Errorf("%s cannot be run: let Scanhook execute it: %w", program, err)}
}
