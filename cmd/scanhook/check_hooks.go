package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// askedHooks is what the platforms say of webhooks now.
type askedHooks struct {
	surveyors map[string]*platforms.HookSurveyor // by platform; none where it cannot be asked
	told      map[hookPlace]bool
}

type hookPlace struct {
	platform string
	platforms.HookTarget
}

func (i inspection) askedHooks() askedHooks {
	asked := askedHooks{map[string]*platforms.HookSurveyor{}, map[hookPlace]bool{}}
	for name, p := range i.Platforms {
		if adapter, err := platformOf(i.Config, name); err == nil && i.Verifies(name) && p.Posts() {
			if manager, ok := platforms.HookManagerOf(adapter); ok {
				asked.surveyors[name] = platforms.NewHookSurveyor(manager, hookAddress(i.Server.PublicURL, name))
			}
		}
	}
	return asked
}

// settled tells that nothing more has to be said of the webhooks of a place: they are right, or a line tells of them.
func (a askedHooks) settled(place hookPlace) bool {
	surveyor := a.surveyors[place.platform]
	return a.told[place] || surveyor != nil && surveyor.AllRight(place.HookTarget)
}

// hooks looks at the webhooks of the projects that the configuration names in full, where the platforms may be asked.
func (i inspection) hooks(ctx context.Context, asked askedHooks) []line {
	var lines []line
	projects, err := namedProjects(i.Config)
	if err != nil {
		return []line{{verdictFail, "webhooks", err.Error()}}
	}
	for _, project := range projects {
		if asked.surveyors[project.SourcePlatform] != nil {
			lines = append(lines, i.hook(ctx, asked, project))
		}
	}
	return lines
}

func (i inspection) hook(ctx context.Context, asked askedHooks, project store.KnownProject) line {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	subject := fmt.Sprintf("webhook %s/%s", project.SourcePlatform, project.ProjectName)
	survey, err := asked.surveyors[project.SourcePlatform].Survey(ctx, project.ProjectName)
	limit := new(platforms.RateLimited)
	switch {
	case errors.As(err, &limit):
		return line{verdictWarn, subject, oneLine(err.Error())}
	case err != nil:
		return line{verdictFail, subject, oneLine(err.Error())}
	case len(survey.Hooks) == 0 && survey.Hidden != nil:
		return line{verdictWarn, subject, "cannot be looked at: " + oneLine(survey.Hidden.Error())}
	}
	own := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: project.ProjectName}
	asked.told[hookPlace{project.SourcePlatform, own}] = true
	if len(survey.Hooks) == 0 {
		address := hookAddress(i.Server.PublicURL, project.SourcePlatform)
		text := fmt.Sprintf("there is none that calls %s; run scanhook hooks sync %s/%s", address,
			project.SourcePlatform, project.ProjectName)
		return line{verdictFail, subject, text}
	}
	best := bestOf(survey.Hooks)
	asked.told[hookPlace{project.SourcePlatform, best.HookTarget}] = true
	return judgeHook(subject, best, project)
}

// bestOf is the first webhook that lets pushes through, or else the first.
func bestOf(hooks []platforms.Hook) platforms.Hook {
	best := slices.IndexFunc(hooks, func(h platforms.Hook) bool { return !h.Broken })
	return hooks[max(best, 0)]
}

func judgeHook(subject string, best platforms.Hook, project store.KnownProject) line {
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
		return line{verdictFail, subject, oneLine(text)}
	case best.Problem != "" || len(best.Faults) > 0:
		return line{verdictWarn, subject, oneLine(text)}
	}
	return line{verdictOK, subject, oneLine(text)}
}
