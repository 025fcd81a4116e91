package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
		lines = append(lines, c.durability(ctx)...)
		lines = append(lines, c.holds(ctx)...)
		lines = append(lines, c.secrets(ctx)...)
		lines = append(lines, c.silentHooks(ctx)...)
	}
	lines = append(append(lines, c.api()), c.machine(ctx)...)
	lines = append(lines, c.rules()...)
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
