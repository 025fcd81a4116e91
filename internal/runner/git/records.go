package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const maxRecord = 1 << 20 // bytes of a path and what git tells with it

// Records runs git and calls each for every piece of its output that ends with the byte end, which may be more than fits into
// memory. It gives up with LimitExceeded when there are more than a commit may have: a dozen objects can name more than fits
// on any disk.
func (r Repo) Records(ctx context.Context, in io.Reader, end byte, each func(string) error, args ...string) error {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	most := r.PathLimit()
	out := &splitter{end: end, each: each, max: most, left: most, bytes: maxPathName * most, stop: cancel}
	err := r.Run(running, in, out, args...)
	switch {
	case out.err != nil:
		return out.err
	case err != nil:
		return err
	case len(out.rest) > 0:
		return fmt.Errorf("git broke off after %.80q", out.rest)
	}
	return nil
}

// splitter calls each for every piece of what is written to it.
type splitter struct {
	end              byte
	each             func(string) error
	max, left, bytes int64
	stop             context.CancelCauseFunc
	rest             []byte
	err              error
}

func (s *splitter) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for s.err == nil {
		at := bytes.IndexByte(s.rest, s.end)
		if at < 0 {
			break
		}
		s.take(string(s.rest[:at]))
		s.rest = s.rest[at+1:]
	}
	if s.err == nil && len(s.rest) > maxRecord {
		s.err = tooMany("a path of more than a megabyte")
	}
	if s.err != nil {
		s.stop(s.err)
		return 0, s.err
	}
	return len(p), nil
}

func (s *splitter) take(record string) {
	s.left, s.bytes = s.left-1, s.bytes-int64(len(record))
	switch {
	case s.left < 0:
		s.err = TooManyPaths(s.max)
	case s.bytes < 0:
		s.err = tooMany("more than " + humanize.Comma(maxPathName*s.max) + " bytes in the names of its paths")
	default:
		s.err = s.each(record)
	}
}

// TooManyPaths is the failure of a commit that has more paths than it may have.
func TooManyPaths(most int64) error { return tooMany("more than " + humanize.Comma(most) + " paths") }

func tooMany(what string) error {
	return sandbox.LimitExceeded{Err: errors.New("the commit has " + what + ": take generated files out of the repository, or raise " +
		"runner.max_paths")}
}
