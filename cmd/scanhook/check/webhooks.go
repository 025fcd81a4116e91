package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// askedHooks is what the platforms say of webhooks now.
type askedHooks struct {
	adapters  map[string]platforms.Platform      // by platform; none where it cannot be asked
	surveyors map[string]*platforms.HookSurveyor // of these
	reported  map[hookTarget]bool
}

type hookTarget struct {
	platform string
	core.HookTarget
}

func (c Check) askedHooks() askedHooks {
	asked := askedHooks{map[string]platforms.Platform{}, map[string]*platforms.HookSurveyor{}, map[hookTarget]bool{}}
	for name, p := range c.Platforms {
		if adapter, err := c.Adapter(name); err == nil && c.Verifies(name) && p.Posts() {
			if manager, ok := platforms.HookManagerOf(adapter); ok {
				asked.adapters[name] = adapter
				asked.surveyors[name] = platforms.NewHookSurveyor(manager, c.HookAddress(name))
			}
		}
	}
	return asked
}

// settled reports whether the webhooks of a target need no further line: they are right, or have one.
func (a askedHooks) settled(target hookTarget) bool {
	surveyor := a.surveyors[target.platform]
	return a.reported[target] || surveyor != nil && surveyor.AllRight(target.HookTarget)
}

// webhooks looks at those of the configuration's projects, and at what a database has of others.
func (c Check) webhooks(ctx context.Context, asked askedHooks, known bool) []Line {
	lines := c.hooks(ctx, asked)
	if known {
		lines = append(lines, c.failingHooks(ctx, asked)...)
	}
	return lines
}

// hooks looks at the webhooks of the projects that the configuration names in full, where the platforms may be asked.
func (c Check) hooks(ctx context.Context, asked askedHooks) []Line {
	var lines []Line
	for _, project := range c.Projects {
		if asked.surveyors[project.SourcePlatform] != nil {
			lines = append(lines, c.hook(ctx, asked, project))
		}
	}
	return lines
}

func (c Check) hook(ctx context.Context, asked askedHooks, project store.KnownProject) Line {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	subject := fmt.Sprintf("webhook %s/%s", project.SourcePlatform, project.ProjectName)
	survey, err := asked.surveyors[project.SourcePlatform].Survey(ctx, project.ProjectName)
	limit := new(platforms.RateLimited)
	switch {
	case errors.As(err, &limit):
		return Line{Warn, subject, cli.OneLine(err.Error())}
	case err != nil:
		return Line{Fail, subject, cli.OneLine(err.Error())}
	case len(survey.Hooks) == 0 && survey.Hidden != nil:
		return Line{Warn, subject, "cannot be looked at: " + cli.OneLine(survey.Hidden.Error())}
	}
	own := core.HookTarget{Scope: core.ScopeProject, Owner: project.ProjectName}
	asked.reported[hookTarget{project.SourcePlatform, own}] = true
	if len(survey.Hooks) == 0 {
		address := c.HookAddress(project.SourcePlatform)
		text := fmt.Sprintf("there is none that calls %s; run scanhook hooks sync %s/%s", address,
			project.SourcePlatform, project.ProjectName)
		return Line{Fail, subject, text}
	}
	best := bestOf(survey.Hooks)
	asked.reported[hookTarget{project.SourcePlatform, best.HookTarget}] = true
	return judgeHook(subject, best, project)
}

// bestOf is the first webhook that lets pushes through, or else the first.
func bestOf(hooks []platforms.Hook) platforms.Hook {
	best := slices.IndexFunc(hooks, func(h platforms.Hook) bool { return !h.Broken })
	return hooks[max(best, 0)]
}

func judgeHook(subject string, best platforms.Hook, project store.KnownProject) Line {
	text := "that of " + best.HookTarget.String()
	if len(best.Faults) > 0 {
		text += fmt.Sprintf(": %s; run scanhook hooks sync %s/%s", strings.Join(best.Faults, ", "), project.SourcePlatform,
			project.ProjectName)
	}
	if best.Problem != "" {
		text += ": " + best.Problem
	}
	switch {
	case best.Broken:
		return Line{Fail, subject, cli.OneLine(text)}
	case best.Problem != "" || len(best.Faults) > 0:
		return Line{Warn, subject, cli.OneLine(text)}
	}
	return Line{OK, subject, cli.OneLine(text)}
}

// failingHooks are the webhooks that the running server has found faulty. Those of projects that no entry names in full
// are as many as there are projects, so the platform is not asked again. Faults of the database have a line of their own.
func (c Check) failingHooks(ctx context.Context, asked askedHooks) (lines []Line) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	list, err := store.FailingHooks(ctx, c.Database.URL.Reveal())
	if err != nil {
		return nil
	}
	for _, found := range list {
		scope := found.HookTarget
		target := hookTarget{found.SourcePlatform, scope}
		if c.wants(target) && !asked.settled(target) {
			lines = append(lines, failingHook(target, found))
		}
	}
	if len(list) == store.MaxFailingHooks {
		lines = append(lines, Line{Fail, "webhooks", "there may be more to repair than the first " +
			strconv.Itoa(len(list)) + "; repair these and run scanhook check again"})
	}
	return lines
}

// wants reports whether calls of a webhook are of use: the configuration may have changed since it was found.
func (c Check) wants(target hookTarget) bool {
	if !c.Verifies(target.platform) {
		return false
	}
	if target.Scope != core.ScopeProject {
		return true
	}
	_, configured := c.Policies.For(target.platform, target.Owner)
	return configured
}

func failingHook(target hookTarget, found store.HookCheck) Line {
	repair, again := "repair it on the platform", "scanhook recover looks again"
	if target.Scope == core.ScopeProject {
		project := target.platform + "/" + cli.OneLine(target.Owner)
		repair, again = "run scanhook hooks sync "+project, "scanhook recover "+project+" looks again"
	}
	text := cmp.Or(cli.OneLine(found.Note), found.State) + "; " + repair
	if found.CheckedAt != nil {
		text += fmt.Sprintf(" (as of %s; %s)", cli.Stamp(*found.CheckedAt), again)
	}
	subject := fmt.Sprintf("webhook of %s on %s", cli.OneLine(target.String()), target.platform)
	if found.NeedsRepair() {
		return Line{Fail, subject, text}
	}
	return Line{Warn, subject, text}
}

// silentHooks are the webhooks that have not called for longer than their past explains. Faults of the database have a
// line of their own.
func (c Check) silentHooks(ctx context.Context) (lines []Line) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	hooks, err := store.Hooks(ctx, c.Database.URL.Reveal(), c.Policies)
	if err != nil {
		return nil
	}
	for _, hook := range liveness.Judge(hooks, time.Now()) {
		subject := "webhook of " + hook.Platform + "/" + cli.Printable(hook.Project)
		if hook.Project == "" {
			subject = "all webhooks of " + hook.Platform
		}
		if hook.Silent {
			lines = append(lines, Line{Warn, subject, fmt.Sprintf("silent since %s: %s; "+
				"look at its deliveries on the platform", hook.Last.Format(time.DateTime), hook.Why())})
		}
	}
	return lines
}
