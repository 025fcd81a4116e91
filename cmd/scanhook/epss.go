package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/store"
)

func newEPSS(opts *cli.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "epss", Short: "Show how likely vulnerabilities are exploited (EPSS, CISA KEV)",
		Example: "  scanhook epss import epss_scores-current.csv.gz\n" +
			"  scanhook epss show CVE-2024-3094",
		Args: cli.OnlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cli.Strict(newEPSSImport(opts)), cli.Strict(newEPSSShow(opts)))
	return cmd
}

// withStore opens the configured database for a command.
func withStore(cmd *cobra.Command, opts *cli.Options, work func(*store.Store, *slog.Logger) error) error {
	cfg, err := opts.Load()
	if err != nil {
		return err
	}
	policies, err := policiesOf(cfg)
	if err != nil {
		return err
	}
	db, err := store.Open(cmd.Context(), store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: policies,
		Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
	})
	if err != nil {
		return err
	}
	return errors.Join(work(db, opts.QuietLogger(cmd.ErrOrStderr())), db.Close())
}

func newEPSSShow(opts *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use: "show CVE", Short: "Show what is known about a vulnerability",
		Example: "  scanhook epss show CVE-2024-3094", Args: cli.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cve, err := core.ParseCVE(args[0])
			if err != nil {
				return &cli.UsageError{Err: err}
			}
			return withStore(cmd, opts, func(db *store.Store, _ *slog.Logger) error {
				return showScore(cmd, db, cve)
			})
		},
	}
}

func showScore(cmd *cobra.Command, db *store.Store, cve string) error {
	score, err := db.GetScore(cmd.Context(), cve)
	if errors.Is(err, core.ErrNotFound) {
		return fmt.Errorf("nothing is known about %s: scanhook epss import imports the scores", cve)
	}
	if err != nil {
		return err
	}
	exploited := "not known to be exploited"
	if score.KEV {
		exploited = "known to be exploited (CISA KEV)"
	}
	likely := "no EPSS score is published"
	if score.Probability > 0 {
		likely = fmt.Sprintf("EPSS %.5g, percentile %.5g", score.Probability, score.Percentile)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\n", score.CVEID, likely, exploited)
	return nil
}

func newEPSSImport(opts *cli.Options) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "import FILE...", Short: "Import scores or the catalog, and judge default branches again",
		Long: "Each FILE is the daily CSV of EPSS or the JSON of CISA's catalog of known exploited vulnerabilities,\n" +
			"plain or gzip, recognised by its content; - is standard input, and http(s) addresses are fetched.\n" +
			"A list takes the place of the one before it, as a whole or not at all. Commit statuses of default\n" +
			"branches whose verdict turns are posted by scanhook serve.",
		Example: "  scanhook epss import epss_scores-current.csv.gz \\\n    known_exploited_vulnerabilities.json\n" +
			"  curl -sL https://epss.empiricalsecurity.com/epss_scores-current.csv.gz |\n    scanhook epss import -",
		Args: cli.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, opts, func(db *store.Store, log *slog.Logger) error {
				importer := epss.New(epss.Config{Store: db, Log: log})
				return importLists(cmd, importer, args, force)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also import a list that is older than the one imported before")
	return cmd
}

func importLists(cmd *cobra.Command, importer *epss.Importer, names []string, force bool) error {
	for _, name := range names {
		meter := cli.NewMeter(cmd.ErrOrStderr(), name)
		result, err := importList(cmd, importer, meter, name, force)
		meter.Clear()
		if errors.Is(err, core.ErrConflict) {
			return fmt.Errorf("%w (--force)", err)
		}
		if err != nil {
			return err
		}
		printImported(cmd.OutOrStdout(), name, result)
	}
	return nil
}

func importList(cmd *cobra.Command, importer *epss.Importer, m *cli.Meter, name string, force bool) (epss.Result, error) {
	options := store.FeedOptions{Force: force, Progress: m.Rows}
	switch {
	case strings.HasPrefix(name, "https://"), strings.HasPrefix(name, "http://"):
		return importer.ImportURL(cmd.Context(), name, options)
	case name == "-":
		return importer.Import(cmd.Context(), "standard input", m.Reading(cmd.InOrStdin(), 0), options)
	}
	file, err := os.Open(name)
	if err != nil {
		return epss.Result{}, err
	}
	defer func() { _ = file.Close() }()
	var size int64
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	return importer.Import(cmd.Context(), name, m.Reading(file, size), options)
}

func printImported(out io.Writer, name string, r epss.Result) {
	what := "EPSS scores"
	if r.Feed.Kind == core.FeedKEV {
		what = "known exploited vulnerabilities"
	}
	of := ""
	if !r.Feed.Date.IsZero() {
		of = " of " + r.Feed.Date.Format(time.DateOnly)
	}
	if r.Feed.Version != "" {
		of += " (" + r.Feed.Version + ")"
	}
	number := func(n int) string { return humanize.Comma(int64(n)) }
	fmt.Fprintf(out, "%s: %s %s%s: %s added, %s changed, %s removed\n", name, number(r.Rows), what, of,
		number(r.Change.Added), number(r.Change.Changed), number(r.Change.Removed))
	if r.Turned > 0 {
		fmt.Fprintf(out, "%s of default branches turned; scanhook serve posts the commit statuses\n",
			core.Plural(r.Turned, "verdict"))
	}
}
