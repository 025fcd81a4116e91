package jsonscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/scanhook/scanhook/core"
)

// input counts and bounds what is read. It remembers where lines begin, but only for the bytes that the cursor has not
// passed yet: errors are nowhere else.
type input struct {
	reader   io.Reader
	max      int64
	read     int64
	consumed int64 // offset of the value that is being read
	line     int   // newlines before newlines[0]
	lineEnd  int64 // offset after the last of them
	newlines []int64
	err      error // sticky
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.reader.Read(p)
	in.note(p[:n])
	in.read += int64(n)
	switch {
	case in.read > in.max:
		err = fmt.Errorf("%w: the report is larger than %d bytes", core.ErrTooLarge, in.max)
	case in.read-in.consumed > maxValue:
		err = fmt.Errorf("%w: one value of the report is larger than %d bytes", core.ErrTooLarge, maxValue)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: the report arrived only in part: %w", core.ErrInvalid, err)
	}
	in.err = err
	return n, err
}

// note remembers the line breaks of a chunk.
func (in *input) note(chunk []byte) {
	if len(in.newlines) > 1<<12 {
		in.forget()
	}
	offset := in.read
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			return
		}
		in.newlines = append(in.newlines, offset+int64(i))
		offset += int64(i) + 1
		chunk = chunk[i+1:]
	}
}

// forget drops the line breaks that have been consumed.
func (in *input) forget() {
	n := in.linesBefore(in.consumed)
	if n == 0 {
		return
	}
	in.line += n
	in.lineEnd = in.newlines[n-1] + 1
	in.newlines = append(in.newlines[:0], in.newlines[n:]...)
}

func (in *input) linesBefore(offset int64) int {
	return sort.Search(len(in.newlines), func(i int) bool { return in.newlines[i] >= offset })
}

// position translates an offset that is not yet consumed to a line and a column in bytes, both counted from 1.
func (in *input) position(offset int64) (line int, column int64) {
	n := in.linesBefore(offset)
	begin := in.lineEnd
	if n > 0 {
		begin = in.newlines[n-1] + 1
	}
	return in.line + n + 1, offset - begin + 1
}
