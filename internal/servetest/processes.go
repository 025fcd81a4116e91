package servetest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Processes are all pids of the machine.
func Processes() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(path))
		pids = append(pids, pid)
	}
	return pids
}

// Stat is what the kernel tells of a process. It is zero where there is none.
type Stat struct {
	State         string // Z has ended
	Parent, Group int
	CPU           time.Duration // that it has used, with its ended children
}

// StatOf reads the state of a process.
func StatOf(pid int) (s Stat) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ") // after the name
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return s
	}
	s.State = fields[0]
	s.Parent, _ = strconv.Atoi(fields[1])
	s.Group, _ = strconv.Atoi(fields[2])
	for _, field := range fields[11:15] { // utime, stime and those of children
		ticks, _ := strconv.Atoi(field)
		s.CPU += time.Duration(ticks) * tick
	}
	return s
}

// tick is the kernel's unit of times.
const tick = 10 * time.Millisecond

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
