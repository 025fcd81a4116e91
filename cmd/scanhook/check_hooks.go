package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// hooks looks at the webhooks of the projects that the configuration names in full, where the platforms may be asked.
func (i inspection) hooks(ctx context.Context) []line {
	surveyors := map[string]*platforms.HookSurveyor{}
	for name, p := range i.Platforms {
		if adapter, err := platformOf(i.Config, name); err == nil && i.Verifies(name) && p.Posts() {
			if manager, ok := adapter.(platforms.HookManager); ok {
				surveyors[name] = platforms.NewHookSurveyor(manager, hookAddress(i.Server.PublicURL, name))
			}
		}
	}
	var lines []line
	projects, err := namedProjects(i.Config)
	if err != nil {
		return []line{{verdictFail, "webhooks", err.Error()}}
	}
	for _, project := range projects {
		if surveyor := surveyors[project.SourcePlatform]; surveyor != nil {
			lines = append(lines, i.hook(ctx, surveyor, project))
		}
	}
	return lines
}

func (i inspection) hook(ctx context.Context, surveyor *platforms.HookSurveyor, project store.KnownProject) line {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	subject := fmt.Sprintf("webhook %s/%s", project.SourcePlatform, project.ProjectName)
	survey, err := surveyor.Survey(ctx, project.ProjectName)
	limit := new(platforms.RateLimited)
	switch {
	case errors.As(err, &limit):
		return line{verdictWarn, subject, oneLine(err.Error())}
	case err != nil:
		return line{verdictFail, subject, oneLine(err.Error())}
	case len(survey.Hooks) == 0 && survey.Hidden != nil:
		return line{verdictWarn, subject, "cannot be looked at: " + oneLine(survey.Hidden.Error())}
	case len(survey.Hooks) == 0:
		address := hookAddress(i.Server.PublicURL, project.SourcePlatform)
		text := fmt.Sprintf("there is none that calls %s; run scanhook hooks sync %s/%s", address,
			project.SourcePlatform, project.ProjectName)
		return line{verdictFail, subject, text}
	}
	return judgeHook(subject, survey, project)
}

// judgeHook tells of the best webhook of a project.
func judgeHook(subject string, survey platforms.HookSurvey, project store.KnownProject) line {
	best := survey.Hooks[0]
	for _, hook := range survey.Hooks {
		if best.Broken && !hook.Broken {
			best = hook
		}
	}
	text := "that of " + best.HookPlace.String()
	if len(best.Faults) > 0 {
		text += fmt.Sprintf(": %s; run scanhook hooks sync %s/%s", strings.Join(best.Faults, ", "), project.SourcePlatform,
			project.ProjectName)
	}
	if best.Trouble != "" {
		text += ": " + best.Trouble
	}
	switch {
	case best.Broken:
		return line{verdictFail, subject, oneLine(text)}
	case best.Trouble != "" || len(best.Faults) > 0:
		return line{verdictWarn, subject, oneLine(text)}
	}
	return line{verdictOK, subject, oneLine(text)}
}
