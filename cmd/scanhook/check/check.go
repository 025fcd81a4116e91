// Package check is scanhook check: it tests a configuration and what it needs, and changes nothing. Run makes the lines in the
// order in which they are printed; each file looks at one part of the configuration.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Check is a configuration with what is derived from it.
type Check struct {
	*config.Config
	File        string // where the configuration was read from
	Policies    core.Policies
	Projects    []store.KnownProject // those that the configuration names without a glob
	Secrets     []Secret             // all that verify webhooks
	Adapter     func(platform string) (platforms.Platform, error)
	HookAddress func(platform string) string
	MaySign     func(platform, project string) bool // a signing token is configured for the project
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

// Run looks at one thing of the configuration after another.
func (c Check) Run(ctx context.Context) []Line {
	database := c.database(ctx)
	lines := append(c.configuration(), c.server(), database)
	for _, name := range slices.Sorted(maps.Keys(c.Platforms)) {
		lines = append(lines, c.platform(ctx, name))
	}
	lines = append(lines, c.clocks(ctx)...)
	if database.Verdict != Fail {
		lines = append(lines, c.integrity(ctx)...)
		lines = append(lines, c.holds(ctx)...)
		lines = append(lines, c.secrets(ctx)...)
		lines = append(lines, c.silentHooks(ctx)...)
	}
	lines = append(append(lines, c.api()), c.machine(ctx)...)
	for _, name := range slices.Sorted(maps.Keys(c.Scanners)) {
		lines = append(lines, c.scanner(name))
	}
	asked := c.askedHooks()
	lines = append(append(lines, c.repositories()...), c.hooks(ctx, asked)...)
	if database.Verdict != Fail {
		lines = append(lines, c.failingHooks(ctx, asked)...)
	}
	return lines
}

func (c Check) configuration() []Line {
	if len(c.Warnings) == 0 {
		return []Line{{OK, "configuration", c.File}}
	}
	var lines []Line
	for _, warning := range c.Warnings {
		lines = append(lines, Line{Warn, "configuration", warning})
	}
	return lines
}

func (c Check) server() Line {
	text := fmt.Sprintf("listens on %s, is reached at %s", c.Server.Listen, c.Server.PublicURL)
	if c.Server.IsLocal() {
		return Line{Warn, "server", text + ", which works on this machine only; set server.public_url"}
	}
	return Line{OK, "server", text}
}

func (c Check) api() Line {
	var tokens []string
	for _, t := range c.API.Tokens {
		tokens = append(tokens, t.Name+" ("+t.Role+")")
	}
	if tokens == nil {
		return Line{Off, "api", "no token; set api.tokens for uploads and for other programs"}
	}
	return Line{OK, "api", "open for " + strings.Join(tokens, ", ")}
}
