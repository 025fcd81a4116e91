package mirror

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

func TestMirrorBringsWhatWasPushed(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	first := f.commit(t, "p", gittest.Files{"a": "one\n", "deep/er/ä b": "two\n"})
	second := f.commit(t, "p", gittest.Files{"a": "", "c": "three\n"})
	p := f.project("p")
	for sha, want := range map[string]gittest.Files{
		first:  {"README": "read me\n", "a": "one\n", "deep/er/ä b": "two\n"},
		second: {"README": "read me\n", "deep/er/ä b": "two\n", "c": "three\n"},
	} {
		if diff := cmp.Diff(want, read(t, c, p, strings.ToUpper(sha))); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
	before := f.sent.Load()
	read(t, c, p, first)
	if now := f.sent.Load(); now != before {
		t.Errorf("a commit that is there was fetched again: %d requests", now-before)
	}
	p.Remote = f.Remote("renamed")
	if err := os.Rename(f.dir("p"), f.dir("renamed")); err != nil {
		t.Fatal(err)
	}
	third := f.commit(t, "renamed", gittest.Files{"d": "four\n"})
	if got := read(t, c, p, third); got["d"] != "four\n" {
		t.Errorf("want the renamed project's commit, got %v", got)
	}
}

func TestMirrorIsForgotten(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha, before := f.commit(t, "p", gittest.Files{"a": "one\n"}), time.Now().Add(-time.Hour)
	p := f.project("p")
	read(t, c, p, sha)
	sent := f.sent.Load()
	if err := c.Forget(t.Context(), p.Key, before); err != nil {
		t.Fatal(err)
	}
	if read(t, c, p, sha); f.sent.Load() != sent {
		t.Error("the mirror of a project that came later is gone")
	}
	for range 2 {
		if err := c.Forget(t.Context(), p.Key, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(c.Dir); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.IsDir() && e.Name() != "scanners" }) {
		t.Errorf("there is left %v, %v", left, err)
	}
	if got := read(t, c, p, sha); got["a"] != "one\n" || f.sent.Load() == sent {
		t.Errorf("the mirror is not made anew: %v", got)
	}
}

func TestMirrorOfServersThatCannotFilter(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	gittest.Git(t, f.dir("p"), "config", "uploadpack.allowFilter", "false")
	if got := read(t, c, f.project("p"), sha); got["a"] != "one\n" {
		t.Errorf("want the file, got %v", got)
	}
	wide := f.Commit(t, "wide", gittest.Files{"a": "b\n"}, "--object-format=sha256")
	if got := read(t, c, f.project("wide"), wide); got["a"] != "b\n" {
		t.Errorf("want the file of a SHA-256 repository, got %v", got)
	}
}

// All jobs of a push share one fetch of the commit and one of its files, also those of other processes.
func TestMirrorFetchesOnceForAllJobs(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n", "b": "two\n"})
	if read(t, c, f.project("p"), sha); f.sent.Load() == 0 {
		t.Fatal("no request was counted")
	}
	alone := f.sent.Load()
	f.sent.Store(0)
	dir := filepath.Join(t.TempDir(), "shared")
	var jobs sync.WaitGroup
	for range 8 {
		jobs.Go(func() {
			got, err := tryRead(t.Context(), New(Config{Dir: dir}), f.project("p"), sha)
			if err != nil || got["b"] != "two\n" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if jobs.Wait(); f.sent.Load() != alone {
		t.Errorf("8 jobs made %d requests, one makes %d", f.sent.Load(), alone)
	}
}

// However a mirror is damaged, every read is right.
func TestMirrorIsMadeAnewWhenDamaged(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	first := f.commit(t, "p", gittest.Files{"a": "one\n", "b": strings.Repeat("two\n", 100)})
	second := f.commit(t, "p", gittest.Files{"a": "other\n"})
	write := func(dir, name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	each := func(pattern string, work func(string) error) func(string) error {
		return func(dir string) (err error) {
			found, _ := filepath.Glob(filepath.Join(dir, pattern))
			if len(found) == 0 {
				return errors.New("nothing to damage: " + pattern)
			}
			for _, path := range found {
				_ = os.Chmod(path, 0o600)
				err = errors.Join(err, work(path))
			}
			return err
		}
	}
	flip := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 12; i < len(data)-20; i += 7 {
			data[i] ^= 0x55
		}
		return os.WriteFile(path, data, 0o600)
	}
	damages := map[string]func(dir string) error{
		"removed":              func(dir string) error { return os.RemoveAll(filepath.Dir(dir)) },
		"removed with locks":   func(dir string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(dir))) },
		"emptied":              func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects")) },
		"without HEAD":         func(dir string) error { return os.Remove(filepath.Join(dir, "HEAD")) },
		"without directories":  func(dir string) error { return os.RemoveAll(filepath.Join(filepath.Dir(dir), "tmp")) },
		"configuration broken": func(dir string) error { return write(dir, "config", "[core\n") },
		"configuration cut":    func(dir string) error { return write(dir, "config", "") },
		"shallow broken":       func(dir string) error { return write(dir, "shallow", "nothing\n") },
		"packs removed":        each("objects/pack/*.pack", os.Remove),
		"packs cut":            each("objects/pack/*.pack", func(path string) error { return os.Truncate(path, 40) }),
		"packs emptied":        each("objects/pack/*.pack", func(path string) error { return os.Truncate(path, 0) }),
		"packs flipped":        each("objects/pack/*.pack", flip),
		"indexes flipped":      each("objects/pack/*.idx", flip),
		"indexes removed":      each("objects/pack/*.idx", os.Remove),
		"refs emptied":         each("refs/scan/*/*", func(path string) error { return os.Truncate(path, 0) }),
		"refs elsewhere": each("refs/scan/*/*", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("a", 40)+"\n"), 0o600)
		}),
		"a file":         func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
		"left half made": func(dir string) error { return os.Rename(filepath.Dir(dir), filepath.Dir(dir)+freshDir) },
		"left locked": func(dir string) error {
			return errors.Join(write(dir, "shallow.lock", ""), write(dir, "config.lock", ""), write(dir, "HEAD.lock", ""),
				write(dir, "packed-refs.lock", ""), write(dir, "refs/scan/1000/"+second+".lock", ""),
				write(dir, "objects/pack/tmp_pack_x1y2z3", "PACK"), write(dir, "objects/pack/tmp_idx_x1y2z3", "half"))
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			read(t, c, f.project("p"), first)
			dir := gitDir(t, c)
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			for _, sha := range []string{first, second, first} {
				want := map[string]string{first: "one\n", second: "other\n"}[sha]
				if got := read(t, c, f.project("p"), sha); got["a"] != want || len(got["b"]) != 400 {
					t.Errorf("want %q and the rest, got %v", want, got)
				}
			}
			if left := left(c.Dir, ".new", ".gone", "tmp_", "shallow.lock"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A mirror that is damaged while it is read is read again.
func TestMirrorDamagedWhileItIsRead(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	times := 0
	err := c.Use(t.Context(), f.project("p"), sha, func(ctx context.Context, m *Mirror) error {
		if times++; times < maxTries {
			for _, pack := range packs(t, gitDir(t, c)) {
				_ = os.Remove(pack)
			}
		}
		got, err := contents(ctx, m, sha)
		if err == nil && got["a"] != "one\n" {
			t.Errorf("got %v", got)
		}
		return err
	})
	if err != nil || times != maxTries {
		t.Errorf("want success at the last try, got %v at number %d", err, times)
	}
	always := c.Use(t.Context(), f.project("p"), sha, func(context.Context, *Mirror) error { return Damaged{errors.New("no use")} })
	if !errors.As(always, new(Damaged)) {
		t.Errorf("want the damage told in the end, got %v", always)
	}
}

// While the server is away, the mirror stays, and so it does for commits that there are not.
func TestMirrorOutlivesFailures(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	first := f.commit(t, "p", gittest.Files{"a": "one\n"})
	read(t, c, f.project("p"), first)
	second := f.commit(t, "p", gittest.Files{"a": "two\n"})
	before, err := os.Stat(gitDir(t, c))
	if err != nil {
		t.Fatal(err)
	}
	down := gittest.Proxy(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) })
	f.Proxy.Store(&down)
	for sha, away := range map[string]bool{second: true, strings.Repeat("a", 40): false} {
		if !away {
			f.Proxy.Store(nil)
		}
		_, err := tryRead(t.Context(), c, f.project("p"), sha)
		if refusal := new(git.FetchError); !errors.As(err, refusal) || refusal.Unreachable != away {
			t.Errorf("want a fetch error that tells %t, got %v", away, err)
		}
		if away {
			read(t, c, f.project("p"), first)
		}
		f.Proxy.Store(&down)
	}
	f.Proxy.Store(nil)
	if after, err := os.Stat(gitDir(t, c)); err != nil || !os.SameFile(before, after) {
		t.Errorf("the mirror was lost: %v", err)
	}
	if got := read(t, c, f.project("p"), second); got["a"] != "two\n" {
		t.Errorf("got %v", got)
	}
	if _, err := tryRead(t.Context(), c, f.project("p"), "../../HEAD"); err == nil {
		t.Error("want what is no commit refused")
	}
}

// A directory that cannot be written to is a fault of the host, which names the setting.
func TestCacheTellsFaultsOfTheHost(t *testing.T) {
	t.Parallel()
	f, dir := newForge(t), t.TempDir()
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	// A lock that is a directory cannot be opened, as one cannot be that another user has made.
	gittest.Write(t, dir, gittest.Files{"file": "", "locked/" + nameOf("test/p") + useLock + "/in": ""})
	for name, probed := range map[string]bool{"file": true, "file/below": true, "locked": false} {
		c := New(Config{Dir: filepath.Join(dir, name)})
		_, err := tryRead(t.Context(), c, f.project("p"), sha)
		if !errors.As(err, new(sandbox.HostFault)) || !strings.Contains(err.Error(), "runner.cache") {
			t.Errorf("%s: want the fault with advice, got %v", name, err)
		}
		if fault := c.Probe(); probed != errors.As(fault, new(sandbox.HostFault)) {
			t.Errorf("%s: the probe says %v", name, fault)
		}
	}
}

// Without a directory for caches, mirrors are in one that is as private as a workspace and goes with the process.
func TestCacheWithoutADirectory(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(temp, "caches"))
	f := newForge(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	ours := New(Config{})
	read(t, ours, f.project("p"), sha)
	if want := filepath.Join(temp, "caches", "scanhook", "mirrors"); ours.Dir != want || ours.IsPrivate() || ours.Close() != nil {
		t.Errorf("want the mirrors in %s, got %s", want, ours.Dir)
	}
	t.Setenv("XDG_CACHE_HOME", "/dev/null/none")
	c := New(Config{})
	for range 2 {
		read(t, c, f.project("p"), sha)
		info, err := os.Stat(c.Dir)
		if err != nil || info.Mode().Perm() != 0o700 || !strings.HasPrefix(c.Dir, temp) || !c.IsPrivate() {
			t.Errorf("want a private directory below %s, got %s: %v, %v", temp, c.Dir, info, err)
		}
		sandbox.RemoveStale(temp, time.Now().Add(time.Hour)) // leaves it alone
		read(t, c, f.project("p"), sha)
		if err := c.Close(); err != nil || len(left(temp, "scanhook-job")) > 0 {
			t.Errorf("left: %v, %v", left(temp, "scanhook-job"), err)
		}
	}
}

func TestMirrorKeepsTheCredential(t *testing.T) {
	t.Parallel()
	const credential = "Basic b2F1dGgyOmdscGF0LXZlcnl2ZXJ5c2VjcmV0"
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	var refused, argued sync.Map
	f.Look = func(w http.ResponseWriter, r *http.Request) bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			if line, _ := os.ReadFile(path); bytes.Contains(line, []byte(credential[6:])) {
				argued.Store(string(line), true)
			}
		}
		if r.Header.Get("Authorization") == credential {
			return false
		}
		refused.Store(r.URL.Path, true)
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	p := f.project("p")
	if _, err := tryRead(t.Context(), c, p, sha); !errors.As(err, new(git.FetchError)) {
		t.Fatalf("want it refused without the credential, got %v", err)
	}
	p.Remote.Authorization = credential
	if got := read(t, c, p, sha); got["a"] != "one\n" {
		t.Errorf("got %v", got)
	}
	argued.Range(func(line, _ any) bool { t.Errorf("the credential stands in a command line: %q", line); return true })
	_ = filepath.Walk(c.Dir, func(path string, _ os.FileInfo, _ error) error {
		if text, _ := os.ReadFile(path); bytes.Contains(text, []byte(credential[6:])) {
			t.Errorf("the credential stands in %s", path)
		}
		return nil
	})
}

