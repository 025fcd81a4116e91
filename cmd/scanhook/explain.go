package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core/timeline"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
)

func newExplain(opts *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use: "explain SHA", Short: "Show everything that happened to a commit, in order",
		Long: "Reads the database of the configuration and prints what happened to a commit: the webhook calls, the scan,\n" +
			"each scanner, the verdict with its rule, and what was posted. Seven characters of the SHA are enough.",
		Example: "  scanhook explain 2ac0d87", Args: cli.Exactly(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			if err := sqldb.Probe(cmd.Context(), cfg.Database.URL.Reveal()); err != nil {
				return err
			}
			db, err := store.Open(cmd.Context(), store.Config{
				URL: cfg.Database.URL.Reveal(), Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
			})
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			scans, err := db.ExplainCommit(cmd.Context(), args[0])
			for _, record := range scans {
				explain(cmd.OutOrStdout(), record, cfg.Server.PublicURL)
			}
			return err
		},
	}
}

// explain prints the timeline of one scan; problems are marked.
func explain(out io.Writer, record timeline.Record, publicURL string) {
	scan := record.Scan
	fmt.Fprintf(out, "%s %s, commit %s on %s\n", scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, cli.OneLine(scan.Branch))
	for _, event := range record.Events() {
		mark := " "
		if event.Problem {
			mark = "!"
		}
		fmt.Fprintf(out, "%s %s  %-8s  %s\n", mark, event.At.UTC().Format(time.DateTime), event.Stage, cli.OneLine(event.Text))
		if event.Detail != "" {
			fmt.Fprintf(out, "%33s%s\n", "", cli.OneLine(event.Detail))
		}
	}
	fmt.Fprintf(out, "  Page: %s/scans/%s\n", publicURL, scan.ReferenceID)
}
