package sandbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// drainTime is how long the output of an ended process is still read while a child of it holds the pipe open.
	drainTime = 2 * time.Second
	maxTail   = 4 << 10
)

// RunGroup runs cmd, made by exec.CommandContext, as the leader of a process group of its own. The whole group is killed when
// the context ends, and also when the leader ended by itself: no child outlives its job.
func RunGroup(cmd *exec.Cmd) error {
	leadGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = drainTime
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	_ = killGroup(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // the leader itself succeeded
	}
	return err
}

// Exited tells whether a process that failed ran at all.
func Exited(err error) bool { return errors.As(err, new(*exec.ExitError)) }

// Environment is all that a process of the job sees of ours: it has no secret.
func (w Workspace) Environment() []string {
	return []string{"PATH=" + absolutePath(), "HOME=" + w.Home, "TMPDIR=" + w.Temp, "LANG=C.UTF-8"}
}

// absolutePath is PATH without relative directories, because processes run inside the checkout.
func absolutePath() string {
	dirs := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool { return !filepath.IsAbs(dir) })
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// Tail is a writer that keeps the last 4 KiB written to it.
type Tail struct {
	kept []byte
	cut  bool
}

func (t *Tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxTail; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(p), nil
}

// String is the end of what was written, from the beginning of a word: half a secret would not be recognised as one.
func (t *Tail) String() string {
	if !t.cut {
		return string(t.kept)
	}
	return string(t.kept[bytes.IndexAny(t.kept, " \t\r\n")+1:])
}

// Capped is a writer that takes at most Left bytes, and calls Full when more come.
type Capped struct {
	io.Writer
	Left int64
	Full func()
	Err  error // of the writer, which a process whose output fails does not tell
}

func (c *Capped) Write(p []byte) (int, error) {
	if c.Left -= int64(len(p)); c.Left < 0 {
		c.Full()
		return 0, io.ErrShortWrite
	}
	n, err := c.Writer.Write(p)
	c.Err = err
	return n, err
}
