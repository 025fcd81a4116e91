package cage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// Kernel is what the kernel under this process gives, which is tried once.
var Kernel = sync.OnceValue(func() Level { return probe(context.Background()) })

// Execute runs a program, whose absolute path is the first argument, and returns when it and all that it has started have ended, which
// they do at once when the context ends. The error tells that it could not be run.
func (l Level) Execute(ctx context.Context, spec Spec, argv []string, stdout, stderr io.Writer) (Result, error) {
	return runHelper(ctx, order{Spec: spec.withDefaults(), Level: l}, argv, stdout, stderr)
}

// probe makes cages, the best first.
func probe(ctx context.Context) Level {
	level := Level{Namespaces: true, View: true}
	level.Landlock, _ = landlock.LandlockGetABIVersion()
	for level.Namespaces {
		err := try(ctx, level)
		if err == nil {
			break
		}
		if level.Fault == "" {
			level.Fault = err.Error()
			if fault := new(Unmade); errors.As(err, fault) {
				level.Fault = fault.Reason
			}
		}
		level.Namespaces, level.View = level.View, false
	}
	return level
}

const probeTime = 10 * time.Second

func try(ctx context.Context, level Level) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	view, err := os.MkdirTemp("", "scanhook-cage-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(view) }()
	spec := Spec{Read: System(false), View: view, Dir: "/", Memory: DefaultMemory, File: 1, Processes: DefaultProcesses}
	_, err = runHelper(ctx, order{Spec: spec, Level: level, Probe: true}, []string{"/"}, io.Discard, io.Discard)
	return err
}

func runHelper(ctx context.Context, o order, argv []string, stdout, stderr io.Writer) (Result, error) {
	written, err := o.write()
	if err != nil {
		return Result{}, Unmade{err.Error()}
	}
	defer written.Close()
	messages, theirs, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer messages.Close()
	defer theirs.Close()
	watched, lifeline, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer watched.Close()
	defer lifeline.Close()

	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{helperName, string(stageGuard)}, argv...)
	cmd.Env = helperEnv
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = []*os.File{theirs, written, watched}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = lifeline.Close
	cmd.WaitDelay = stopTime
	if err := cmd.Start(); err != nil {
		return Result{}, Unmade{err.Error()}
	}
	_, _ = theirs.Close(), watched.Close()
	err = cmd.Wait()
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what a helper that did not answer has left
		return Result{}, context.Cause(ctx)
	}
	return outcome(messages, cmd.ProcessState, err)
}

// outcome tells how the program ended: what the helper says, or else how the helper itself ended.
func outcome(messages *os.File, helper *os.ProcessState, waited error) (Result, error) {
	_ = messages.SetReadDeadline(time.Now().Add(time.Second)) // all who write to it have ended
	said, _ := io.ReadAll(io.LimitReader(messages, maxMessages))
	result, err := outcomeOf(said)
	if err != nil {
		return Result{}, err
	}
	switch {
	case result != nil && (waited == nil || sandbox.Exited(waited) || errors.Is(waited, exec.ErrWaitDelay)):
		return *result, nil
	case result != nil:
		return *result, waited
	}
	return Result{}, Unmade{fmt.Sprintf("its helper ended with %s before the program did", helper)}
}

const maxMessages = 64 << 10 // bytes

// self is this program, also after its file was replaced.
const self = "/proc/self/exe"

// helperEnv is the environment of a helper, which needs none.
var helperEnv = []string{}

// helperName is what this program is called while it is a helper.
const helperName = "scanhook-cage"

// The files of a helper, beside the standard ones.
const (
	messagesFile = 3 // messages are written to it
	orderFile    = 4 // the order is read from it
	lifelineFile = 5 // it ends when the guard must
)

// order is a Spec on its way through the stages of the helper. It goes in a file in memory: a Spec has as many paths as there are to be
// granted, and Linux takes no more than 128 KiB in a variable of the environment.
type order struct {
	Spec
	Level Level
	Probe bool // to make the cage and run nothing
}

func (o order) write() (*os.File, error) {
	encoded, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate(helperName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), helperName)
	if _, err := file.Write(encoded); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("writing to a file in memory: %w", err)
	}
	return file, nil
}

// readOrder reads the order wherever the stage before has left the file.
func readOrder() (o order, err error) {
	var file unix.Stat_t
	if err := unix.Fstat(orderFile, &file); err != nil {
		return o, fmt.Errorf("reading what the cage is to be: %w", err)
	}
	encoded := make([]byte, file.Size)
	for read := 0; read < len(encoded); {
		n, err := unix.Pread(orderFile, encoded[read:], int64(read))
		if err != nil && !errors.Is(err, unix.EINTR) || n == 0 && err == nil {
			return o, fmt.Errorf("reading what the cage is to be: %w", cmp.Or(err, io.ErrUnexpectedEOF))
		}
		read += max(n, 0)
	}
	return o, json.Unmarshal(encoded, &o)
}

// stage is what a helper does. Each runs the next one: the guard stays outside and ends what is inside, the init process is the first
// one inside the namespaces, and the last one becomes the program. Without namespaces there is no init process.
type stage string

const (
	stageGuard   stage = "guard"
	stageInit    stage = "init"
	stageProgram stage = "program"
)

// In every program that can make cages, tests included, a helper is nothing but that.
func init() {
	if len(os.Args) > 2 && os.Args[0] == helperName {
		runtime.LockOSThread()
		help(stage(os.Args[1]), os.Args[2:])
	}
}

