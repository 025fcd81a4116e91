package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var errDeletes = errors.New("migrating down deletes tables with all that they hold: make a backup, then give --yes")

func newMigrate(opts *cli.Options) *cobra.Command {
	var steps int
	var yes bool
	cmd := &cobra.Command{
		Use: "migrate [up|down]", Short: "Bring the database's schema up to date, or take it back",
		Long: "scanhook serve migrates by itself when it starts; this is for doing it beforehand, and for going back to\n" +
			"an older version: stop every Scanhook, migrate down with the newer one, start the older one.\n" +
			"Migrating down deletes the tables and columns that the migrations made, with all that they hold;\n" +
			"make a backup first.",
		Example:   "  scanhook migrate\n  scanhook migrate down --steps 1 --yes",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"up\tapply what is missing", "down\ttake the last migrations back"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("steps") && steps < 1 {
				return cli.WrongUse("--steps must be 1 or more")
			}
			down := len(args) == 1 && args[0] == "down"
			if down && !yes {
				return &cli.UsageError{Err: errDeletes}
			}
			return migrateDatabase(cmd, opts, down, steps)
		},
	}
	cmd.Flags().IntVar(&steps, "steps", 0, "apply at most `N` migrations (default: up all, down 1)")
	cmd.Flags().BoolVar(&yes, "yes", false, "migrate down, although that deletes data")
	return cmd
}

func migrateDatabase(cmd *cobra.Command, opts *cli.Options, down bool, steps int) error {
	cfg, err := opts.Load()
	if err != nil {
		return err
	}
	direction := sqldb.Up
	if down {
		direction, steps = sqldb.Down, cmp.Or(steps, 1) // sql-migrate takes 0 for all of them
	}
	n, err := sqldb.Migrate(cmd.Context(), sqldb.Config{
		URL: cfg.Database.URL.Reveal(), Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
	}, direction, steps)
	if err != nil {
		return err
	}
	printMigrated(cmd.OutOrStdout(), cfg.Database.URL.String(), n, steps, down)
	return nil
}

func printMigrated(out io.Writer, database string, n, steps int, down bool) {
	switch count := core.Plural(n, "migration"); {
	case down && n == 0:
		fmt.Fprintf(out, "%s holds no migration to take back.\n", database)
	case down:
		fmt.Fprintf(out, "Took %s back from %s; scanhook migrate applies what is missing.\n", count, database)
	case n == 0:
		fmt.Fprintf(out, "Nothing to apply: %s is up to date.\n", database)
	case n == steps:
		fmt.Fprintf(out, "Applied %s to %s, as many as --steps allows.\n", count, database)
	default:
		fmt.Fprintf(out, "Applied %s: %s is up to date.\n", count, database)
	}
}
