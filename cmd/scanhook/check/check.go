// Package check is scanhook check: it tests a configuration and what it needs, and changes nothing. Run makes the lines in the
// order in which they are printed; each file looks at one part of the configuration.
package check

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Check is a configuration with what is derived from it.
type Check struct {
	*config.Config
	File        string    // where the configuration was read from
	Parts       cli.Parts // of scanhook serve, for which it is looked at
	Policies    core.Policies
	Projects    []store.KnownProject // those that the configuration names without a glob
	Secrets     []Secret             // all that verify webhooks
	Adapter     func(platform string) (platforms.Platform, error)
	HookAddress func(platform string) string
	Online      bool                                                               // calls are to come in through the public address
	Sign        func(platform string) (header http.Header, body []byte, err error) // a call that comes to nothing
	MaySign     func(platform, project string) bool                                // a signing token is configured for the project
	Rules       func(scanner string) Rules                                         // of a built-in scanner
	RulesFault  error                                                              // what is wrong with them, a line for each mistake
}

// Rules are how many rules a built-in scanner has.
type Rules struct {
	General int
	Entries []int // for each of the configuration's repositories
}

// Secret is a secret of a platform, without the secret itself.
type Secret struct {
	platforms.NamedSecret
	Platform string
}

// timeout bounds each question to another machine.
const timeout = 10 * time.Second

// Verdict is the first word of a line.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Off  Verdict = "off"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Line is one thing that was checked.
type Line struct {
	Verdict Verdict
	Subject string
	Text    string // a sentence without its full stop
}

var errBroken = errors.New("something is broken: see the lines that start with fail")

// Print writes the lines, and returns an error if one of them is Fail.
func Print(out io.Writer, lines []Line) error {
	var err error
	for _, l := range lines {
		fmt.Fprintf(out, "%-4s  %s: %s\n", l.Verdict, l.Subject, l.Text)
		if l.Verdict == Fail {
			err = errBroken
		}
	}
	return err
}