// help never returns.
func help(at stage, argv []string) {
	unix.CloseOnExec(messagesFile)
	unix.CloseOnExec(orderFile)
	o, err := readOrder()
	if err == nil {
		switch at {
		case stageGuard:
			err = o.guard(argv)
		case stageInit:
			err = o.initialize(argv)
		case stageProgram:
			err = become(o.Spec, o.Level, argv, o.Probe)
		}
	}
	if notRun := new(notRun); errors.As(err, notRun) {
		tell(message{NotRun: err.Error()})
		os.Exit(1)
	}
	if err != nil {
		tell(message{Fault: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

func tell(m message) {
	line, _ := json.Marshal(m)
	_, _ = unix.Write(messagesFile, append(line, '\n'))
}

// guard stays outside. It ends all that is inside when the program has ended, or the one that it works for.
func (o order) guard(argv []string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopting orphans: %w", err)
	}
	next, attributes := stageProgram, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if o.Level.Namespaces {
		next = stageInit
		o.enterNamespaces(attributes)
	}
	child, err := start(next, argv, attributes)
	if err != nil {
		return err
	}
	unix.CloseOnExec(lifelineFile)
	go func() {
		var end [1]byte
		for {
			if n, err := unix.Read(lifelineFile, end[:]); n == 0 && err == nil || err != nil && !errors.Is(err, unix.EINTR) {
				break
			}
		}
		killDescendants()
	}()
	go o.watch()
	status := waitFor(child)
	killDescendants()
	if next == stageProgram {
		tell(message{Result: resultOf(status)})
	}
	return nil
}

// enterNamespaces has the next stage begin in namespaces of its own, in which it has the same user.
func (o order) enterNamespaces(attributes *syscall.SysProcAttr) {
	attributes.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if !o.Network {
		attributes.Cloneflags |= unix.CLONE_NEWNET
	}
	user, group := os.Geteuid(), os.Getegid()
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: user, HostID: user, Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: group, HostID: group, Size: 1}}
	if user != 0 {
		attributes.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_SYS_RESOURCE}
	}
}

// initialize is the first process in its namespaces: when it ends, the kernel ends all others there.
func (o order) initialize(argv []string) error {
	if o.Level.View {
		if err := enterView(o.Spec); err != nil {
			return err
		}
	}
	child, err := start(stageProgram, argv, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the helper to the program: %w", err)
	}
	tell(message{Result: resultOf(waitFor(child))})
	return nil
}

// start runs the next stage, which has nothing open but the standard files, the one for messages and the order.
func start(next stage, argv []string, attributes *syscall.SysProcAttr) (pid int, err error) {
	args := append([]string{helperName, string(next)}, argv...)
	pid, err = syscall.ForkExec(self, args, &syscall.ProcAttr{ //nolint:gosec // running the program is what it is for
		Env: helperEnv, Files: []uintptr{0, 1, 2, messagesFile, orderFile}, Sys: attributes,
	})
	if err != nil {
		return 0, fmt.Errorf("starting a process in the cage: %w", err)
	}
	return pid, nil
}

// waitFor waits for a process, and buries all others meanwhile whose parents have died.
func waitFor(pid int) (status syscall.WaitStatus) {
	for {
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		if ended == pid || err != nil && !errors.Is(err, syscall.EINTR) {
			return status
		}
	}
}

func resultOf(status syscall.WaitStatus) *Result {
	if status.Signaled() {
		return &Result{Signal: status.Signal().String()}
	}
	return &Result{Code: status.ExitStatus()}
}

const watchEvery = 200 * time.Millisecond

// watch ends the program when its processes need too much together: the kernel's limits are for each of them.
func (o order) watch() {
	for ; ; time.Sleep(watchEvery) {
		inside := descendants()
		var used int64
		for _, pid := range inside {
			used += residentOf(pid)
		}
		switch {
		case used > o.Memory:
			tell(message{Ended: fmt.Sprintf("needed more than the %d MiB of memory that it may use", o.Memory>>20)})
		case len(inside) > o.Processes:
			tell(message{Ended: fmt.Sprintf("had more than %d processes", o.Processes)})
		default:
			continue
		}
		killDescendants()
	}
}

// descendants are all processes below this one. Those whose parent has died are children of this one, whatever they did to get away.
func descendants() (found []int) {
	for open := []int{os.Getpid()}; len(open) > 0; {
		children := childrenOf(open[0])
		open = append(open[1:], children...)
		found = append(found, children...)
	}
	return found
}

func childrenOf(pid int) (children []int) {
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range bytes.Fields(text) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

const killTime = 2 * time.Second

// killDescendants kills all processes below this one, and those that they start meanwhile.
func killDescendants() {
	for begin := time.Now(); time.Since(begin) < killTime; time.Sleep(time.Millisecond) {
		alive := 0
		for _, pid := range descendants() {
			if isDead(pid) {
				continue
			}
			alive++
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if alive == 0 {
			return
		}
	}
}

// isDead tells whether a process has ended, though its parent may not have been told.
func isDead(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(" "))
	return len(state) > 0 && (state[0] == 'Z' || state[0] == 'X')
}

// residentOf is the memory of a process, in bytes, without what it shares with files.
func residentOf(pid int) int64 {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := bytes.Fields(text)
	if len(fields) < 3 {
		return 0
	}
	resident, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	shared, _ := strconv.ParseInt(string(fields[2]), 10, 64)
	return (resident - shared) * int64(os.Getpagesize())
}
