package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/store"
)

func newEPSS(opts *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "epss", Short: "Know how likely vulnerabilities are exploited (EPSS, CISA KEV)",
		Example: "  scanhook epss import epss_scores-current.csv.gz\n" +
			"  scanhook epss show CVE-2024-3094",
		Args: onlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(strict(newEPSSImport(opts)), strict(newEPSSShow(opts)))
	return cmd
}

// feedsOf names the lists to fetch: none unless that is switched on.
func feedsOf(cfg *config.Config) map[core.FeedKind]string {
	if !cfg.EPSS.Enabled {
		return nil
	}
	return map[core.FeedKind]string{core.FeedEPSS: cfg.EPSS.URL, core.FeedKEV: cfg.EPSS.KEVURL}
}

// askedFor names the lists without which gates of the configuration would pass what they should not.
func askedFor(cfg *config.Config) []core.FeedKind {
	var scores, catalog []core.FeedKind
	for _, repository := range cfg.Repositories {
		if repository.Gate.EPSS > 0 {
			scores = []core.FeedKind{core.FeedEPSS}
		}
		if repository.Gate.KEV {
			catalog = []core.FeedKind{core.FeedKEV}
		}
	}
	return append(scores, catalog...)
}

// withStore opens the configured database for a command.
func withStore(cmd *cobra.Command, opts *options, work func(*store.Store, *slog.Logger) error) error {
	cfg, err := config.Load(opts.config, os.LookupEnv)
	if err != nil {
		return err
	}
	policies, err := policiesOf(cfg)
	if err != nil {
		return err
	}
	db, err := store.Open(cmd.Context(), store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: policies,
		Waiting: sayWaiting(cmd.ErrOrStderr()),
	})
	if err != nil {
		return err
	}
	return errors.Join(work(db, opts.quietLogger(cmd.ErrOrStderr())), db.Close())
}

func newEPSSShow(opts *options) *cobra.Command {
	return &cobra.Command{
		Use: "show CVE", Short: "Show what is known about a vulnerability",
		Example: "  scanhook epss show CVE-2024-3094", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cve, err := core.ParseCVE(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
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
		return fmt.Errorf("nothing is known about %s: scanhook epss import brings the scores", cve)
	}
	if err != nil {
		return err
	}
	exploited := "not known to be exploited"
	if score.KEV {
		exploited = "known to be exploited (CISA KEV)"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: EPSS %.5g, percentile %.5g, %s\n", score.CVEID, score.Probability,
		score.Percentile, exploited)
	return nil
}
