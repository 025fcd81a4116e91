package catchup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errNotGit: the answer is not in git's protocol.
var errNotGit = errors.New("it does not speak git's protocol")

// packets reads git's packet lines: four hexadecimal digits of length, their own four included, and text. Lengths below
// four are marks between the lines.
type packets struct{ *bufio.Reader }

// next is the next line without its line end. At a mark, mark is true and the line is empty.
func (p packets) next() (line string, mark bool, err error) {
	var digits [4]byte
	if _, err := io.ReadFull(p, digits[:]); err != nil {
		return "", false, fmt.Errorf("the answer breaks off: %w", noEOF(err))
	}
	length, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return "", false, errNotGit
	}
	if length < 4 {
		return "", true, nil
	}
	text := make([]byte, length-4)
	if _, err := io.ReadFull(p, text); err != nil {
		return "", false, fmt.Errorf("the answer breaks off: %w", noEOF(err))
	}
	return strings.TrimSuffix(string(text), "\n"), false, nil
}

// noEOF is io.ErrUnexpectedEOF where a stream ended before its last mark.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// section calls line for each line up to the next mark, or until it returns false.
func (p packets) section(line func(string) bool) error {
	for {
		text, mark, err := p.next()
		if err != nil || mark || !line(text) {
			return err
		}
	}
}

// packet frames a line.
func packet(line string) string { return fmt.Sprintf("%04x%s\n", len(line)+5, line) }