// Processes are killed while they fetch; those that come after them, and beside them, read what was pushed.
func TestMirrorOutlivesKilledProcesses(t *testing.T) {
	if dir := os.Getenv("MIRROR_TEST_DIR"); dir != "" { // the process that is killed
		p := Project{Key: "test/p"}
		p.Remote.URL = os.Getenv("MIRROR_TEST_URL")
		for sha := range strings.SplitSeq(os.Getenv("MIRROR_TEST_COMMITS"), " ") {
			_, _ = tryRead(t.Context(), New(Config{Dir: dir}), p, sha)
		}
		return
	}
	t.Parallel()
	f, c := newForge(t), newCache(t)
	var commits []string
	for n := range 6 {
		commits = append(commits, f.commit(t, "p", gittest.Files{"a": strings.Repeat("x", n+1)}))
	}
	for n := range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMirrorOutlivesKilledProcesses$")
		cmd.Env = append(os.Environ(), "MIRROR_TEST_DIR="+c.Dir, "MIRROR_TEST_URL="+f.Remote("p").URL,
			"MIRROR_TEST_COMMITS="+strings.Join(commits, " "))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n*15) * time.Millisecond)
		sha := commits[n%len(commits)]
		if n%2 == 0 {
			_ = cmd.Process.Kill()
		}
		got, err := tryRead(t.Context(), c, f.project("p"), sha)
		if want := strings.Repeat("x", n%len(commits)+1); err != nil || got["a"] != want {
			t.Errorf("want %q, got %q, %v", want, got["a"], err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
