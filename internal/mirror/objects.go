package mirror

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // it is git's own checksum, which tells damage, not forgery
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const maxRequests = 200 // that are sent together: a pipe takes 16 KiB on every system

// ErrMissing is returned for an object that the mirror does not have.
var ErrMissing = errors.New("the mirror does not have the object")

// Objects reads objects by their ids, with one git process for all of them. It is for one goroutine.
type Objects struct {
	mirror   *Mirror
	requests *os.File
	answers  *os.File
	lines    *bufio.Reader
	close    func() error
}

// Objects starts a reader, which ends with the context or by Close.
func (m *Mirror) Objects(ctx context.Context) (*Objects, error) {
	requestsOut, requests, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("reading git's objects: %w", err)
	}
	answers, answersIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading git's objects: %w", err), requestsOut.Close(), requests.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := m.repo.Run(ctx, requestsOut, answersIn, "cat-file", "--batch-command")
		// Closed here, so that a reader does not wait for an answer of a process that is gone.
		_, _ = requestsOut.Close(), answersIn.Close()
		ended <- err
	}()
	o := &Objects{mirror: m, requests: requests, answers: answers, lines: bufio.NewReaderSize(answers, 64<<10)}
	o.close = sync.OnceValue(func() error {
		_ = requests.Close() // git ends
		_, _ = io.Copy(io.Discard, o.lines)
		err := <-ended
		cancel()
		_ = answers.Close()
		return err
	})
	return o, nil
}

// Close ends git's process.
func (o *Objects) Close() error { return o.close() }

// Blob returns the contents of a file, whole and as its id says they are; nil for one of more than so many bytes. Errors are
// ErrMissing and Damaged.
func (o *Objects) Blob(ctx context.Context, id string, most int64) (data []byte, size int64, err error) {
	kind, size, err := o.ask(ctx, "info", id)
	switch {
	case err != nil:
		return nil, 0, err
	case kind != "blob":
		return nil, 0, Damaged{fmt.Errorf("%s is a %s, not the contents of a file", id, kind)}
	case size > most:
		return nil, size, nil
	}
	if _, _, err = o.ask(ctx, "contents", id); err != nil {
		return nil, 0, err
	}
	data = make([]byte, size+1)
	if _, err := io.ReadFull(o.lines, data); err != nil {
		return nil, 0, o.broken(ctx, err)
	}
	data = data[:size]
	if sumOf(data, len(id)) != id {
		return nil, 0, Damaged{fmt.Errorf("%s has other contents than its id says", id)}
	}
	return data, size, nil
}

// ask sends a request and reads the first line of its answer, "ID TYPE SIZE".
func (o *Objects) ask(ctx context.Context, what, id string) (kind string, size int64, err error) {
	if err := o.request(ctx, what, id); err != nil {
		return "", 0, err
	}
	return o.answer(ctx, id)
}

// request asks for objects at once: so few that neither git nor we wait until the other one reads.
func (o *Objects) request(ctx context.Context, what string, ids ...string) error {
	var lines strings.Builder
	for _, id := range ids {
		if strings.ContainsAny(id, " \n") || id == "" {
			return fmt.Errorf("%.80q is not the id of an object", id)
		}
		lines.WriteString(what + " " + id + "\n")
	}
	if _, err := io.WriteString(o.requests, lines.String()); err != nil {
		return o.broken(ctx, err)
	}
	return nil
}

func (o *Objects) answer(ctx context.Context, id string) (kind string, size int64, err error) {
	line, err := o.lines.ReadString('\n')
	if err != nil {
		return "", 0, o.broken(ctx, err)
	}
	fields := strings.Fields(line)
	if len(fields) == 2 && fields[1] == "missing" {
		return "", 0, fmt.Errorf("%w: %s", ErrMissing, id)
	}
	if len(fields) == 3 && fields[0] == id {
		if size, err = strconv.ParseInt(fields[2], 10, 64); err == nil {
			return fields[1], size, nil
		}
	}
	return "", 0, Damaged{fmt.Errorf("git answered %.80q", line)}
}

// missing are those of the objects that the mirror does not have.
func (o *Objects) missing(ctx context.Context, ids []string) (missing []string, err error) {
	for some := range slices.Chunk(ids, maxRequests) {
		if err := o.request(ctx, "info", some...); err != nil {
			return nil, err
		}
		for _, id := range some {
			switch _, _, err := o.answer(ctx, id); {
			case errors.Is(err, ErrMissing):
				missing = append(missing, id)
			case err != nil:
				return nil, err
			}
		}
	}
	return missing, nil
}

// broken explains why git's process ended.
func (o *Objects) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if said := o.close(); said != nil {
		err = said
	}
	return o.mirror.judge(ctx, fmt.Errorf("reading git's objects: %w", err))
}

// sumOf is the id that a file's contents have, of so many hexadecimal digits.
func sumOf(data []byte, digits int) string {
	var sum hash.Hash
	if digits == 2*sha256.Size {
		sum = sha256.New()
	} else {
		sum = sha1.New() //nolint:gosec // it is git's own checksum, which tells damage, not forgery
	}
	_, _ = fmt.Fprintf(sum, "blob %d\x00", len(data)) // a hash takes everything
	_, _ = sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}
