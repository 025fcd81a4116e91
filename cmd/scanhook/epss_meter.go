package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
)

// meter shows how far an import is, in one line of a terminal that it rewrites. Without a terminal it is silent.
type meter struct {
	out   io.Writer // nil: silent
	name  string
	shown string
	width int // columns of the terminal
}

func newMeter(stderr io.Writer, name string) *meter {
	if file, ok := stderr.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		return &meter{out: stderr, name: name, width: widthOf(file)}
	}
	return &meter{name: name}
}

func (m *meter) show(format string, args ...any) {
	if m.out == nil {
		return
	}
	if text := m.fit(fmt.Sprintf(format, args...)); text != m.shown {
		fmt.Fprintf(m.out, "\r\033[K%s", text)
		m.shown = text
	}
}

// fit puts the end of the name before the text: a line that the terminal breaks cannot be rewritten.
func (m *meter) fit(text string) string {
	name, text := []rune(oneLine(m.name)), ": "+text
	room := m.width - 1 - len(text)
	if len(name) > room {
		name = append([]rune("…"), name[len(name)-max(room-1, 0):]...)
	}
	return string(name) + text
}

// rows is told how many rows are written.
func (m *meter) rows(n int) { m.show("%s rows stored", humanize.Comma(int64(n))) }

// clear makes room for what is said next.
func (m *meter) clear() {
	if m.shown != "" {
		fmt.Fprint(m.out, "\r\033[K")
	}
}

// reading counts what is read of a file of size bytes; 0 where the size is unknown.
func (m *meter) reading(r io.Reader, size int64) io.Reader {
	return &counted{Reader: r, meter: m, size: size}
}

type counted struct {
	io.Reader
	meter      *meter
	done, size int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	if c.size > 0 {
		c.meter.show("%d %% read", 100*min(c.done, c.size)/c.size)
	} else {
		c.meter.show("%d MB read", c.done>>20)
	}
	return n, err
}
