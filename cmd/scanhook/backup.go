package main

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// errNotAFile says what to do with PostgreSQL instead.
var errNotAFile = errors.New("the database is PostgreSQL, which has better tools: pg_dump -Fc writes a backup while" +
	" Scanhook runs, pg_restore restores it")

func newBackup(opts *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the embedded database into a file, while Scanhook runs",
		Long: "The copy is the database as it was at one moment; scanhook serve may go on meanwhile. It is read\n" +
			"through before it gets its name, and never overwrites a file. To restore, stop Scanhook, remove the\n" +
			"database's files (-wal and -shm belong to it), and put the copy in the database's place.",
		Example: "  scanhook backup /var/backups/scanhook-$(date +%F).db",
		Args:    cli.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			size, err := sqldb.Backup(cmd.Context(), cfg.Database.URL.Reveal(), args[0])
			if errors.Is(err, core.ErrInvalid) {
				return &cli.UsageError{Err: errNotAFile}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s (%s) and checked it.\n", args[0], humanize.Bytes(uint64(size)))
			return nil
		},
	}
}
