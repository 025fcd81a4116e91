package runner

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
	tailSize  = 4 << 10
)

// runGroup runs cmd, made by exec.CommandContext, as the leader of a process group of its own. The whole group is
// killed when the context ends, and also when the leader ended by itself: no child outlives its job.
func runGroup(cmd *exec.Cmd) error {
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

// ended tells whether a process that failed came to run at all.
func ended(err error) bool { return errors.As(err, new(*exec.ExitError)) }

// environment is what every process of the job gets to see, and nothing else of ours: no secret lies in it.
func (w workspace) environment() []string {
	return []string{"PATH=" + absolutePath(), "HOME=" + w.home, "TMPDIR=" + w.temp, "LANG=C.UTF-8"}
}

// absolutePath is PATH without relative directories: processes run inside the checkout, which must not offer programs.
func absolutePath() string {
	dirs := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool { return !filepath.IsAbs(dir) })
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// tail is a writer that keeps the last bytes written to it.
type tail struct {
	limit int
	kept  []byte
	cut   bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(p), nil
}

// String is the end of what was written, from the beginning of a word: nobody knows half a secret for one.
func (t *tail) String() string {
	if !t.cut {
		return string(t.kept)
	}
	return string(t.kept[bytes.IndexAny(t.kept, " \t\r\n")+1:])
}

// capped is a writer that gives up, and tells so, when more than left bytes come.
type capped struct {
	io.Writer
	left int64
	full func()

	failure error // of the writer: a process that nobody listens to fails in its own way
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left -= int64(len(p)); c.left < 0 {
		c.full()
		return 0, io.ErrShortWrite
	}
	n, err := c.Writer.Write(p)
	c.failure = err
	return n, err
}
