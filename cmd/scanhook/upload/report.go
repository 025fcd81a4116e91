package upload

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

// maxReport is what is read of a report that must be kept in memory, in bytes before compression; servers take no more.
const maxReport = 512 << 20

// Report can be read several times. Close it after use.
type Report struct {
	open  func() (io.Reader, error) // compressed
	close func()
}

// Close releases the file.
func (r *Report) Close() { r.close() }

// OpenReport reads a file again at each try, and keeps all else in memory: a pipe can be read once.
func OpenReport(cmd *cobra.Command, path string) (*Report, error) {
	input, err := cli.OpenInput(cmd, path)
	if err != nil {
		return nil, err
	}
	if file, ok := input.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			open := func() (io.Reader, error) { return compressed(io.NewSectionReader(file, 0, info.Size())), nil }
			return &Report{open: open, close: func() { _ = file.Close() }}, nil
		}
	}
	defer func() { _ = input.Close() }()
	limited := &io.LimitedReader{R: input, N: maxReport + 1}
	packed, err := io.ReadAll(compressed(limited))
	if err == nil && limited.N == 0 {
		err = fmt.Errorf("it has more than %d MiB, which no server takes", maxReport>>20)
	}
	if err != nil {
		return nil, err
	}
	return &Report{open: func() (io.Reader, error) { return bytes.NewReader(packed), nil }, close: func() {}}, nil
}

// compressed is the report in gzip, made while it is read; one that is compressed already is passed on as it is.
func compressed(source io.Reader) io.ReadCloser {
	buffered := bufio.NewReader(source)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return io.NopCloser(buffered)
	}
	reader, writer := io.Pipe()
	go func() {
		zipper := gzip.NewWriter(writer)
		_, err := io.Copy(zipper, buffered)
		if err == nil { // half a report must not end like a whole one
			err = zipper.Close()
		}
		writer.CloseWithError(err)
	}()
	return reader
}
