package cage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/cage"
)

// levels are the cages that this kernel gives, the full one first.
func levels(t *testing.T) map[string]cage.Level {
	t.Helper()
	kernel := cage.Kernel()
	t.Logf("uid %d: %s; %s", os.Getuid(), kernel, kernel.Fault)
	if kernel.Landlock == 0 {
		t.Skip("this kernel has no Landlock: nothing of the cage can be tested")
	}
	all := map[string]cage.Level{"Landlock alone": {Landlock: kernel.Landlock}}
	if kernel.Namespaces {
		all["namespaces alone"] = cage.Level{Namespaces: true, View: kernel.View}
		all["Landlock and namespaces"] = cage.Level{Landlock: kernel.Landlock, Namespaces: true}
		all["all"] = kernel
	} else {
		t.Log("this kernel gives no namespaces: cages of them are not tested")
	}
	return all
}

// place is what a scanner gets, beside what it must not get.
type place struct {
	t      *testing.T
	spec   cage.Spec
	secret string // a file
	self   string // a scanner that means no good
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	p := place{t: t, secret: filepath.Join(dir, "config.yaml")}
	self, err := os.Executable()
	if err == nil {
		err = os.WriteFile(p.secret, []byte("hunter2"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.self = self
	for _, name := range []string{"work", "view"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.spec = cage.Spec{
		Read: append(cage.System(false), self), Write: []string{p.work()}, Dir: p.work(), View: filepath.Join(dir, "view"),
		Env:    []string{"PATH=/usr/bin:/bin", "HOME=" + p.work(), beScanner + "=1"},
		Memory: 1 << 30, File: 8 << 20, Processes: 200,
	}
	return p
}

func (p place) work() string { return filepath.Join(filepath.Dir(p.secret), "work") }

// does has the scanner do something.
func (p place) does(ctx context.Context, level cage.Level, deed ...string) (cage.Result, string, error) {
	said := new(bytes.Buffer)
	result, err := level.Execute(ctx, p.spec, append([]string{p.self}, deed...), said, said)
	return result, said.String(), err
}

func (p place) wantRefused(level cage.Level, deed ...string) {
	p.t.Helper()
	if result, said, err := p.does(p.t.Context(), level, deed...); err != nil || result.Code != refused {
		p.t.Errorf("want %v refused, got %s, %v: %s", deed, result, err, said)
	}
}

func (p place) wantDone(level cage.Level, deed ...string) {
	p.t.Helper()
	if result, said, err := p.does(p.t.Context(), level, deed...); err != nil || result.Code != succeeded {
		p.t.Errorf("want %v done, got %s, %v: %s", deed, result, err, said)
	}
}

// gapped tells whether a level has a gap that begins so.
func gapped(level cage.Level, gap string) bool {
	return slices.ContainsFunc(level.Gaps(), func(g string) bool { return strings.HasPrefix(g, gap) })
}

func eachLevel(t *testing.T, test func(t *testing.T, level cage.Level)) {
	for name, level := range levels(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, level)
		})
	}
}

// A directory in which something is hidden is granted entry by entry, and those may be very many.
func TestRunGrantsManyPaths(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		dir := filepath.Join(t.TempDir(), strings.Repeat("long", 10))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for n := range 5000 {
			path := filepath.Join(dir, fmt.Sprint("file-", n))
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				p.spec.Read = append(p.spec.Read, path)
			}
		}
		p.wantDone(level, "read", filepath.Join(dir, "file-4999"))
		p.wantDone(level, "read", filepath.Join(dir, "file-1"))
		p.wantRefused(level, "read", filepath.Join(dir, "file-0"))
	})
}

