package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
)

// Meter shows how far an import or a copy is, in one line of a terminal that it rewrites. Without a terminal it is silent.
type Meter struct {
	out   io.Writer // nil: silent
	name  string
	shown string
	width int // columns of the terminal
}

// NewMeter is for the import of what is called name; stderr may be a terminal.
func NewMeter(stderr io.Writer, name string) *Meter {
	if file, ok := stderr.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		return &Meter{out: stderr, name: name, width: Width(file)}
	}
	return &Meter{name: name}
}

// Reading counts what is read of a file of size bytes; 0 where the size is unknown.
func (m *Meter) Reading(r io.Reader, size int64) io.Reader {
	return &counted{Reader: r, meter: m, size: size}
}

type counted struct {
	io.Reader
	meter      *Meter
	done, size int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	if c.size > 0 {
		c.meter.Share("read", c.done, c.size)
	} else {
		c.meter.show("%d MB read", c.done>>20)
	}
	return n, err
}

// Rows shows how many rows are stored.
func (m *Meter) Rows(n int) { m.show("%s rows stored", humanize.Comma(int64(n))) }

// Share shows which part of all is done.
func (m *Meter) Share(what string, done, all int64) {
	m.show("%d %% %s", 100*min(done, all)/max(all, 1), what)
}

// Text shows what it waits for.
func (m *Meter) Text(what string) { m.show("%s", what) }

// Clear empties the line for what is printed next.
func (m *Meter) Clear() {
	if m.shown != "" {
		fmt.Fprint(m.out, "\r\033[K")
	}
}

func (m *Meter) show(format string, args ...any) {
	if m.out == nil {
		return
	}
	if text := m.fit(fmt.Sprintf(format, args...)); text != m.shown {
		fmt.Fprintf(m.out, "\r\033[K%s", text)
		m.shown = text
	}
}

// fit puts the end of the name before the text: a line that the terminal breaks cannot be rewritten.
func (m *Meter) fit(text string) string {
	name, text := []rune(OneLine(m.name)), ": "+text
	room := m.width - 1 - len(text)
	if len(name) > room {
		name = append([]rune("…"), name[len(name)-max(room-1, 0):]...)
	}
	return string(name) + text
}
