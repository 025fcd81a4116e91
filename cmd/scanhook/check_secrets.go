package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// secrets tells of each webhook secret when it was used last, which is what one wants to know before removing one.
func (i inspection) secrets(ctx context.Context) []line {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	evidence, err := store.ReadEvidence(ctx, i.Database.URL.Reveal())
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil // the line of the database says why
	}
	var lines []line
	for _, secret := range hookSecrets(i.Config) {
		subject := fmt.Sprintf("secret %s of %s", core.SecretName(secret.Place, secret.ID), secret.platform)
		lines = append(lines, lastUse(subject, evidence.UseOf(secret.platform, secret.ID)))
	}
	for _, project := range evidence.Where(maySign(i.Config)).Refused {
		lines = append(lines, line{verdictWarn, "signatures of " + project.Platform + "/" + project.ProjectName, fmt.Sprintf(
			"%s refused that bore only a secret token, the last %s; enter the signing token in that webhook, or remove it",
			core.Plural(project.NumRefused, "call"), stamp(project.LastRefusedAt))})
	}
	return lines
}

func lastUse(subject string, use core.SecretUse) line {
	if use.LastUsedAt.IsZero() {
		return line{verdictOff, subject,
			"never used: no webhook has it yet, or none any more; enter it there or remove it here"}
	}
	return line{verdictOK, subject, fmt.Sprintf("last used %s, first %s", stamp(use.LastUsedAt), stamp(use.FirstUsedAt))}
}

func stamp(at time.Time) string { return at.UTC().Format(time.DateTime) + " UTC" }