func TestRunKeepsFilesAway(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		if gapped(level, "read and change") {
			t.Fatalf("a cage of %s keeps no files away", level)
		}
		other := filepath.Join(t.TempDir(), "other")
		p.wantRefused(level, "read", p.secret)
		p.wantRefused(level, "write", p.secret)
		p.wantRefused(level, "list", t.TempDir())
		p.wantRefused(level, "write", other)
		p.wantRefused(level, "read", "/etc/shadow")
		p.wantRefused(level, "write", "/usr/scanhook-test")
		p.wantRefused(level, "list", "/root")
		p.wantRefused(level, "list", "/var")
		if err := os.Symlink(p.secret, filepath.Join(p.work(), "link")); err != nil {
			t.Fatal(err)
		}
		p.wantRefused(level, "read", filepath.Join(p.work(), "link"))
		p.wantDone(level, "write", filepath.Join(p.work(), "a"))
		p.wantDone(level, "read", filepath.Join(p.work(), "a"))
		p.wantDone(level, "read", "/etc/passwd")
		p.wantDone(level, "write", "/dev/null")
		if _, err := os.Lstat(filepath.Join(p.work(), "a")); err != nil {
			t.Errorf("want the file that was written, got %v", err)
		}
		if entries, err := os.ReadDir(p.spec.View); err != nil || len(entries) > 0 {
			t.Errorf("want nothing left of the view, got %v, %v", entries, err)
		}
	})
}

// What is granted within what is granted keeps its own right.
func TestRunGrantsFiles(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		dir := t.TempDir()
		for _, name := range []string{"cache", "rules"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		rules := filepath.Join(dir, "rules", "a")
		link := filepath.Join(dir, "link")
		if err := errors.Join(os.WriteFile(rules, nil, 0o600), os.Symlink("rules/a", link)); err != nil {
			t.Fatal(err)
		}
		p.spec.Read = append(p.spec.Read, dir, link, filepath.Join(dir, "none"))
		p.spec.Write = append(p.spec.Write, filepath.Join(dir, "cache"))
		p.wantDone(level, "read", rules)
		p.wantDone(level, "read", link)
		p.wantRefused(level, "write", rules)
		p.wantRefused(level, "write", filepath.Join(dir, "rules", "b"))
		p.wantDone(level, "write", filepath.Join(dir, "cache", "b"))
	})
}

// Programs write to /tmp, whatever TMPDIR says. It is theirs alone.
func TestRunGivesATemporaryDirectory(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.spec.Temp = filepath.Join(t.TempDir(), "temp")
		if err := os.Mkdir(p.spec.Temp, 0o700); err != nil {
			t.Fatal(err)
		}
		p.spec.Write = append(p.spec.Write, p.spec.Temp)
		p.wantDone(level, "write", filepath.Join(p.spec.Temp, "a"))
		p.wantDone(level, "write", filepath.Join(p.work(), "a"))
		p.wantRefused(level, "read", p.secret)
		if !level.View {
			p.wantRefused(level, "write", "/tmp/scanhook-test")
			return
		}
		p.wantDone(level, "read", "/tmp/a")
		p.wantDone(level, "write", "/tmp/b")
		if _, err := os.Stat(filepath.Join(p.spec.Temp, "b")); err != nil {
			t.Error(err)
		}
	})
}

func TestRunKeepsProcessesAway(t *testing.T) {
	const marker = "hunter2-in-the-environment"
	victim := exec.Command("sleep", "600")
	victim.Env = append(os.Environ(), "SECRET="+marker)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = victim.Process.Kill(), victim.Wait() })
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.wantRefused(level, "seek", marker, p.secret)
		p.wantRefused(level, "seek", "hunter2", p.secret)
		if !gapped(level, "send signals") {
			p.wantRefused(level, "signal", fmt.Sprint(victim.Process.Pid))
			p.wantRefused(level, "signal", fmt.Sprint(os.Getpid()))
		}
	})
}

