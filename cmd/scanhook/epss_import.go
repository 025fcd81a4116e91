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

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/epss"
	"github.com/scanhook/scanhook/store"
)

func newEPSSImport(opts *options) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "import FILE...", Short: "Import scores or the catalog, and judge default branches again",
		Long: "Each FILE is the daily CSV of EPSS or the JSON of CISA's catalog of known exploited vulnerabilities,\n" +
			"plain or gzip, recognised by its content; - is standard input, and http(s) addresses are fetched.\n" +
			"A list takes the place of the one before it, as a whole or not at all. Commit statuses of default\n" +
			"branches whose verdict turns are posted by scanhook serve.",
		Example: "  scanhook epss import epss_scores-current.csv.gz \\\n    known_exploited_vulnerabilities.json\n" +
			"  curl -sL https://epss.empiricalsecurity.com/epss_scores-current.csv.gz |\n    scanhook epss import -",
		Args: atLeast(1),
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
		meter := newMeter(cmd.ErrOrStderr(), name)
		result, err := importList(cmd, importer, meter, force)
		meter.clear()
		if errors.Is(err, core.ErrConflict) {
			return fmt.Errorf("%w (--force)", err)
		}
		if err != nil {
			return err
		}
		sayImported(cmd.OutOrStdout(), name, result)
	}
	return nil
}

func importList(cmd *cobra.Command, importer *epss.Importer, m *meter, force bool) (epss.Result, error) {
	options := store.FeedOptions{Force: force, Progress: m.rows}
	switch {
	case strings.HasPrefix(m.name, "https://"), strings.HasPrefix(m.name, "http://"):
		return importer.ImportURL(cmd.Context(), m.name, options)
	case m.name == "-":
		return importer.Import(cmd.Context(), "standard input", m.reading(cmd.InOrStdin(), 0), options)
	}
	file, err := os.Open(m.name)
	if err != nil {
		return epss.Result{}, err
	}
	defer func() { _ = file.Close() }()
	var size int64
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	return importer.Import(cmd.Context(), m.name, m.reading(file, size), options)
}

func sayImported(out io.Writer, name string, r epss.Result) {
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
