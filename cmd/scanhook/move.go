package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store/move"
)

func newMove(opts *cli.Options) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "move DATABASE", Short: "Copy the embedded database to PostgreSQL, while nobody serves either",
		Long: "DATABASE is what config.yaml does not name: the address of an empty PostgreSQL database to\n" +
			"which the configured SQLite file is copied, or the SQLite file that is copied to the configured\n" +
			"PostgreSQL. Stop Scanhook first. Everything is copied in one transaction and read back; it is\n" +
			"kept only if the rows of each table are equal in number and checksum. The file stays as it is.\n" +
			"The address needs no password where PGPASSWORD or ~/.pgpass has it.",
		Example: "  scanhook move 'postgres://scanhook@db.example.com/scanhook'\n  scanhook move /var/lib/scanhook/scanhook.db",
		Args:    cli.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			from, to, err := endsOf(cfg.Database.URL, args[0])
			if err != nil {
				return err
			}
			return moveDatabase(cmd, from, to, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the moved tables as JSON")
	return cmd
}

// endsOf tells which of two databases is moved to the other one.
func endsOf(configured config.DatabaseURL, other string) (from, to config.DatabaseURL, err error) {
	named := config.DatabaseURL(other)
	switch scheme, _, address := strings.Cut(other, "://"); {
	case address && scheme != "sqlite" && scheme != "postgres" && scheme != "postgresql":
		return "", "", cli.WrongUse("%s:// is no address of a PostgreSQL database", scheme)
	case !address || scheme == "sqlite":
		named = config.DatabaseURL("sqlite:" + strings.TrimPrefix(strings.TrimPrefix(other, "sqlite:"), "//"))
	}
	switch {
	case named.File() == "" && configured.File() != "":
		return configured, named, nil
	case named.File() != "" && configured.File() == "":
		return named, configured, nil
	case named.File() != "":
		return "", "", cli.WrongUse("both %s, which config.yaml names, and %s are SQLite: give the address of a PostgreSQL database",
			configured, named)
	}
	return "", "", cli.WrongUse("both %s, which config.yaml names, and %s are PostgreSQL: give the SQLite file that is to be copied",
		configured, named)
}

func moveDatabase(cmd *cobra.Command, from, to config.DatabaseURL, asJSON bool) error {
	began := time.Now()
	meter := cli.NewMeter(cmd.ErrOrStderr(), from.File())
	moved, err := move.Database(cmd.Context(), move.Config{
		From: from.Reveal(), To: to.Reveal(), Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
		Progress: func(done, total int64) { meter.Share("copied and compared", done, total) },
	})
	meter.Clear()
	if errors.Is(err, core.ErrUnavailable) {
		return &cli.NoAnswer{Err: fmt.Errorf("%w; nothing was moved to %s", err, to)}
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was moved to %s", err, to)
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"tables": moved})
	}
	printMoved(cmd.OutOrStdout(), moved, from, to, time.Since(began))
	return nil
}

func printMoved(out io.Writer, moved []move.Table, from, to config.DatabaseURL, took time.Duration) {
	var rows int64
	for _, table := range moved {
		rows += table.Rows
		if table.Rows > 0 {
			fmt.Fprintf(out, "%12s  %s  %s\n", humanize.Comma(table.Rows), table.Checksum[:16], table.Name)
		}
	}
	fmt.Fprintf(out, "Copied %s rows of %s from %s to %s in %s; numbers and checksums of all tables are equal.\n"+
		"Now have database.url name the PostgreSQL and start scanhook serve. Keep %s until that works.\n",
		humanize.Comma(rows), core.Plural(len(moved), "table"), from, to, took.Round(100*time.Millisecond), from.File())
}
