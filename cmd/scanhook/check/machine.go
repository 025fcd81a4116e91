package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/cage"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// oldestGit takes settings from its environment, where no other user sees a token.
var oldestGit = [2]int{2, 31}

const (
	leastSpace = 16 << 20 // bytes
	leastFiles = 100
)

// machine checks what scanners that run here need, and the free space.
func (c Check) machine(ctx context.Context) []Line {
	var lines []Line
	if c.Parts.HasAny(cli.Runner, cli.API) { // which asks git about reports
		lines = append(lines, c.git(ctx))
	}
	if c.runsScanners() {
		lines = append(lines, c.workspaces(ctx), space("disk of the workspaces", os.TempDir()))
		lines = append(lines, c.mirrors()...)
	}
	if c.RunsCommands() && c.Parts.Has(cli.Runner) {
		lines = append(lines, c.cage(cage.Kernel()))
	}
	if file := c.Database.URL.File(); file != "" {
		lines = append(lines, space("disk of the database", filepath.Dir(file)))
	}
	return lines
}

func (c Check) git(ctx context.Context) Line {
	version, err := git.Version(ctx)
	switch {
	case err != nil && !c.runsScanners():
		return Line{Off, "git", "not found in PATH, and not needed: no scanner runs here"}
	case errors.Is(err, exec.ErrNotFound):
		return Line{Fail, "git", "not found in PATH; install it, commits are fetched with it"}
	case err != nil:
		return Line{Fail, "git", err.Error()}
	case isOlder(version, oldestGit):
		return Line{Fail, "git", fmt.Sprintf("%s is too old; install %d.%d or newer", version, oldestGit[0], oldestGit[1])}
	}
	program, _ := exec.LookPath("git")
	return Line{OK, "git", program + " " + version}
}

// isOlder is false for a version that is none we know how to read.
func isOlder(version string, least [2]int) bool {
	for n, part := range strings.SplitN(version, ".", 3) {
		number, err := strconv.Atoi(part)
		if n == len(least) || err != nil || number != least[n] {
			return n < len(least) && err == nil && number < least[n]
		}
	}
	return false
}

// runsScanners reports whether commits have to be fetched for a scanner that runs here.
func (c Check) runsScanners() bool {
	for name, scanner := range c.Scanners {
		if !scanner.Upload && c.Uses(name) && c.Parts.Has(cli.Runner) {
			return true
		}
	}
	return false
}

// workspaces tries what each job does first. It fails with what the log of the server says then.
func (c Check) workspaces(ctx context.Context) Line {
	const subject = "workspaces"
	dir := os.TempDir()
	if err := sandbox.Probe(sandbox.Place{Dir: dir}); err != nil {
		return Line{Fail, subject, err.Error()}
	}
	if c.RunsCommands() && !executes(ctx, dir) {
		return Line{Warn, subject, fmt.Sprintf("no program can be run in %s, which is mounted noexec perhaps: scanners that unpack "+
			"programs there fail; let TMPDIR name another directory", dir)}
	}
	return Line{OK, subject, "are made in " + dir}
}

// mirrors tries what each job does in the directory of the mirrors, which it makes.
func (c Check) mirrors() []Line {
	const subject = "mirrors"
	cache := mirror.New(mirror.Config{Dir: c.Runner.Cache})
	defer func() { _ = cache.Close() }()
	switch err := cache.Probe(); {
	case err != nil:
		return []Line{{Fail, subject, err.Error()}}
	case cache.IsPrivate():
		return []Line{{Warn, subject, "are kept below " + os.TempDir() + " until the process ends, so that after each start every project is " +
			"fetched anew: let runner.cache name a directory that stays"}}
	}
	return []Line{
		{OK, subject, fmt.Sprintf("are kept in %s, up to %s", cache.Dir, humanize.IBytes(uint64(c.Runner.CacheSize)))},
		space("disk of the mirrors", cache.Dir),
	}
}

// cage tells what the kernel gives to commands, and what they can do in it.
func (c Check) cage(level cage.Level) Line {
	line := Line{OK, "cage", level.String()}
	if level.IsFull() {
		return line
	}
	line.Verdict = Warn
	if c.Runner.Cage == config.CageRequire {
		line.Verdict = Fail
	}
	if level.Fault != "" {
		line.Text += " (" + level.Fault + ")"
	}
	line.Text += "; a command can " + strings.Join(level.Gaps(), ", and ") + "; " + level.Advice()
	return line
}

// executes reports whether a program in dir can be run.
func executes(ctx context.Context, dir string) bool {
	if runtime.GOOS == "windows" {
		return true
	}
	dir, err := os.MkdirTemp(dir, "scanhook-check-")
	if err != nil {
		return true // which another line reports
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		return true
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{}
	return !errors.Is(cmd.Run(), os.ErrPermission)
}

func space(subject, dir string) Line {
	left, err := health.SpaceOf(dir)
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("cannot be looked at: %v; make the directory", err)}
	}
	text := fmt.Sprintf("%s of %s free in %s", humanize.IBytes(left.Free), humanize.IBytes(left.Total), dir)
	if left.TotalFiles > 0 {
		text += fmt.Sprintf(", %s files left", humanize.Comma(int64(left.FreeFiles)))
	}
	switch {
	case left.Free < leastSpace || left.TotalFiles > 0 && left.FreeFiles < leastFiles:
		return Line{Fail, subject, text + "; free some space"}
	case left.IsLow():
		return Line{Warn, subject, text + "; free some space soon"}
	}
	return Line{OK, subject, text}
}
