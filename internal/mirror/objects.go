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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/scanhook/scanhook/core"
)

// ErrMissing is returned for an object that the mirror does not have.
var ErrMissing = errors.New("the mirror does not have the object")

// What git is asked for: the kind and size of an object, or also what it holds.
const (
	askInfo     = "info"
	askContents = "contents"
)

const kindBlob = "blob"

// Objects reads objects by their names, with one git process for all of them. It is for one goroutine.
type Objects struct {
	mirror   *Mirror
	requests *os.File
	answers  *os.File
	lines    *bufio.Reader
	kill     context.CancelFunc // ends git
	end      func() error       // waits for it, and returns what it said
	over     atomic.Bool
}

// Objects starts a reader, which ends by Close, and with the context of a call that does not end before it.
func (m *Mirror) Objects(ctx context.Context) (*Objects, error) {
	requestsOut, requests, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("reading git's objects: %w", err)
	}
	answers, answersIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading git's objects: %w", err), requestsOut.Close(), requests.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := m.repo.Run(running, requestsOut, answersIn, "cat-file", "--batch-command", "--buffer")
		// Closed here, so that a reader does not wait for an answer of a process that is gone.
		_, _ = requestsOut.Close(), answersIn.Close()
		ended <- err
	}()
	o := &Objects{mirror: m, requests: requests, answers: answers, lines: bufio.NewReaderSize(answers, 64<<10)}
	o.kill = func() {
		o.over.Store(true)
		cancel()
	}
	o.end = sync.OnceValue(func() error {
		_ = requests.Close()
		_, _ = io.Copy(io.Discard, o.lines)
		err := <-ended
		o.kill()
		_ = answers.Close()
		return err
	})
	return o, nil
}

// Close ends git's process.
func (o *Objects) Close() {
	o.kill()
	_ = o.end()
}

// answer is what git says of an object, without a kind where there is none.
type answer struct {
	kind, id string
	size     int64
	data     []byte // if it was asked for
}

// Blob returns the contents of a file, whole and as its id says they are; nil for one of more than so many bytes. Errors are
// ErrMissing and Damaged.
func (o *Objects) Blob(ctx context.Context, id string, most int64) (data []byte, size int64, err error) {
	size, known := o.mirror.sizes[id]
	if !known {
		if size, err = o.sizeOf(ctx, id); err != nil {
			return nil, 0, err
		}
	}
	if size > most {
		return nil, size, nil
	}
	found, err := o.askOne(ctx, askContents, id, size)
	switch {
	case err == nil && found.kind != kindBlob: // it was there a moment ago
		err = fmt.Errorf("%w: %s", ErrMissing, id)
	case errors.Is(err, errTooLarge):
		err = Damaged{fmt.Errorf("%s has another size than before", id)}
	}
	return found.data, found.size, err
}

// sizeOf is how many bytes the contents of a file have: what is too large is not read.
func (o *Objects) sizeOf(ctx context.Context, id string) (int64, error) {
	found, err := o.askOne(ctx, askInfo, id, 0)
	switch {
	case err != nil:
		return 0, err
	case found.kind == "":
		return 0, fmt.Errorf("%w: %s", ErrMissing, id)
	case found.kind != kindBlob:
		return 0, Damaged{fmt.Errorf("%s is a %s, not the contents of a file", id, found.kind)}
	}
	return found.size, nil
}

// askOne asks for one object.
func (o *Objects) askOne(ctx context.Context, what, name string, most int64) (found answer, err error) {
	err = o.askAll(ctx, what, []string{name}, most, func(_ int, a answer) error {
		found = a
		return nil
	})
	return found, err
}

// askAll asks for objects together and calls each for every answer, in order. It fails where one to be read has more than so
// many bytes. After an error of its own or of each, git's process is over: answers would be left to be read.
func (o *Objects) askAll(ctx context.Context, what string, names []string, most int64, each func(n int, a answer) error) error {
	var lines strings.Builder
	for _, name := range names {
		if strings.Contains(name, "\n") || name == "" {
			return fmt.Errorf("%.80q is not the name of an object", name)
		}
		lines.WriteString(what + " " + name + "\n")
	}
	defer context.AfterFunc(ctx, o.kill)()
	// Git answers nothing before it has read everything, so that neither side waits for the other one.
	if _, err := io.WriteString(o.requests, lines.String()+"flush\n"); err != nil {
		return o.broken(ctx, err)
	}
	for n, name := range names {
		a, err := o.answer(ctx, what, name, most)
		if err == nil {
			err = each(n, a)
		}
		if err != nil {
			o.kill()
			return err
		}
	}
	return nil
}

// answer reads an answer: "ID KIND SIZE" and perhaps what the object holds, or the name and that it is missing.
func (o *Objects) answer(ctx context.Context, what, name string, most int64) (a answer, err error) {
	line, err := o.lines.ReadString('\n')
	if err != nil {
		return a, o.broken(ctx, err)
	}
	if strings.HasSuffix(line, " missing\n") || strings.HasSuffix(line, " ambiguous\n") {
		return a, nil
	}
	fields := strings.Fields(line)
	if len(fields) == 3 && core.IsCommitSHA(fields[0]) && (fields[0] == name || !core.IsCommitSHA(name)) {
		a.id, a.kind = fields[0], fields[1]
		a.size, err = strconv.ParseInt(fields[2], 10, 64)
	}
	switch {
	case a.id == "" || err != nil || a.size < 0:
		return answer{}, Damaged{fmt.Errorf("git answered %.80q", line)}
	case what == askContents && a.size > most:
		return answer{}, errTooLarge
	case what == askContents:
		a.data, err = o.read(ctx, a)
	}
	return a, err
}

// errTooLarge is returned for an object that has more bytes than the caller takes.
var errTooLarge = errors.New("the object is too large")

// read reads what an object holds, as its id says it is.
func (o *Objects) read(ctx context.Context, a answer) ([]byte, error) {
	data := make([]byte, a.size+1) // a line break follows
	if _, err := io.ReadFull(o.lines, data); err != nil {
		return nil, o.broken(ctx, err)
	}
	data = data[:a.size]
	if sumOf(a.kind, data, len(a.id)) != a.id {
		return nil, Damaged{fmt.Errorf("%s has other contents than its id says", a.id)}
	}
	return data, nil
}

// missing are those of the objects that the mirror does not have. The sizes of the others are remembered.
func (o *Objects) missing(ctx context.Context, ids []string) (missing []string, err error) {
	sizes := make(map[string]int64) // another one: the former may be read now
	err = o.askAll(ctx, askInfo, ids, 0, func(n int, a answer) error {
		switch a.kind {
		case "":
			missing = append(missing, ids[n])
		case kindBlob:
			sizes[a.id] = a.size
		}
		return nil
	})
	o.mirror.sizes = sizes
	return missing, err
}

// broken explains why git's process ended.
func (o *Objects) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		o.kill()
		return context.Cause(ctx)
	}
	if said := o.end(); said != nil {
		err = said
	}
	return o.mirror.judge(ctx, fmt.Errorf("reading git's objects: %w", err))
}

// sumOf is the id that an object of a kind has, of so many hexadecimal digits.
func sumOf(kind string, data []byte, digits int) string {
	var sum hash.Hash
	if digits == 2*sha256.Size {
		sum = sha256.New()
	} else {
		sum = sha1.New() //nolint:gosec // it is git's own checksum, which tells damage, not forgery
	}
	_, _ = fmt.Fprintf(sum, "%s %d\x00", kind, len(data)) // a hash takes everything
	_, _ = sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}
