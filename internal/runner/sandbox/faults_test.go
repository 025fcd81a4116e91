package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

func TestFaultsOfTheHost(t *testing.T) {
	t.Parallel()
	plain := errors.New("git said no")
	jobs := sandbox.Place{Dir: "/jobs"}
	for name, test := range map[string]struct {
		err  error
		said string
		want string // none when empty
	}{
		"disk":             {fmt.Errorf("writing: %w", syscall.ENOSPC), "", "make room in /jobs"},
		"quota":            {syscall.EDQUOT, "", "make room in /jobs"},
		"read-only":        {&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "", "let Scanhook write to /jobs"},
		"files":            {syscall.EMFILE, "", "more open files"},
		"fork":             {&os.SyscallError{Syscall: "fork/exec", Err: syscall.EAGAIN}, "", "more memory and processes"},
		"path of a job":    {&os.PathError{Op: "write", Path: "/jobs/scanhook-job-12/source/a", Err: syscall.ENOSPC}, "", "write source/a: no"},
		"git's disk":       {plain, "fatal: write error: No space left on device\n", "make room in /jobs"},
		"git's file":       {plain, "error: unable to write file a/b: No space left on device\nfatal: x\n", "make room in /jobs"},
		"git's quota":      {plain, "fatal: cannot create x: Disk quota exceeded", "make room in /jobs"},
		"server's disk":    {plain, "remote: fatal: write error: No space left on device\n", ""},
		"name of a file":   {plain, "error: invalid path 'x: No space left on device'\n", ""},
		"scanner's own":    {plain, "Error: config: No such file or directory\n", ""},
		"not found":        {os.ErrNotExist, "", ""},
		"cut":              {io.ErrUnexpectedEOF, "", ""},
		"file too large":   {syscall.EFBIG, "File too large", ""},
		"connection":       {syscall.ECONNREFUSED, "", ""},
		"none of anything": {plain, "", ""},
	} {
		got := jobs.FaultOf(test.err)
		if got == nil {
			got = jobs.FaultInOutput(test.err, test.said)
		}
		if (got != nil) != (test.want != "") || got != nil && !strings.Contains(got.Error(), test.want) {
			t.Errorf("%s: want %q, got %v", name, test.want, got)
		}
	}
}
