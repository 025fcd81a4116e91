package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store/sqldb"
)

// inspection looks at one thing of the configuration after another.
type inspection struct {
	*config.Config
	file string
}

func (i inspection) inspect(ctx context.Context) []line {
	database := i.database(ctx)
	lines := append(i.configuration(), i.server(), database)
	for _, name := range slices.Sorted(maps.Keys(i.Platforms)) {
		lines = append(lines, i.platform(ctx, name))
	}
	lines = append(lines, i.clocks(ctx)...)
	if database.verdict != verdictFail {
		lines = append(lines, i.integrity(ctx)...)
		lines = append(lines, i.troubles(ctx)...)
		lines = append(lines, i.secrets(ctx)...)
		lines = append(lines, i.silentHooks(ctx)...)
	}
	lines = append(append(lines, i.api()), i.machine(ctx)...)
	for _, name := range slices.Sorted(maps.Keys(i.Scanners)) {
		lines = append(lines, i.scanner(name))
	}
	asked := i.askedHooks()
	lines = append(append(lines, i.repositories()...), i.hooks(ctx, asked)...)
	if database.verdict != verdictFail {
		lines = append(lines, i.failingHooks(ctx, asked)...)
	}
	return lines
}

func (i inspection) configuration() []line {
	if len(i.Warnings) == 0 {
		return []line{{verdictOK, "configuration", i.file}}
	}
	var lines []line
	for _, warning := range i.Warnings {
		lines = append(lines, line{verdictWarn, "configuration", warning})
	}
	return lines
}

func (i inspection) server() line {
	text := fmt.Sprintf("listens on %s, is reached at %s", i.Server.Listen, i.Server.PublicURL)
	if isLocal(i.Server.PublicURL) {
		return line{verdictWarn, "server", text + ", which works on this machine only; set server.public_url"}
	}
	return line{verdictOK, "server", text}
}

func (i inspection) database(ctx context.Context) line {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	switch err := sqldb.Probe(ctx, i.Database.URL.Reveal()); {
	case errors.Is(err, core.ErrNotFound):
		return line{verdictOK, "database", i.Database.URL.String() + " is created at the first start"}
	case errors.Is(err, core.ErrConflict): // which says itself what to do
		return line{verdictFail, "database", fmt.Sprintf("%s: %v", i.Database.URL, err)}
	case err != nil:
		advice := "mend database.url or start the server"
		if i.Database.URL.File() != "" {
			advice = "mend database.url, or put a backup in the file's place"
		}
		return line{verdictFail, "database", fmt.Sprintf("%s: %v; %s", i.Database.URL, err, advice)}
	}
	return line{verdictOK, "database", i.Database.URL.String() + " answers"}
}

func (i inspection) api() line {
	var tokens []string
	for _, t := range i.API.Tokens {
		tokens = append(tokens, t.Name+" ("+t.Role+")")
	}
	if tokens == nil {
		return line{verdictOff, "api", "no token; set api.tokens for uploads and for other programs"}
	}
	return line{verdictOK, "api", "open for " + strings.Join(tokens, ", ")}
}
