package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// failingHooks tells of the webhooks in which the running server has found something to mend: those of projects that no
// entry names in full are as many as there are projects, and are not asked after again. What else can be wrong with the
// database, its own line says.
func (i inspection) failingHooks(ctx context.Context, asked askedHooks) (lines []line) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	list, err := store.FailingHooks(ctx, i.Database.URL.Reveal())
	if err != nil {
		return nil
	}
	for _, found := range list {
		scope := platforms.HookTarget{Scope: platforms.HookScope(found.Scope), Owner: found.Owner}
		place := hookPlace{found.SourcePlatform, scope}
		if i.wants(place) && !asked.settled(place) {
			lines = append(lines, failingHook(place, found))
		}
	}
	if len(list) == store.MaxFailingHooks {
		lines = append(lines, line{verdictFail, "webhooks", "there may be more to mend than the first " +
			strconv.Itoa(len(list)) + "; mend these and run scanhook check again"})
	}
	return lines
}

// wants tells whether calls of a webhook are of use: it was found when perhaps the configuration was another one.
func (i inspection) wants(place hookPlace) bool {
	if !i.Verifies(place.platform) {
		return false
	}
	policies, err := policiesOf(i.Config)
	if err != nil || place.Scope != platforms.ScopeProject {
		return true
	}
	_, configured := policies.For(place.platform, place.Owner)
	return configured
}

func failingHook(place hookPlace, found store.HookPlace) line {
	mend, again := "mend it on the platform", "scanhook recover looks again"
	if place.Scope == platforms.ScopeProject {
		project := place.platform + "/" + oneLine(place.Owner)
		mend, again = "run scanhook hooks sync "+project, "scanhook recover "+project+" looks again"
	}
	text := cmp.Or(oneLine(found.Note), found.State) + "; " + mend
	if found.CheckedAt != nil {
		text += fmt.Sprintf(" (as of %s; %s)", stamp(*found.CheckedAt), again)
	}
	subject := fmt.Sprintf("webhook of %s on %s", oneLine(place.String()), place.platform)
	if found.MustMend() {
		return line{verdictFail, subject, text}
	}
	return line{verdictWarn, subject, text}
}