// sockets listens wherever a scanner might connect to.
func sockets(t *testing.T) (addresses map[string]string) {
	t.Helper()
	addresses = map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s"), "abstract": fmt.Sprint("@scanhook-", rand.Uint64())}
	for name, address := range addresses {
		listener, err := net.Listen(strings.Replace(name, "abstract", "unix", 1), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		addresses[name] = listener.Addr().String()
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = packets.Close() })
	addresses["udp"] = packets.LocalAddr().String()
	return addresses
}

func TestRunKeepsTheNetworkAway(t *testing.T) {
	addresses := sockets(t)
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		for name, gap := range map[string]string{"tcp": "reach the network", "udp": "send UDP", "unix": "talk to services", "abstract": "send signals"} {
			deed := []string{"dial", strings.Replace(name, "abstract", "unix", 1), addresses[name]}
			if gapped(level, gap) || gapped(level, "reach the network") {
				t.Logf("%s: a gap of %s", name, level)
				p.wantDone(level, deed...)
				continue
			}
			p.wantRefused(level, deed...)
		}
		p.spec.Network = true
		p.wantDone(level, "dial", "tcp", addresses["tcp"])
		p.wantDone(level, "dial", "udp", addresses["udp"])
	})
}

func TestRunEndsAllProcesses(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		mark := fmt.Sprintf("600.%d", rand.Uint64())
		p.wantDone(level, "away", mark)
		wantGone(t, mark)
	})
}

func TestRunEndsInTime(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		late := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, late)
		defer cancel()
		mark := fmt.Sprintf("600.%d", rand.Uint64())
		p.self, p.spec.Env = "/bin/sh", []string{"PATH=/usr/bin:/bin"}
		script := `trap '' TERM INT HUP; setsid sleep "$1" & sleep "$1" & while :; do sleep "$1"; done`
		began := time.Now()
		if _, _, err := p.does(ctx, level, "-c", script, "-", mark); !errors.Is(err, late) || time.Since(began) > 30*time.Second {
			t.Errorf("want it ended in time, got %v after %s", err, time.Since(began))
		}
		wantGone(t, mark)
	})
}

// When Scanhook itself is killed, nothing of its cages stays.
func TestRunEndsWithItsProcess(t *testing.T) {
	if mark := os.Getenv("CAGE_TEST_MARK"); mark != "" {
		p := newPlace(t)
		p.self, p.spec.Env = "/bin/sh", []string{"PATH=/usr/bin:/bin"}
		level := cage.Kernel()
		if os.Getenv("CAGE_TEST_LEVEL") != "all" {
			level = cage.Level{Landlock: level.Landlock}
		}
		_, _, _ = p.does(context.Background(), level, "-c", `setsid sleep "$1" & sleep "$1"`, "-", mark)
		return
	}
	for name := range levels(t) {
		if name != "all" && name != "Landlock alone" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := fmt.Sprintf("600.%d", rand.Uint64())
			self, _ := os.Executable()
			cmd := exec.Command(self, "-test.run=^TestRunEndsWithItsProcess$")
			cmd.Env = append(os.Environ(), "CAGE_TEST_MARK="+mark, "CAGE_TEST_LEVEL="+name, "TMPDIR="+t.TempDir())
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(30 * time.Second); running(mark) < 2 && time.Now().Before(deadline); {
				time.Sleep(10 * time.Millisecond)
			}
			if running(mark) < 2 {
				t.Error("it did not begin")
			}
			_, _ = cmd.Process.Kill(), cmd.Wait()
			wantGone(t, mark)
		})
	}
}

// running is how many processes were called with an argument, helpers not counted.
func running(argument string) (n int) {
	lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if arguments := strings.Split(string(text), "\x00"); arguments[0] == "sleep" && slices.Contains(arguments, argument) {
			n++
		}
	}
	return n
}

func wantGone(t *testing.T, mark string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); running(mark) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes live on", running(mark))
		}
	}
}

