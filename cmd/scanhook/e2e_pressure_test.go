package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// maxResident is what Scanhook's process may take whatever comes, in kB.
const maxResident = 250 << 10

// Whatever comes, memory stays bounded and ordinary pushes are answered.
func TestPressure(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("takes half a minute, and /proc")
	}
	w, _ := setup(t, sandboxConfig{kind: "github", extra: "scanners: {bomb: {upload: true}}\nrepositories: [{match: '**', scanners: []}]"})
	w.release(t)
	pid := processOf(t, w, built(t)).Process.Pid
	t.Logf("idle: %d MB", resident(t, pid, "VmRSS")>>10)
	slow := slowSenders(t, w, 200)
	t.Logf("with 200 slow connections: %d MB", resident(t, pid, "VmRSS")>>10)
	for _, attack := range attacks(t, w) {
		pulse := takePulse(t, w)
		began, stall := time.Now(), watchStalls()
		answers := attack.run()
		pulse.stop()
		if stood := stall(); stood > time.Second {
			t.Logf("the machine stood still for %s: %d attackers hung up by themselves", stood, answers["timeout"])
			delete(answers, "timeout")
		}
		now, peak := resident(t, pid, "VmRSS"), resident(t, pid, "VmHWM")
		t.Logf("%s: %d MB now, %d MB at most so far; %.1fs; answers %v; ordinary pushes %v, the slowest after %s",
			attack.name, now>>10, peak>>10, time.Since(began).Seconds(), answers, pulse.answers, pulse.slowest)
		if peak > maxResident {
			t.Fatalf("%s: VmHWM is %d kB, want at most %d", attack.name, peak, maxResident)
		}
		if len(pulse.answers) != 1 || pulse.answers["202"] == 0 {
			t.Errorf("%s: ordinary pushes got %v, the slowest after %s", attack.name, pulse.answers, pulse.slowest)
		}
		answers.check(t, attack)
	}
	slow()
}

// built is the program as users have it: tests may be built with the race detector, which takes memory.
func built(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scanhook")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// resident reads a line of /proc/PID/status, in kB.
func resident(t *testing.T, pid int, line string) (kB int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), line+":")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}

// pulse is a repository that is pushed to all the time.
type pulse struct {
	done    chan struct{}
	running sync.WaitGroup
	answers tally
	slowest time.Duration
}

type tally map[string]int

func takePulse(t *testing.T, w *sandbox) *pulse {
	p := &pulse{done: make(chan struct{}), answers: tally{}}
	p.running.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			p.push(t, w)
			select {
			case <-p.done:
				return
			case <-tick.C:
			}
		}
	})
	return p
}

// push counts how a push is answered; that it was not in time, only where this process could see it.
func (p *pulse) push(t *testing.T, w *sandbox) {
	began, stall := time.Now(), watchStalls()
	answer := post(t, w, ordinary(t, w))
	if stood := stall(); stood > time.Second && answer != "202" {
		t.Logf("not counted, for the machine stood still for %s: %s", stood, answer)
		return
	}
	p.answers[answer]++
	p.slowest = max(p.slowest, time.Since(began).Round(time.Millisecond))
}

// watchStalls measures, until the returned function is called, for how long in all this process did not run though it had to.
func watchStalls() (total func() time.Duration) {
	const every = 20 * time.Millisecond
	done, found := make(chan struct{}), make(chan time.Duration)
	go func() {
		var stall time.Duration
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-done:
				found <- stall + max(time.Since(last)-every, 0)
				return
			case <-time.After(every):
				stall += max(time.Since(last)-every, 0)
			}
		}
	}()
	return func() time.Duration { close(done); return <-found }
}

func (p *pulse) stop() {
	close(p.done)
	p.running.Wait()
}

// post sends a delivery over a connection of its own and returns the answer's status, or what went wrong.
func post(t *testing.T, w *sandbox, d fakeforge.Delivery) string {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.hookURL(), bytes.NewReader(d.Body))
	if err != nil {
		return err.Error()
	}
	request.Header = d.Header
	return answerTo(request)
}

// answerTo sends a request as a platform does: it hangs up after ten seconds.
func answerTo(request *http.Request) string { return answerWithin(request, 10*time.Second) }

func answerWithin(request *http.Request, patience time.Duration) string {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		if os.IsTimeout(err) {
			return "timeout"
		}
		return cut
	}
	defer response.Body.Close()
	return fmt.Sprint(response.StatusCode)
}
