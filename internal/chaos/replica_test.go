package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// restartPause is what a supervisor lets pass before it starts a process again.
const restartPause = 300 * time.Millisecond

// replica is one `scanhook serve`, with a supervisor that starts it again whenever it ends.
type replica struct {
	name    string
	address string // base URL
	binary  string
	config  string
	log     string // the file that all its processes write to
	environ []string

	mu      sync.Mutex
	process *os.Process
	stalled bool
	stopped chan struct{} // closed when nothing is to be started any more
	ended   chan struct{}
	starts  int
	deaths  int // that nobody ordered
	killed  bool
	victims []int    // pids that were killed or stalled
	stalls  []window // in which one of them stood still
	died    func()   // called after each end
}

// supervise keeps the process running until stop.
func (r *replica) supervise() {
	defer close(r.ended)
	runtime.LockOSThread() // the kernel kills the processes when the thread that started them ends
	for r.runOnce() {
		r.died()
		select {
		case <-time.After(restartPause):
		case <-r.stopped:
			return
		}
	}
}

// runOnce runs one process to its end and tells whether there shall be another one.
func (r *replica) runOnce() bool {
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(r.binary, "serve", "--config", r.config)
	cmd.Env, cmd.Stderr, cmd.Stdout = append(os.Environ(), r.environ...), log, log
	cmd.Dir = filepath.Dir(r.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r.mu.Lock()
	if err := cmd.Start(); err != nil {
		r.mu.Unlock()
		return false
	}
	r.process, r.starts, r.killed = cmd.Process, r.starts+1, false
	r.mu.Unlock()
	_ = cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = nil
	select {
	case <-r.stopped:
		return false
	default:
	}
	if !r.killed {
		r.deaths++
	}
	return true
}

var errNotRunning = errors.New("the process is not running")

// kill is kill -9. It does nothing to a process that is stalled or between two lives.
func (r *replica) kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil || r.stalled {
		return errNotRunning
	}
	r.killed = true
	r.victims = append(r.victims, r.process.Pid)
	return r.process.Kill()
}

// stall stops the process as a machine that swaps or a paused container does, and continues it.
func (r *replica) stall(d time.Duration, ended <-chan struct{}) {
	r.mu.Lock()
	process := r.process
	if process == nil {
		r.mu.Unlock()
		return
	}
	began := time.Now()
	r.stalled = true
	r.victims = append(r.victims, process.Pid)
	_ = process.Signal(syscall.SIGSTOP)
	r.mu.Unlock()
	select {
	case <-time.After(d):
	case <-ended:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalls = append(r.stalls, window{from: began, until: time.Now()})
	r.stalled = false
	_ = process.Signal(syscall.SIGCONT)
}

// stop ends the process for good, as a service manager would; the exit must be clean.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	close(r.stopped)
	r.mu.Lock()
	process := r.process
	if process != nil {
		_ = process.Signal(os.Interrupt)
	}
	r.mu.Unlock()
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		t.Errorf("%s did not stop within a minute", r.name)
		if process != nil {
			_ = process.Kill()
		}
		<-r.ended
	}
}

// record is a line of the log.
type record struct {
	Time              time.Time
	Level, Msg, Error string
	Scan, Scanner     string
}

// records reads what all processes of the replica logged. A line that a kill cut off is left out.
func (r *replica) records(t *testing.T) (list []record) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	if at := strings.Index(string(text), "WARNING: DATA RACE"); at >= 0 {
		t.Errorf("%s: %s", r.name, text[at:min(len(text), at+4000)])
	}
	for line := range bytes.Lines(text) {
		var one record
		if json.Unmarshal(line, &one) == nil {
			list = append(list, one)
		}
	}
	return list
}
