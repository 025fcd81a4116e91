//go:build linux

package scanbench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	damagedProjects = 5
	pushers         = 4                      // push at the same time
	betweenDamages  = 150 * time.Millisecond // on average, and at least
	damagesPerScan  = 2                      // at most
)

// TestDamagedMirrors deletes, cuts and locks mirrors while pushes are scanned. Every scan must be right.
func TestDamagedMirrors(t *testing.T) {
	if *damages == 0 {
		t.Skip("make bench-scan and CI run this")
	}
	b := newBench(t, scanhook(t), newRepository(t, 40, 20))
	var all []string
	for n := range damagedProjects {
		all = append(all, b.project(fmt.Sprint("damaged-", n)))
		b.push(all[n], "main", "", b.repository.head, "failure")
	}
	var over atomic.Bool
	var pushing sync.WaitGroup
	var scanned atomic.Int64
	for pusher := range pushers {
		pushing.Go(func() {
			for n := pusher; !over.Load() && !t.Failed(); n += pushers {
				b.pushBranch(all[n%len(all)], n)
				scanned.Add(1)
			}
		})
	}
	done := map[string]int{}
	random := rand.New(rand.NewPCG(1, 5))
	for n := 0; n < *damages && !t.Failed(); {
		time.Sleep(time.Duration(random.Int64N(int64(2 * betweenDamages))))
		if int(scanned.Load()) < n/damagesPerScan {
			continue
		}
		if name := b.damage(random); name != "" {
			done[name]++
			n++
		} else if n == 0 && int(scanned.Load()) > 2*pushers {
			t.Error("there is no mirror to damage")
		}
	}
	over.Store(true)
	pushing.Wait()
	t.Logf("%d scans were right while mirrors were damaged: %v", scanned.Load(), done)
}

// pushBranch pushes a new branch, every other one with a secret, and checks its scan.
func (b *bench) pushBranch(project string, n int) {
	name, want := fmt.Sprint("topic-", n), "success"
	head, leaks := b.makeBranch(name, n%2 == 1)
	if len(leaks) > 0 {
		want = "failure"
	}
	b.push(project, name, "", head, want)
	b.wantFound(project, head, leaks...)
}

// makeBranch commits to a new branch. One does so at a time.
func (b *bench) makeBranch(name string, leaky bool) (head string, leaks []finding) {
	b.making.Lock()
	defer b.making.Unlock()
	more, random := map[string]string{}, b.repository.random
	if leaky {
		text, leak := planted(random, "fresh.yaml", textOf(random, "yaml", 500), random.IntN(3))
		more["fresh.yaml"], leaks = text, []finding{leak}
	}
	return b.repository.branch(b.t, name, more), leaks
}

// damage harms a mirror in some way, as disks, people and killed processes do. The name of the way is empty where there was
// nothing to harm.
func (b *bench) damage(random *rand.Rand) (name string) {
	mirrors, _ := filepath.Glob(filepath.Join(b.mirrors, "*", "git"))
	if len(mirrors) == 0 {
		return ""
	}
	mirror, way := mirrors[random.IntN(len(mirrors))], ways[random.IntN(len(ways))]
	if err := way.harm(mirror); err != nil {
		return "" // it is being made anew
	}
	return way.name
}

// ways are how a mirror, whose git directory is given, can be harmed.
var ways = []struct {
	name string
	harm func(git string) error
}{
	{"deleted", func(git string) error { return os.RemoveAll(filepath.Dir(git)) }},
	{"without packs", ofPacks(os.Remove)},
	{"cut packs", ofPacks(func(file string) error { return os.Truncate(file, 40) })},
	{"without refs", func(git string) error { return os.RemoveAll(filepath.Join(git, "refs")) }},
	{"without HEAD", func(git string) error { return os.Truncate(filepath.Join(git, "HEAD"), 0) }},
	{"left locked", func(git string) error {
		return holding(git, func() (err error) { // as the process did that was killed
			for _, name := range []string{"shallow.lock", "config.lock", "HEAD.lock", "packed-refs.lock"} {
				err = errors.Join(err, os.WriteFile(filepath.Join(git, name), nil, 0o600))
			}
			return err
		})
	}},
	{"held by another process", func(git string) error {
		return holding(git, func() error {
			time.Sleep(2 * betweenDamages)
			return nil
		})
	}},
}

// holding works with a mirror as the one process that may change it. It fails where there is another one.
func holding(git string, work func() error) error {
	lock, err := os.OpenFile(filepath.Dir(git)+".fetch", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	return work()
}

// ofPacks harms all packs of a mirror.
func ofPacks(harm func(file string) error) func(git string) error {
	return func(git string) (err error) {
		packs, _ := filepath.Glob(filepath.Join(git, "objects", "pack", "*.pack"))
		if len(packs) == 0 {
			return errors.New("it has none")
		}
		for _, pack := range packs {
			err = errors.Join(err, os.Chmod(pack, 0o600), harm(pack))
		}
		return err
	}
}
