package epss

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/scanhook/scanhook/core"
)

const (
	maxBytes = 256 << 20 // of a list, unpacked; the scores of 360,000 CVEs are 10 MB
	maxRows  = 3_000_000
)

var (
	gzipMagic     = []byte{0x1f, 0x8b}
	byteOrderMark = []byte("\ufeff")
)

// Read reads a list, plain or gzip: the scores as CSV, or the catalog as JSON. core.ErrInvalid, with the line, for
// anything else; core.ErrTooLarge above 256 MiB or 3,000,000 rows.
func Read(r io.Reader) (core.Feed, error) {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(len(gzipMagic)); bytes.Equal(start, gzipMagic) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return core.Feed{}, readingFailed(err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	digest := sha256.New()
	bounded := bufio.NewReader(io.TeeReader(&limited{r: buffered, left: maxBytes}, digest))
	if start, _ := bounded.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		_, _ = bounded.Discard(len(byteOrderMark))
	}
	read := readScores
	if looksLikeJSON(bounded) {
		read = readCatalog
	}
	feed, err := read(bounded)
	if err != nil {
		return core.Feed{}, err
	}
	feed.Digest = hex.EncodeToString(digest.Sum(nil))
	return feed, nil
}

func looksLikeJSON(r *bufio.Reader) bool {
	for n := 1; n <= 64; n++ {
		start, err := r.Peek(n)
		if err != nil {
			return false
		}
		switch start[n-1] {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			return true
		default:
			return false
		}
	}
	return false
}

// limited answers core.ErrTooLarge where io.LimitReader would pretend that the list has ended.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: the list is larger than %d MiB unpacked", core.ErrTooLarge, maxBytes>>20)
	}
	return n, err
}

// readingFailed calls a damaged archive invalid; what else fails is no fault of the list.
func readingFailed(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file is damaged or cut off, fetch it again: %w", core.ErrInvalid, err)
	}
	return err
}

// invalidf is a mistake in a line of the list, 1-based.
func invalidf(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", core.ErrInvalid, line, fmt.Sprintf(format, args...))
}
