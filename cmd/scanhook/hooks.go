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

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/suggest"
	"github.com/scanhook/scanhook/platforms"
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
		Long: "Looks at the webhooks of each PROJECT, or of each project under repositories without a glob; with --all, of\n" +
			"those too that the globs match and whose webhooks the platform's token may manage. A project that has none,\n" +
			"nor one of its organisation, group or App, gets one. An existing one is corrected: address, content type,\n" +
			"events, verification of our certificate, and with any of these the first configured secret. One that the\n" +
			"platform has disabled is tested, which revives it. Other webhooks are left alone.\n\n" +
			"With --groups, each argument is an organisation or group, which gets one webhook for all its projects;\n" +
			"without arguments, those of which repositories take everything, such as github/acme/**.\n\n" +
			"The platform's token needs the right to it:\n" + hookRights(),
		Example: "  scanhook hooks sync --dry-run\n  scanhook hooks sync github/acme/shop\n  scanhook hooks sync --all\n" +
			"  scanhook hooks sync --groups gitlab/acme\n  scanhook hooks sync --rewrite    # after a new secret was put first",
		Args: cobra.ArbitraryArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			s.config, s.out = cfg, cmd.OutOrStdout()
			if err := s.choose(args); err != nil {
				return &cli.UsageError{Err: err}
			}
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&s.dry, "dry-run", "n", false, "only show what would be changed, - before and + after")
	cmd.Flags().BoolVarP(&s.all, "all", "a", false, "also the projects that globs match, as far as the token sees them")
	cmd.Flags().BoolVarP(&s.groups, "groups", "g", false, "webhooks of organisations and groups, not of projects")
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

// place is where a webhook is to be.
type place struct {
	platform string
	core.HookTarget
}

func projectPlace(platform, project string) place {
	return place{platform, core.HookTarget{Scope: core.ScopeProject, Owner: project}}
}

// key is the same for all ways to write the place.
func (p place) key() place {
	p.Owner = core.ProjectKey(p.Owner)
	return p
}

// syncing is one run of scanhook hooks sync.
type syncing struct {
	config                    *config.Config
	policies                  core.Policies
	places                    []place
	dry, rewrite, all, groups bool
	out                       io.Writer
	failed                    bool
}

// choose takes the arguments, or what the configuration names.
func (s *syncing) choose(args []string) (err error) {
	if s.policies, err = policiesOf(s.config); err != nil {
		return err
	}
	if s.all && (s.groups || len(args) > 0) {
		return errors.New("--all takes the projects of the configuration: leave out the arguments and --groups")
	}
	if s.groups {
		s.places, err = groupsOf(args, s.config, s.policies)
		return err
	}
	projects := namedProjects(s.config, s.policies)
	if len(args) > 0 {
		if projects, err = projectsOf(args, s.config, s.policies); err != nil {
			return err
		}
	}
	for _, project := range projects {
		s.places = append(s.places, projectPlace(project.SourcePlatform, project.ProjectName))
	}
	if len(s.places) == 0 && !s.all {
		return errors.New("no entry of repositories names a project without a glob: give the projects, such as " +
			"github/acme/shop, or --all for those that the globs match, or --groups")
	}
	return nil
}

