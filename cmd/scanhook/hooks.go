package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

func newHooks(opts *cli.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "hooks", Short: "Create and repair the webhooks on the platforms",
		Example: "  scanhook hooks sync --dry-run\n  scanhook hooks sync github/acme/shop",
		Args:    cli.OnlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cli.Strict(newHooksSync(opts)))
	return cmd
}

func newHooksSync(opts *cli.Options) *cobra.Command {
	var s syncing
	cmd := &cobra.Command{
		Use: "sync [PROJECT...]", Short: "Give each project a correct webhook that calls this Scanhook",
		Long: "Looks at the webhooks of each PROJECT, or of each project under repositories without a glob. A project\n" +
			"that has none, nor one of its organisation, group or App, gets one. An existing one is corrected: address,\n" +
			"content type, events, verification of our certificate, and with any of these the first configured secret.\n" +
			"One that the platform has disabled is tested, which revives it. Other webhooks are left alone.\n\n" +
			"The platform's token needs the right to it:\n" + hookRights(),
		Example: "  scanhook hooks sync --dry-run\n  scanhook hooks sync github/acme/shop\n" +
			"  scanhook hooks sync --rewrite    # after a new secret was put first",
		Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			if s.projects, err = syncedProjects(cfg, args); err != nil {
				return &cli.UsageError{Err: err}
			}
			s.config, s.out = cfg, cmd.OutOrStdout()
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&s.dry, "dry-run", "n", false, "only say what would be changed")
	cmd.Flags().BoolVar(&s.rewrite, "rewrite", false, "write what is right already too: the secret cannot be compared")
	return cmd
}

// hookRights says what a token needs to manage webhooks, on each kind of platform.
func hookRights() string {
	var lines []string
	for _, kind := range platformKinds {
		lines = append(lines, fmt.Sprintf("  %-7s %s", kind.Title, kind.Token.ForHooks))
	}
	return strings.Join(lines, "\n")
}

// syncedProjects are the arguments, or what the configuration names in full.
func syncedProjects(cfg *config.Config, args []string) ([]store.KnownProject, error) {
	policies, err := policiesOf(cfg)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return projectsOf(args, cfg, policies)
	}
	projects := namedProjects(cfg, policies)
	if len(projects) == 0 {
		return nil, errors.New("no entry of repositories names a project without a glob: give the projects, such as " +
			"github/acme/shop")
	}
	return projects, nil
}

// syncing is one run of scanhook hooks sync.
type syncing struct {
	config       *config.Config
	projects     []store.KnownProject
	dry, rewrite bool
	out          io.Writer
}

var errNotSynced = errors.New("not every webhook could be repaired: see the lines that start with failed")

// run goes on with the next project when one fails.
func (s *syncing) run(ctx context.Context) error {
	syncers := map[string]*syncer{}
	var failed bool
	for _, project := range s.projects {
		if syncers[project.SourcePlatform] == nil {
			syncers[project.SourcePlatform] = s.syncer(project.SourcePlatform)
		}
		done, err := syncers[project.SourcePlatform].sync(ctx, project.ProjectName)
		if err != nil {
			done, failed = []deed{{"failed", err.Error()}}, true
		}
		for _, d := range done {
			fmt.Fprintf(s.out, "%-9s %s/%s: %s\n", d.verb, project.SourcePlatform, project.ProjectName, cli.OneLine(d.text))
		}
	}
	if failed {
		return errNotSynced
	}
	return nil
}

// deed is what was done for a project: a verb and a sentence.
type deed struct{ verb, text string }

// syncer repairs the webhooks of one platform.
type syncer struct {
	*syncing
	broken   error // why nothing can be done on this platform
	manager  platforms.HookManager
	tester   platforms.Redeliverer
	surveyor *platforms.HookSurveyor
	address  string
}

func (s *syncing) syncer(platform string) *syncer {
	if !s.config.Verifies(platform) {
		return &syncer{broken: fmt.Errorf("the platform is off: set platforms.%s.webhook_secrets", platform)}
	}
	adapter, err := platformOf(s.config, platform)
	if err != nil {
		return &syncer{broken: err}
	}
	if !s.config.Platforms[platform].Posts() {
		return &syncer{broken: fmt.Errorf("no token to look after webhooks with: set platforms.%s.token", platform)}
	}
	manager, manages := platforms.HookManagerOf(adapter)
	tester, tests := platforms.RedelivererOf(adapter)
	if !manages || !tests {
		return &syncer{broken: errors.New("webhooks of this platform are added by hand")}
	}
	address := hookAddress(s.config.Server.PublicURL, platform)
	return &syncer{
		syncing: s, manager: manager, tester: tester, address: address,
		surveyor: platforms.NewHookSurveyor(manager, address),
	}
}

func (s *syncer) sync(ctx context.Context, project string) ([]deed, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	survey, err := s.surveyor.Survey(ctx, project)
	switch {
	case err != nil:
		return nil, err
	case len(survey.Hooks) == 0 && survey.Hidden != nil:
		return nil, survey.Hidden
	case len(survey.Hooks) == 0:
		return s.add(ctx, project)
	}
	var done []deed
	for _, hook := range survey.Hooks {
		d, err := s.repair(ctx, hook)
		if err != nil {
			return nil, err
		}
		done = append(done, d)
	}
	if len(survey.Hooks) > 1 {
		done = append(done, deed{"note", "several webhooks call this address: one is enough, remove the others"})
	}
	return done, nil
}

func (s *syncer) add(ctx context.Context, project string) ([]deed, error) {
	if s.dry {
		return []deed{{"would add", "a webhook that calls " + s.address}}, nil
	}
	place := core.HookTarget{Scope: core.ScopeProject, Owner: project}
	s.surveyor.Forget(place)
	if err := s.manager.AddHook(ctx, project, s.address); err != nil {
		return nil, err
	}
	return []deed{{"added", "a webhook that calls " + s.address}}, nil
}

// repair writes a webhook that is not as it should be. One that was broken is tested then: that revives it, and shows at
// once whether all is well now.
func (s *syncer) repair(ctx context.Context, hook platforms.Hook) (deed, error) {
	faults := strings.Join(hook.Faults, "; ")
	switch {
	case faults == "" && !s.rewrite && hook.Problem != "":
		return deed{"note", "the webhook of " + hook.HookTarget.String() + " is right, but: " + hook.Problem}, nil
	case faults == "" && !s.rewrite && hook.Hidden != "":
		text := "the webhook of %s is right; the platform does not show %s: --rewrite makes sure"
		return deed{"ok", fmt.Sprintf(text, hook.HookTarget, hook.Hidden)}, nil
	case faults == "" && !s.rewrite:
		return deed{"ok", "the webhook of " + hook.HookTarget.String() + " is right"}, nil
	case faults == "":
		faults = "written again"
	}
	if s.dry {
		return deed{"would repair", "the webhook of " + hook.HookTarget.String() + ": " + faults}, nil
	}
	s.surveyor.Forget(hook.HookTarget)
	if err := s.manager.RepairHook(ctx, hook, s.address); err != nil {
		return deed{}, err
	}
	repaired := deed{"repaired", "the webhook of " + hook.HookTarget.String() + ": " + faults}
	if !hook.Broken {
		return repaired, nil
	}
	err := s.tester.TestHook(ctx, hook)
	limit := new(platforms.RateLimited)
	if errors.Is(err, platforms.ErrNoHookAccess) || errors.As(err, &limit) {
		err = nil // it will be called soon enough
	}
	return repaired, err
}
