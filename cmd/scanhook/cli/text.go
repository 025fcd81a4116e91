package cli

import (
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Printable is text from another machine without what could control a terminal.
func Printable(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(core.Printable(text), "\uFFFD", ""))
}

// OneLine is Printable text on one line.
func OneLine(text string) string { return strings.Join(strings.Fields(Printable(text)), " ") }

// Stamp is a time for people, in UTC.
func Stamp(at time.Time) string { return at.UTC().Format(time.DateTime) + " UTC" }