// groupsOf are the arguments, or the groups of which the configuration takes everything.
func groupsOf(args []string, cfg *config.Config, policies core.Policies) (places []place, err error) {
	if len(args) == 0 {
		for _, rule := range policies {
			for _, end := range []string{"/**", "/*"} {
				if group, all := strings.CutSuffix(rule.Match, end); all && !strings.ContainsAny(group, `*?[]{}\`) && strings.Contains(group, "/") {
					args = append(args, group)
				}
			}
		}
	}
	if len(args) == 0 {
		return nil, errors.New("no entry of repositories takes all of a group, such as github/acme/**: give the groups, such as github/acme")
	}
	for _, arg := range args {
		platform, group, _ := strings.Cut(arg, "/")
		if _, configured := cfg.Platforms[platform]; !configured {
			names := slices.Sorted(maps.Keys(cfg.Platforms))
			return nil, fmt.Errorf("%q does not start with a platform (%s), a slash and the group%s", arg, strings.Join(names, ", "),
				suggest.DidYouMean(platform, names))
		}
		if err := platforms.CheckProject(group); err != nil {
			return nil, err
		}
		places = append(places, place{platform, core.HookTarget{Scope: core.ScopeGroup, Owner: group}})
	}
	return places, nil
}

var errNotSynced = errors.New("not every webhook could be repaired: see the lines that start with failed")

// run goes on with the next project when one fails.
func (s *syncing) run(ctx context.Context) error {
	syncers := map[string]*syncer{}
	for name := range s.config.Platforms {
		syncers[name] = s.syncer(name)
	}
	if s.all {
		s.addListed(ctx, syncers)
	}
	for _, at := range s.places {
		done, err := syncers[at.platform].sync(ctx, at.HookTarget)
		if err != nil {
			done = []deed{{verb: failedVerb, text: err.Error()}}
		}
		s.tell(at.platform+"/"+at.Owner, done...)
	}
	if s.failed {
		return errNotSynced
	}
	return nil
}

// addListed adds the projects that globs match and platforms list.
func (s *syncing) addListed(ctx context.Context, syncers map[string]*syncer) {
	known := map[place]bool{}
	for _, at := range s.places {
		known[at.key()] = true
	}
	for _, name := range slices.Sorted(maps.Keys(syncers)) {
		if !s.config.Verifies(name) {
			continue
		}
		projects, err := syncers[name].list(ctx)
		if err != nil {
			s.tell(name, deed{verb: failedVerb, text: err.Error()})
		}
		for _, project := range projects {
			_, configured := s.policies.For(name, project)
			at := projectPlace(name, project)
			if configured && !known[at.key()] && platforms.CheckProject(project) == nil {
				known[at.key()] = true
				s.places = append(s.places, at)
			}
		}
	}
}

const failedVerb = "failed"

func (s *syncing) tell(whose string, done ...deed) {
	for _, d := range done {
		s.failed = s.failed || d.verb == failedVerb
		fmt.Fprintf(s.out, "%-9s %s: %s\n", d.verb, whose, cli.OneLine(d.text))
		for _, line := range d.diff {
			fmt.Fprintf(s.out, "  %s\n", cli.OneLine(line))
		}
	}
}

// deed is what was done for a project: a verb and a sentence, and what a dry run shows of the settings.
type deed struct {
	verb, text string
	diff       []string
}

// syncer repairs the webhooks of one platform.
type syncer struct {
	*syncing
	broken   error // why nothing can be done on this platform
	adapter  platforms.Platform
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
		syncing: s, adapter: adapter, manager: manager, tester: tester, address: address,
		surveyor: platforms.NewHookSurveyor(manager, address),
	}
}

// list asks the platform for its projects.
func (s *syncer) list(ctx context.Context) ([]string, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	lister, able := platforms.ProjectListerOf(s.adapter)
	if !able {
		return nil, errors.New("this platform lists no projects: name them")
	}
	return lister.Projects(ctx)
}

func (s *syncer) sync(ctx context.Context, target core.HookTarget) ([]deed, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	hooks, err := s.find(ctx, target)
	if err != nil {
		return nil, err
	}
	if len(hooks) == 0 {
		return s.add(ctx, target)
	}
	var done []deed
	for _, hook := range hooks {
		d, err := s.repair(ctx, hook)
		if err != nil {
			return nil, err
		}
		done = append(done, d)
	}
	if len(hooks) > 1 {
		done = append(done, deed{verb: "note", text: "several webhooks call this address: one is enough, remove the others"})
	}
	return done, nil
}

// find has the webhooks through which the events of a project come, or those of a group itself.
func (s *syncer) find(ctx context.Context, target core.HookTarget) ([]platforms.Hook, error) {
	if target.Scope == core.ScopeGroup {
		return s.manager.Hooks(ctx, target, s.address)
	}
	survey, err := s.surveyor.Survey(ctx, target.Owner)
	if err == nil && len(survey.Hooks) == 0 {
		err = survey.Hidden
	}
	return survey.Hooks, err
}

func (s *syncer) add(ctx context.Context, target core.HookTarget) ([]deed, error) {
	text := "a webhook that calls " + s.address
	if s.dry {
		would := deed{verb: "would add", text: text}
		for _, setting := range s.manager.DraftHook(target, s.address) {
			would.diff = append(would.diff, "+ "+setting.Name+": "+setting.Value)
		}
		return []deed{would}, nil
	}
	s.surveyor.Forget(target)
	if err := s.manager.AddHook(ctx, target, s.address); err != nil {
		return nil, err
	}
	return []deed{{verb: "added", text: text}}, nil
}

// repair writes a webhook that is not as it should be. One that was broken is tested then: that revives it, and shows at
// once whether all is well now.
func (s *syncer) repair(ctx context.Context, hook platforms.Hook) (deed, error) {
	faults := strings.Join(hook.Faults, "; ")
	switch {
	case faults == "" && !s.rewrite && hook.Problem != "":
		return deed{verb: "note", text: "the webhook of " + hook.HookTarget.String() + " is right, but: " + hook.Problem}, nil
	case faults == "" && !s.rewrite && hook.Hidden != "":
		text := "the webhook of %s is right; the platform does not show %s: --rewrite makes sure"
		return deed{verb: "ok", text: fmt.Sprintf(text, hook.HookTarget, hook.Hidden)}, nil
	case faults == "" && !s.rewrite:
		return deed{verb: "ok", text: "the webhook of " + hook.HookTarget.String() + " is right"}, nil
	case faults == "":
		faults = "written again"
	}
	if s.dry {
		return deed{verb: "would repair", text: "the webhook of " + hook.HookTarget.String() + ": " + faults, diff: differences(hook)}, nil
	}
	s.surveyor.Forget(hook.HookTarget)
	if err := s.manager.RepairHook(ctx, hook, s.address); err != nil {
		return deed{}, err
	}
	repaired := deed{verb: "repaired", text: "the webhook of " + hook.HookTarget.String() + ": " + faults}
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

// differences are the settings that a repair changes. The secret is always written.
func differences(hook platforms.Hook) (lines []string) {
	for _, change := range hook.Changes {
		lines = append(lines, "- "+change.Name+": "+change.From, "+ "+change.Name+": "+change.To)
	}
	return append(lines, "+ secret: the first of the configuration")
}
