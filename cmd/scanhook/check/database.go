package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

func (c Check) database(ctx context.Context) Line {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch err := sqldb.Probe(ctx, c.Database.URL.Reveal()); {
	case errors.Is(err, core.ErrNotFound):
		return Line{OK, "database", c.Database.URL.String() + " is created at the first start"}
	case errors.Is(err, core.ErrConflict): // which says itself what to do
		return Line{Fail, "database", fmt.Sprintf("%s: %v", c.Database.URL, err)}
	case err != nil:
		advice := "correct database.url or start the server"
		if c.Database.URL.File() != "" {
			advice = "correct database.url, or put a backup in the file's place"
		}
		return Line{Fail, "database", fmt.Sprintf("%s: %v; %s", c.Database.URL, err, advice)}
	}
	return Line{OK, "database", c.Database.URL.String() + " answers"}
}

// integrity looks through an embedded database.
func (c Check) integrity(ctx context.Context) []Line {
	file := c.Database.URL.File()
	if file == "" {
		return nil
	}
	const subject = "integrity of the database"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch err := sqldb.CheckIntegrity(ctx, c.Database.URL.Reveal()); {
	case errors.Is(err, core.ErrNotFound):
		return nil
	case ctx.Err() != nil:
		return []Line{{Off, subject, fmt.Sprintf("not known: it takes longer than %s; run sqlite3 %s 'PRAGMA quick_check' beside the server",
			timeout, file)}}
	case err != nil:
		return []Line{{Fail, subject, err.Error()}}
	}
	return []Line{{OK, subject, "nothing is damaged"}}
}

// durability looks for settings of a server by which a 2xx is worth less than it says.
func (c Check) durability(ctx context.Context) []Line {
	if c.Database.URL.File() != "" {
		return nil
	}
	const subject = "durability of the database"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch settings, err := sqldb.Volatile(ctx, c.Database.URL.Reveal()); {
	case err != nil:
		return []Line{{Off, subject, fmt.Sprintf("not known: %v", err)}}
	case len(settings) > 0:
		return []Line{{Warn, subject, strings.Join(settings, ", ") + ": with the server, calls are lost that were answered 2xx; set it to on"}}
	}
	return []Line{{OK, subject, "a commit is on disk, and on the standbys that synchronous_standby_names asks for"}}
}