func TestRunBoundsMemory(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.spec.Memory = 256 << 20
		p.wantDone(level, "eat", "64")
		if result, said, err := p.does(t.Context(), level, "eat", "600"); err != nil || result.Success() || result.Code == succeeded {
			t.Errorf("want it ended, got %s, %v: %.300s", result, err, said)
		}
		result, said, err := p.does(t.Context(), level, "dine", "6", "100")
		if err != nil || !strings.Contains(result.Ended, "more than the 256 MiB of memory") {
			t.Errorf("want all of them ended, got %+v, %v: %.300s", result, err, said)
		}
	})
}

func TestRunBoundsProcesses(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.spec.Processes, p.spec.Memory = 60, 4<<30
		result, said, err := p.does(t.Context(), level, "spawn", "1000")
		if err != nil || result.Code == succeeded {
			t.Errorf("want it refused or ended, got %+v, %v: %.300s", result, err, said)
		}
		t.Logf("%+v %.100s", result, said)
	})
}

func TestRunBoundsFiles(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		file := filepath.Join(p.work(), "large")
		if result, said, err := p.does(t.Context(), level, "fill", file); err != nil || result.Code == succeeded {
			t.Errorf("want it refused, got %s, %v: %s", result, err, said)
		}
		if info, err := os.Stat(file); err != nil || info.Size() > p.spec.File {
			t.Errorf("want at most %d bytes, got %v, %v", p.spec.File, info, err)
		}
	})
}

// Nothing is gained by programs that run as somebody else, and no namespaces are made in the cage.
func TestRunGivesNoPrivileges(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.self, p.spec.Env = "/bin/sh", []string{"PATH=/usr/bin:/bin"}
		_, said, err := p.does(t.Context(), level, "-c", `while read -r line; do case "$line" in Cap*|NoNewPrivs*) echo $line;; esac; done </proc/self/status`)
		if level.View && (err != nil || strings.Count(said, "0000000000000000") != 5 || !strings.Contains(said, "NoNewPrivs: 1")) {
			t.Errorf("want no privileges, got %v:\n%s", err, said)
		}
		if result, said, err := p.does(t.Context(), level, "-c", `unshare -Urm true`); err != nil || level.View && result.Success() {
			t.Errorf("want no namespaces, got %s, %v: %s", result, err, said)
		}
	})
}

func TestRunTellsHowProgramsEnd(t *testing.T) {
	eachLevel(t, func(t *testing.T, level cage.Level) {
		p := newPlace(t)
		p.self, p.spec.Env = "/bin/sh", []string{"A=b"}
		for script, want := range map[string]string{
			`exit 0`: "exit status 0", `exit 7`: "exit status 7", `kill -9 $$`: "signal: killed", `kill -15 $$`: "signal: terminated",
		} {
			if result, _, err := p.does(t.Context(), level, "-c", script); err != nil || result.String() != want {
				t.Errorf("%s: want %s, got %s, %v", script, want, result, err)
			}
		}
		if _, said, err := p.does(t.Context(), level, "-c", `echo "$A ${HOME-none}"; pwd`); err != nil || said != "b none\n"+p.work()+"\n" {
			t.Errorf("want its environment and directory, got %q, %v", said, err)
		}
		p.self = filepath.Join(p.work(), "none")
		if _, _, err := p.does(t.Context(), level); err == nil || errors.As(err, new(cage.Unmade)) {
			t.Errorf("want a program that cannot be run, got %v", err)
		}
	})
}

// All of it holds for an ordinary user, too.
func TestRunAsAnOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("this is no superuser")
	}
	const nobody = 65534
	dir := t.TempDir()
	copied := filepath.Join(dir, "cage.test")
	if err := errors.Join(copyFile(copied, "/proc/self/exe"), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o700),
		os.Chown(filepath.Join(dir, "tmp"), nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), copied, "-test.run=^(TestRun|TestConceal)", "-test.v", "-test.skip=^TestRunAsAnOrdinaryUser$")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + filepath.Join(dir, "tmp"), "HOME=" + filepath.Join(dir, "tmp")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, said)
	}
	t.Logf("%s", said)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
