package main

import (
	"context"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/store"
)

// silentHooks names the webhooks that have not called for longer than their past explains. What else can be wrong with
// the database, its own line says.
func (i inspection) silentHooks(ctx context.Context) (lines []line) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	policies, err := policiesOf(i.Config)
	if err != nil {
		return nil
	}
	hooks, err := store.Hooks(ctx, i.Database.URL.Reveal(), policies)
	if err != nil {
		return nil
	}
	for _, hook := range liveness.Judge(hooks, time.Now()) {
		subject := "webhook of " + hook.Platform + "/" + printable(hook.Project)
		if hook.Project == "" {
			subject = "all webhooks of " + hook.Platform
		}
		if hook.Silent {
			lines = append(lines, line{verdictWarn, subject, fmt.Sprintf("silent since %s: %s; "+
				"look at its deliveries on the platform", hook.Last.Format(time.DateTime), hook.Why())})
		}
	}
	return lines
}
