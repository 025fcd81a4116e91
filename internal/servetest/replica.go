//go:build linux

package servetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// Replica is one `scanhook serve`, with a supervisor that starts it again whenever it ends.
type Replica struct {
	Name    string
	Address string // base URL
	Binary  string // may change while it is stopped
	Died    func() // called after each end that is followed by a start; may be nil

	config  string
	log     string // the file that all its processes write to
	environ []string

	mu      sync.Mutex
	process *os.Process
	stalled bool
	stopped chan struct{} // closed when the supervisor shall start nothing more; nil where there is none
	ended   chan struct{} // closed by the supervisor
	starts  int
	deaths  int // that nobody ordered
	killed  bool
	victims []int    // pids that were killed or stalled
	stalls  []window // in which one of them stood still
}

// window is a span of time.
type window struct{ from, until time.Time }

// NewReplica makes a replica that does not run yet, and stops with the test. Its settings, which may depend on where it listens, and
// its log are files in dir.
func NewReplica(t testing.TB, name, binary, dir string, settings func(listen string) string, environ ...string) *Replica {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
	r := &Replica{
		Name: name, Address: "http://" + listen, Binary: binary, config: file + ".yaml", log: file + ".log",
		environ: append([]string{"SCANHOOK_LOG=json", "TMPDIR=" + dir, "XDG_CACHE_HOME=" + dir}, environ...),
	}
	if err := os.WriteFile(r.config, []byte(settings(listen)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Stop(t) })
	return r
}

// Pid is that of the process; 0 where none runs.
func (r *Replica) Pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return 0
	}
	return r.process.Pid
}

// Start lets the process run until Stop. It does not wait for it to serve.
func (r *Replica) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped, r.ended = make(chan struct{}), make(chan struct{})
	go r.supervise(r.stopped, r.ended)
}

func (r *Replica) supervise(stopped <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	runtime.LockOSThread() // the kernel kills the processes when the thread that started them ends
	for r.runOnce(stopped) {
		if r.Died != nil {
			r.Died()
		}
		select {
		case <-time.After(restartPause):
		case <-stopped:
			return
		}
	}
}

// runOnce runs one process to its end and tells whether there shall be another one.
func (r *Replica) runOnce(stopped <-chan struct{}) bool {
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(r.Binary, "serve", "--config", r.config)
	cmd.Env, cmd.Stderr, cmd.Stdout = append(os.Environ(), r.environ...), log, log
	cmd.Dir = filepath.Dir(r.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !r.launch(cmd, stopped) {
		return false
	}
	_ = cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = nil
	if isClosed(stopped) {
		return false
	}
	if !r.killed {
		r.deaths++
	}
	return true
}

// launch starts a process, unless the replica was stopped meanwhile.
func (r *Replica) launch(cmd *exec.Cmd, stopped <-chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(stopped) || cmd.Start() != nil {
		return false
	}
	r.process, r.starts, r.killed = cmd.Process, r.starts+1, false
	return true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Ready tells whether the process says that it can accept webhooks.
func (r *Replica) Ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Address+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

// AwaitReady waits until the process can accept webhooks. The test fails where it ends first, or after a minute.
func (r *Replica) AwaitReady(t testing.TB) {
	t.Helper()
	_, before := r.Lives()
	for deadline := time.Now().Add(time.Minute); !r.Ready(t.Context()); time.Sleep(50 * time.Millisecond) {
		if starts, deaths := r.Lives(); deaths > before || time.Now().After(deadline) {
			said, _ := os.ReadFile(r.log)
			t.Fatalf("%s does not become ready after %d starts:\n%s", r.Name, starts, said[max(0, len(said)-4000):])
		}
	}
}

// Lives counts the processes that were started, and those that ended by themselves.
func (r *Replica) Lives() (starts, deaths int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts, r.deaths
}

var errNotRunning = errors.New("the process is not running")

// Kill is kill -9. It does nothing to a process that is stalled or between two lives.
func (r *Replica) Kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil || r.stalled {
		return errNotRunning
	}
	r.killed = true
	r.victims = append(r.victims, r.process.Pid)
	return r.process.Kill()
}

// Stall stops the process as a machine that swaps or a paused container does, and continues it.
func (r *Replica) Stall(d time.Duration, ended <-chan struct{}) {
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

// Stop ends the process, as a service manager does, and its supervisor. Start begins anew.
func (r *Replica) Stop(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	process, ended := r.process, r.ended
	if r.stopped == nil {
		r.mu.Unlock()
		return
	}
	close(r.stopped)
	r.stopped = nil
	if process != nil {
		_ = process.Signal(syscall.SIGTERM)
	}
	r.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Errorf("%s did not stop within a minute", r.Name)
		if process != nil {
			_ = process.Kill()
		}
		<-ended
	}
}

// Record is a line of the log.
type Record struct {
	Time              time.Time
	Level, Msg, Error string
	Scan, Scanner     string
}

// Records reads what all processes of the replica logged. A line that a kill cut off is left out.
func (r *Replica) Records(t testing.TB) (list []Record) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	if at := strings.Index(string(text), "WARNING: DATA RACE"); at >= 0 {
		t.Errorf("%s: %s", r.Name, text[at:min(len(text), at+4000)])
	}
	for line := range bytes.Lines(text) {
		var one Record
		if json.Unmarshal(line, &one) == nil {
			list = append(list, one)
		}
	}
	return list
}

// keepLog copies the log to a folder, where it outlives the test.
func (r *Replica) keepLog(t testing.TB, dir, name string) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+"-"+filepath.Base(r.log)), text, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}
