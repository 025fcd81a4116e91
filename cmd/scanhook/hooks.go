package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/store"
)

func newHooks(opts *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "hooks", Short: "Create and repair the webhooks on the platforms",
		Example: "  scanhook hooks sync --dry-run\n  scanhook hooks sync github/acme/shop",
		Args:    onlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(strict(newHooksSync(opts)))
	return cmd
}

func newHooksSync(opts *options) *cobra.Command {
	var s syncing
	cmd := &cobra.Command{
		Use: "sync [PROJECT...]", Short: "Give each project a webhook that calls this Scanhook, with everything right",
		Long: "Looks at the webhooks of each PROJECT, or of each project under repositories without a glob. A project\n" +
			"that has none, nor one of its organisation, group or App, gets one. One that is there is put right: address,\n" +
			"content type, events, verification of our certificate, and with any of these the first configured secret.\n" +
			"One that the platform has disabled is tested, which revives it. Other webhooks are left alone.\n\n" +
			"The platform's token needs the right to it: on GitHub the permission \"Webhooks: read and write\" (classic\n" +
			"tokens: admin:repo_hook), on GitLab the scope api and the role Maintainer, on Gitea the scope\n" +
			"write:repository and the rights of an administrator of the project.",
		Example: "  scanhook hooks sync --dry-run\n  scanhook hooks sync github/acme/shop\n" +
			"  scanhook hooks sync --rewrite    # after a new secret was put first",
		Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if s.projects, err = syncedProjects(cfg, args); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			s.config, s.out = cfg, cmd.OutOrStdout()
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&s.dry, "dry-run", "n", false, "only say what would be changed")
	cmd.Flags().BoolVar(&s.rewrite, "rewrite", false, "write what is right already too: the secret cannot be compared")
	return cmd
}

// namedProjects are those on configured platforms that the configuration names in full.
func namedProjects(cfg *config.Config) ([]store.KnownProject, error) {
	policies, err := policiesOf(cfg)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(reconcile.NamedProjects(policies), func(p store.KnownProject) bool {
		_, configured := cfg.Platforms[p.SourcePlatform]
		return !configured
	}), nil
}

// syncedProjects are the arguments, or what the configuration names in full.
func syncedProjects(cfg *config.Config, args []string) ([]store.KnownProject, error) {
	if len(args) == 0 {
		projects, err := namedProjects(cfg)
		if err == nil && len(projects) == 0 {
			err = errors.New("no entry of repositories names a project without a glob: give the projects, such as " +
				"github/acme/shop")
		}
		return projects, err
	}
	policies, err := policiesOf(cfg)
	if err != nil {
		return nil, err
	}
	return projectsOf(args, cfg, policies)
}
