package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// rescue is what the steps of scanhook recover work with.
type rescue struct {
	config   *config.Config
	store    *store.Store
	set      platforms.Set
	policies core.Policies
	projects []store.KnownProject // all that are known when empty
	all, dry bool
	out      io.Writer
}

// recoverSteps are done in this order, each whatever became of the ones before.
var recoverSteps = []func(context.Context, *rescue) error{recoverHeads, recoverHooks}

func newRecover(opts *options) *cobra.Command {
	var r rescue
	cmd := &cobra.Command{
		Use: "recover [PROJECT...]", Short: "Find the pushes that no webhook announced, and open their scans",
		Long: "Compares the branches and tags of all known projects, or of each PROJECT, with those of the time before\n" +
			"and opens a scan for each that has moved without one. Then the platforms are asked to deliver again what their\n" +
			"webhooks could not deliver, where the token may ask. Nothing is ever scanned twice. scanhook serve does the\n" +
			"same after each start and every hour (recover.every); it works off the scans that this opens, and may run\n" +
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

func (r *rescue) run(cmd *cobra.Command, opts *options, args []string) error {
	cfg, err := opts.load()
	if err != nil {
		return err
	}
	r.config, r.out = cfg, cmd.OutOrStdout()
	if r.policies, err = policiesOf(cfg); err != nil {
		return err
	}
	if r.set, err = platformsOf(cfg); err != nil {
		return err
	}
	r.set = enabled(cfg, r.set)
	if r.projects, err = projectsOf(args, cfg, r.policies); err != nil {
		return &usageError{cmd.CommandPath(), err}
	}
	r.store, err = store.Open(cmd.Context(), store.Config{
		URL: cfg.Database.URL.Reveal(), PublicURL: cfg.Server.PublicURL, Policies: r.policies,
		Waiting: sayWaiting(cmd.ErrOrStderr()),
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

// enabled leaves out the platforms that are off.
func enabled(cfg *config.Config, set platforms.Set) platforms.Set {
	on := maps.Clone(set)
	maps.DeleteFunc(on, func(name string, _ platforms.Platform) bool { return !cfg.Platforms[name].Enabled() })
	return on
}

// projectsOf reads arguments such as github/acme/shop; with only one platform, its name may be left out.
func projectsOf(args []string, cfg *config.Config, policies core.Policies) ([]store.KnownProject, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(cfg.Platforms)), func(name string) bool {
		return !cfg.Platforms[name].Enabled()
	})
	var projects []store.KnownProject
	for _, arg := range args {
		platform, project, _ := strings.Cut(arg, "/")
		if _, named := cfg.Platforms[platform]; !named && len(names) == 1 {
			platform, project = names[0], arg
		}
		if !slices.Contains(names, platform) {
			return nil, fmt.Errorf("%q does not start with a platform that is on (%s), a slash and the project%s", arg,
				strings.Join(names, ", "), config.Suggestion(platform, names))
		}
		if err := platforms.CheckProject(project); err != nil {
			return nil, err
		}
		if _, configured := policies.For(platform, project); !configured {
			return nil, fmt.Errorf("%s/%s matches no entry of repositories in the configuration", platform, project)
		}
		projects = append(projects, store.KnownProject{SourcePlatform: platform, ProjectName: project})
	}
	return projects, nil
}
