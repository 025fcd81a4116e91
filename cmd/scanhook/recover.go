package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// recovery is what the steps of scanhook recover work with.
type recovery struct {
	config   *config.Config
	store    *store.Store
	set      platforms.Set
	policies core.Policies
	projects []store.KnownProject // all that are known when empty
	all, dry bool
	out      io.Writer
}

// recoverSteps are done in this order, each whatever became of the ones before.
var recoverSteps = []func(context.Context, *recovery) error{recoverHeads, recoverHooks}

func newRecover(opts *cli.Options) *cobra.Command {
	var r recovery
	cmd := &cobra.Command{
		Use: "recover [PROJECT...]", Short: "Find the pushes that no webhook announced, and open their scans",
		Long: "Compares the branches and tags of all known projects, or of each PROJECT, with those of the time before\n" +
			"and opens a scan for each that has moved without one. Then the platforms are asked to deliver again what their\n" +
			"webhooks could not deliver, where the token may ask. Nothing is ever scanned twice. scanhook serve does the\n" +
			"same after each start and every hour (recover.every); it runs the scans that this opens, and may run\n" +
			"meanwhile. At the first look at a project, only its default branch is scanned; --all scans the heads of all\n" +
			"configured branches and tags that have no scan, however old they are.",
		Example: "  scanhook recover --dry-run\n  scanhook recover github/acme/shop\n" +
			"  scanhook recover --all github/acme/shop",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd, opts, args)
		},
	}
	cmd.Flags().BoolVarP(&r.dry, "dry-run", "n", false, "only say what would be scanned")
	cmd.Flags().BoolVar(&r.all, "all", false, "also scan what has been there since before the first look")
	return cmd
}

func (r *recovery) run(cmd *cobra.Command, opts *cli.Options, args []string) error {
	cfg, err := opts.Load()
	if err != nil {
		return err
	}
	r.config, r.out = cfg, cmd.OutOrStdout()
	if r.policies, err = policiesOf(cfg); err != nil {
		return err
	}
	if r.set, err = platformsOf(cfg, nil); err != nil {
		return err
	}
	r.set = enabled(cfg, r.set)
	if r.projects, err = projectsOf(args, cfg, r.policies); err != nil {
		return &cli.UsageError{Err: err}
	}
	r.store, err = store.Open(cmd.Context(), store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: r.policies,
		Waiting: cli.ReportWaiting(cmd.ErrOrStderr()),
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.store.Close() }()
	for _, step := range recoverSteps {
		err = errors.Join(err, step(cmd.Context(), r))
	}
	return err
}

// recoverHeads compares branches and tags with the scans, and says what it found project by project.
func recoverHeads(ctx context.Context, r *recovery) error {
	reconciler := reconcile.NewProjects(reconcile.Config{
		Store: r.store, Platforms: r.set, Policies: r.policies, Every: time.Duration(r.config.Recover.Every),
		Log: slog.New(slog.DiscardHandler),
	})
	var projects, missed, opened, failed int
	err := reconciler.SyncNow(ctx, reconcile.SyncOrder{Projects: r.projects, DryRun: r.dry, All: r.all, Report: func(found reconcile.SyncResult) {
		projects++
		missed += len(found.Missed)
		opened += found.Opened()
		if found.Err != nil && !errors.Is(found.Err, core.ErrConflict) {
			failed++
		}
		printResult(r.out, found)
	}})
	if err != nil {
		return err
	}
	printSummary(r, projects, missed, opened)
	if failed > 0 {
		return fmt.Errorf("%s could not be checked, see above", core.Plural(failed, "project"))
	}
	return nil
}

func printResult(out io.Writer, found reconcile.SyncResult) {
	name := cli.OneLine(found.Platform + "/" + found.Project)
	switch {
	case errors.Is(found.Err, core.ErrConflict):
		fmt.Fprintf(out, "%s: another process is checking it\n", name)
	case found.Err != nil:
		fmt.Fprintf(out, "%s: %s\n", name, cli.OneLine(found.Err.Error()))
	case len(found.Missed) == 0:
		fmt.Fprintf(out, "%s: nothing missed (%s)\n", name, core.Plural(found.Refs, "ref"))
	default:
		fmt.Fprintf(out, "%s: %d missed (%s)\n", name, len(found.Missed)+found.Left, core.Plural(found.Refs, "ref"))
	}
	for _, m := range found.Missed {
		fmt.Fprintf(out, "  %-12s %s  %s\n", outcomeOf(m), core.ShortSHA(m.Push.CommitSHA), cli.OneLine(m.Push.Ref))
	}
	if found.Left > 0 {
		fmt.Fprintf(out, "  and %d more, which wait for the next check\n", found.Left)
	}
	if found.Truncated {
		fmt.Fprintf(out, "  it has more refs than are compared\n")
	}
}

func outcomeOf(m reconcile.MissedPush) string {
	if m.Receipt.Outcome == "" {
		return "missed"
	}
	return string(m.Receipt.Outcome)
}

func printSummary(r *recovery, projects, missed, opened int) {
	switch {
	case projects == 0:
		fmt.Fprintln(r.out, "No project is known yet: one becomes known by its first webhook, or if it is listed under")
		fmt.Fprintln(r.out, "repositories in the configuration without a glob.")
	case r.dry:
		fmt.Fprintf(r.out, "%d missed in %s; nothing was changed.\n", missed, core.Plural(projects, "project"))
	default:
		fmt.Fprintf(r.out, "%s opened in %s; scanhook serve runs them.\n", core.Plural(opened, "scan"),
			core.Plural(projects, "project"))
	}
}

// recoverHooks has the platforms deliver again what did not arrive, and says so webhook by webhook.
func recoverHooks(ctx context.Context, r *recovery) error {
	checks := reconcile.NewHooks(reconcile.Config{
		Store: r.store, Platforms: r.set, Address: hookAddresses(r.config), Log: slog.New(slog.DiscardHandler),
	})
	failed := 0
	err := checks.CheckNow(ctx, reconcile.CheckOrder{Projects: r.projects, DryRun: r.dry, Report: func(found reconcile.HookResult) {
		limit := new(platforms.RateLimited)
		if found.Err != nil && !errors.Is(found.Err, core.ErrConflict) && !errors.As(found.Err, &limit) {
			failed++
		}
		if text := describeHook(found, r.dry); text != "" {
			fmt.Fprintf(r.out, "webhook of %s on %s: %s\n", cli.OneLine(found.Target.String()), found.Platform, cli.OneLine(text))
		}
	}})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%s could not be checked, see above", core.Plural(failed, "webhook"))
	}
	return err
}

// describeHook is what a person wants to know of a webhook, or nothing.
func describeHook(found reconcile.HookResult, dry bool) string {
	switch {
	case errors.Is(found.Err, core.ErrConflict):
		return "another process is checking it"
	case found.Missing > 0 && dry:
		return core.Plural(found.Missing, "event") + " did not arrive"
	case found.Missing > found.Redelivered:
		why := found.Note
		if found.Err != nil {
			why = found.Err.Error()
		}
		return fmt.Sprintf("%s did not arrive, %d are sent again now, the others later: %s",
			core.Plural(found.Missing, "event"), found.Redelivered, cmp.Or(why, "they were tried a moment ago"))
	case found.Missing > 0:
		return core.Plural(found.Missing, "event") + " did not arrive and are sent again"
	case found.Err != nil:
		return found.Err.Error()
	case found.Revived:
		return "the platform had disabled it, and calls it again now"
	case found.State == reconcile.HookHidden || found.State == reconcile.HookNone:
		return "" // scanhook check reports it
	}
	return found.Note
}
