// Package cage runs programs that must not be trusted: the scanners of others, over the files of strangers.
//
// A caged program sees the files that it is granted and no others, has only as much memory, as many processes and as large files as it
// may, gains no privileges, reaches no network unless it may, and ends together with all that it has started. On Linux this is
// done by Landlock, namespaces and resource limits, in a helper: this program runs itself again, restricts itself and becomes the
// other program. How much of it the kernel gives is a Level. Other systems have none of it but the end of the process group.
package cage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Spec says what a program may do.
type Spec struct {
	Read    []string // files and directories that it may read and run, absolute; those that there are not are left out
	Write   []string // files and directories that it may also change
	Network bool

	Dir string   // that it starts in; one of the above
	Env []string // all of its environment

	View      string // an empty directory, over which the program's own view of the files is mounted
	Temp      string // one of Write, which is also /tmp in that view; none if empty
	Memory    int64  // bytes of all its processes together, and of each alone
	File      int64  // bytes of the largest file that it may write
	Processes int    // and threads, at the same time
}

// The limits of a Spec that has none.
const (
	DefaultMemory    = 4 << 30
	DefaultProcesses = 2048
)

// maxOpenFiles is how many files a caged process may have open.
const maxOpenFiles = 8192

// Result is how a program ended.
type Result struct {
	Code   int    // its exit code, unless a signal ended it
	Signal string // such as "killed"
	Ended  string // why the cage ended it, a sentence without its subject; empty if it did not
}

// Success tells whether the program ended by itself and content.
func (r Result) Success() bool { return r.Code == 0 && r.Exited() }

// Exited tells whether the program ended by itself.
func (r Result) Exited() bool { return r.Signal == "" && r.Ended == "" }

// String is in the words of os.ProcessState.
func (r Result) String() string {
	if r.Signal != "" {
		return "signal: " + r.Signal
	}
	return fmt.Sprintf("exit status %d", r.Code)
}

// stopTime is how long a cage has to end all of its processes.
const stopTime = 3 * time.Second

// withDefaults fills in the limits.
func (s Spec) withDefaults() Spec {
	s.Memory, s.Processes = cmp.Or(s.Memory, DefaultMemory), cmp.Or(s.Processes, DefaultProcesses)
	return s
}

// Unmade is why a cage could not be made. The program is not to blame.
type Unmade struct{ Reason string }

func (u Unmade) Error() string { return "its cage could not be made: " + u.Reason }

// message is what the helper tells the process that runs it, a line of JSON each.
type message struct {
	Fault  string  // why the cage could not be made
	NotRun string  // why the program could not be run in it
	Ended  string  // why the cage ends it
	Result *Result // of the program itself
}

// outcomeOf reads the messages of a helper; nil where it was ended before it could tell.
func outcomeOf(said []byte) (result *Result, err error) {
	ended := ""
	for line := range bytes.Lines(said) {
		var m message
		if json.Unmarshal(line, &m) != nil {
			continue // cut off
		}
		if m.Fault != "" {
			return nil, Unmade{m.Fault}
		}
		if m.NotRun != "" {
			return nil, errors.New(m.NotRun)
		}
		if ended == "" {
			ended = m.Ended
		}
		if m.Result != nil {
			result = m.Result
		}
	}
	if ended != "" {
		result = &Result{Signal: "killed", Ended: ended}
	}
	return result, nil
}
