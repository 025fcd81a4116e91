package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/internal/runner/blobs"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// historyScan is the work of scanhook scan --history.
type historyScan struct {
	history bool
	asJSON  bool
}

func newScan(opts *cli.Options) *cobra.Command {
	var s historyScan
	cmd := &cobra.Command{
		Use: "scan --history PROJECT", Short: "Search all commits of a project for secrets, once",
		Long: "Searches every commit that the branches, tags and open requests of PROJECT reach, however old, with the\n" +
			"built-in scanner. What it finds is added to the scan of the default branch's head as known: it has its\n" +
			"commit, fails no gate, stays until it is dismissed, and the scans of later pushes have it too. Revoke each\n" +
			"secret where it was issued, then dismiss it as revoked. Commits that earlier scans left out are no longer\n" +
			"told. The default branch must have been scanned once. scanhook serve may run meanwhile, and neither waits\n" +
			"for the other's searches. When it is interrupted, the same command goes on where it was.",
		Example: "  scanhook scan --history acme/shop\n  scanhook scan --history github/acme/shop --json",
		Args:    cli.Exactly(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !s.history {
				return cli.WrongUse("say --history: commits that are pushed are scanned by scanhook serve")
			}
			return s.run(cmd, opts, args[0])
		},
	}
	cmd.Flags().BoolVar(&s.history, "history", false, "search all commits, not only the last one of a branch")
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "print the outcome as JSON")
	return cmd
}

func (s *historyScan) run(cmd *cobra.Command, opts *cli.Options, name string) error {
	cfg, err := opts.Load()
	if err != nil {
		return err
	}
	w := &wiring{config: cfg, log: slog.New(slog.DiscardHandler)}
	if err := w.readConfig(); err != nil {
		return err
	}
	named, err := projectsOf([]string{name}, cfg, w.policies)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	w.db, err = store.Open(cmd.Context(), store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: w.policies, Scanners: kindsOf(cfg),
		Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
	})
	if err != nil {
		return unlessAway(err)
	}
	defer func() { _ = w.db.Close() }()
	project, err := w.db.FindProject(cmd.Context(), named[0].SourcePlatform, named[0].ProjectName)
	if errors.Is(err, core.ErrNotFound) {
		return &cli.NoAnswer{Err: fmt.Errorf("no webhook of %s came yet, and scanhook recover has not found it: a project is known by its first push", name)}
	}
	if err != nil {
		return unlessAway(err)
	}
	result, err := w.searchHistory(cmd, project)
	if err != nil {
		return err
	}
	return s.print(cmd.OutOrStdout(), cfg.Server.PublicURL, project, result)
}

// searchHistory shows how far it is.
func (w *wiring) searchHistory(cmd *cobra.Command, project core.KeptProject) (runner.HistoryResult, error) {
	w.mirrors = w.newMirrors()
	w.mirrors.Depth = max(w.mirrors.Depth, runner.HistoryDepth)
	defer func() { _ = w.mirrors.Close() }()
	searcher := runner.New(runner.Config{
		Jobs: w.db, Platforms: w.platforms, Scanners: w.scanners(), Policies: w.policies, Mirrors: w.mirrors,
	})
	meter, far := cli.NewMeter(cmd.ErrOrStderr(), project.Name), blobs.Progress{}
	result, err := searcher.SearchHistory(cmd.Context(), project, func(p blobs.Progress) {
		if far = p; p.Waiting {
			meter.Text("waiting for the scan of the default branch")
		} else {
			meter.Share(fmt.Sprintf("of %s commits searched, %s found", humanize.Comma(int64(p.Searched+p.Left)), core.Plural(p.Found, "secret")),
				int64(p.Searched), int64(p.Searched+p.Left))
		}
	})
	meter.Clear()
	return result, explainHistory(cmd.Context(), err, far)
}

// explainHistory says what to do about a search that did not come to its end.
func explainHistory(ctx context.Context, err error, far blobs.Progress) error {
	limit := new(platforms.RateLimited)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &cli.NoAnswer{Err: fmt.Errorf("interrupted after %s: the same command goes on from there", core.Plural(far.Searched, "commit"))}
	case errors.Is(err, core.ErrNotFound):
		return &cli.NoAnswer{Err: fmt.Errorf("%w: have it scanned first, by a push, scanhook recover --all or a rescan on its page", err)}
	case errors.Is(err, core.ErrConflict), errors.As(err, &limit):
		return &cli.NoAnswer{Err: fmt.Errorf("%w; what was searched is kept, try again later", err)}
	}
	return unlessAway(err)
}

// unlessAway tells what is out of reach from other failures.
func unlessAway(err error) error {
	if errors.Is(err, core.ErrUnavailable) {
		return &cli.NoAnswer{Err: err}
	}
	return err
}

func (s *historyScan) print(out io.Writer, publicURL string, project core.KeptProject, result runner.HistoryResult) error {
	page := publicURL + "/scans/" + result.Scan.ReferenceID
	if s.asJSON {
		return json.NewEncoder(out).Encode(map[string]any{
			"platform": project.Platform, "project": project.Name, "commits": result.Searched, "refs": result.Refs,
			"findings": result.Found, "added": result.Added, "not_searched": result.Left, "files_not_searched": result.Skipped,
			"refs_not_searched": result.Refused, "more_refs": result.More,
			"scan": result.Scan.ReferenceID, "commit_sha": result.Scan.CommitSHA, "url": page,
		})
	}
	fmt.Fprintf(out, "%s/%s: searched %s of %s, and found %s, %d of which the scan of %s did not have.\n", project.Platform, cli.OneLine(project.Name),
		core.Plural(result.Searched, "commit"), core.Plural(result.Refs, "ref"), core.Plural(result.Found, "secret"), result.Added,
		core.ShortSHA(result.Scan.CommitSHA))
	if result.Skipped > 0 {
		fmt.Fprintf(out, "%s in these commits could not be searched.\n", core.Plural(result.Skipped, "file"))
	}
	if result.Left > 0 {
		fmt.Fprintf(out, "At least %s left: there are more secrets than are listed, the scanner's timeout is too short for one commit, a commit "+
			"brings more paths than runner.max_paths, or there are more than 500,000 commits.\n", core.Plural(result.Left, "commit"))
	}
	if result.Refused > 0 {
		fmt.Fprintf(out, "The platform does not hand out %s where branches, tags or requests stand, which were not searched.\n",
			core.Plural(result.Refused, "commit"))
	}
	if result.More {
		fmt.Fprintf(out, "There are more than %s branches and tags: the others were not looked at.\n", humanize.Comma(gitproto.MaxRefs))
	}
	fmt.Fprintf(out, "Revoke each where it was issued, then dismiss it as revoked: %s\n", page)
	return nil
}
