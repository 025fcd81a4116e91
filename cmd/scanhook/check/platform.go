package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// endsSoon is when the end of a token is reported: early enough for people on holiday.
const endsSoon = 14 * 24 * time.Hour

func (c Check) platform(ctx context.Context, name string) Line {
	subject, p := "platform "+name, c.Platforms[name]
	if c.Parts.HasAny(cli.Intake, cli.Reconcile) && !c.Verifies(name) {
		return Line{Off, subject, fmt.Sprintf("no webhook secret; set platforms.%s.webhook_secrets", name)}
	}
	adapter, err := c.Adapter(name)
	if err != nil {
		return Line{Fail, subject, err.Error()}
	}
	text := ""
	if c.Parts.Has(cli.Intake) {
		text = fmt.Sprintf("verifies webhooks at %s, ", c.HookAddress(name))
	}
	if !c.Parts.Has(cli.Statuses) {
		return Line{OK, subject, text + c.readFrom(name)}
	}
	if !p.Posts() {
		return Line{Warn, subject, fmt.Sprintf("%sno token: statuses are kept and shown, not posted; "+
			"set platforms.%s.token", text, name)}
	}
	checker, ok := platforms.CredentialCheckerOf(adapter)
	if !ok {
		return Line{OK, subject, text + "statuses posted to " + posted(p)}
	}
	verdict, news := c.judgeCredential(ctx, checker, name, posted(p))
	return Line{verdict, subject, text + news}
}

// readFrom says what is asked of a platform to which no status is posted.
func (c Check) readFrom(name string) string {
	p := c.Platforms[name]
	switch {
	case !c.Parts.HasAny(cli.Runner, cli.Reconcile, cli.Enrich, cli.API):
		return "nothing is asked of " + p.URL
	case !p.Posts():
		return fmt.Sprintf("public projects only are read from %s; for others set platforms.%s.token, one that may read is enough", p.URL, name)
	}
	return "projects are read from " + p.URL + " with a token"
}

// uses are what is switched on for repositories of a platform besides commit statuses.
func (c Check) uses(platform string) (list []platforms.Use) {
	on := map[platforms.Use]bool{}
	for _, repository := range c.Repositories {
		if repository.Reaches(platform) {
			on[platforms.UseNotes] = on[platforms.UseNotes] || core.CommentMode(repository.Comment).Writes()
			on[platforms.UseChecks] = on[platforms.UseChecks] || slices.Contains(core.Publishing(repository.Publish).Kinds(true), core.KindCheck)
		}
	}
	for _, use := range []platforms.Use{platforms.UseChecks, platforms.UseNotes} {
		if on[use] {
			list = append(list, use)
		}
	}
	return list
}

// posted says where statuses go, and as whom.
func posted(p config.Platform) string {
	if p.App == nil {
		return p.URL
	}
	return fmt.Sprintf("%s as App %d", p.URL, p.App.ID)
}

// judgeCredential asks the platform what the credential is good for. If the platform cannot
// be asked now, the credential may still be right: that is a warning.
func (c Check) judgeCredential(ctx context.Context, checker platforms.CredentialChecker, name, where string) (Verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := checker.CheckCredential(ctx)
	limit, denial, code := new(platforms.RateLimited), new(platforms.Denied), platforms.CodeOf(err)
	left := time.Until(found.ExpiresAt)
	switch {
	case errors.As(err, &limit):
		return Warn, fmt.Sprintf("statuses posted to %s, but whether its token is right is not known: %s", where,
			cli.OneLine(err.Error()))
	case errors.As(err, &denial), errors.Is(err, platforms.ErrRefused), code > 0 && code < http.StatusInternalServerError:
		return Fail, fmt.Sprintf("but statuses cannot be posted to %s: %s", where, cli.OneLine(err.Error()))
	case err != nil:
		return Warn, fmt.Sprintf("statuses posted to %s, which cannot be asked now: %s; let this host reach it, or "+
			"correct url or api_url of platforms.%s", where, cli.OneLine(err.Error()), name)
	case !found.ExpiresAt.IsZero() && left < endsSoon:
		return Warn, fmt.Sprintf("statuses posted to %s until its token ends on %s; renew it there and set "+
			"platforms.%s.token", where, found.ExpiresAt.UTC().Format(time.DateOnly), name)
	}
	for _, use := range c.uses(name) {
		if advice := found.Lacks[use]; advice != "" {
			return Warn, fmt.Sprintf("statuses posted to %s, but not the %s that are switched on: %s", where, use, advice)
		}
	}
	return OK, "statuses posted to " + where
}

// holds are the projects whose statuses wait for a better token. A platform without any token has a line of its own.
func (c Check) holds(ctx context.Context) []Line {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	list, err := store.Holds(ctx, c.Database.URL.Reveal())
	switch {
	case errors.Is(err, core.ErrNotFound), errors.Is(err, core.ErrUnavailable):
		return nil // the line of the database says so
	case err != nil:
		return []Line{{Off, "statuses", fmt.Sprintf("known after the first start of this version (%v)", err)}}
	}
	var lines []Line
	for _, t := range list {
		if !c.Platforms[t.SourcePlatform].Posts() {
			continue
		}
		lines = append(lines, Line{Fail, "statuses of " + t.SourcePlatform + "/" + cli.Printable(t.Scope()),
			fmt.Sprintf("kept since %s, not posted: %s; tried again now, and all are posted once that succeeds",
				t.Since.UTC().Format(time.DateTime), cli.Printable(t.Reason))})
	}
	return lines
}

// secrets reports when each webhook secret was used last, which one wants to know before removing one.
func (c Check) secrets(ctx context.Context) []Line {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	evidence, err := store.ReadSecretUsages(ctx, c.Database.URL.Reveal())
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil // the line of the database says why
	}
	var lines []Line
	for _, secret := range c.Secrets {
		subject := fmt.Sprintf("secret %s of %s", core.SecretName(secret.Place, secret.ID), secret.Platform)
		lines = append(lines, lastUse(subject, evidence.Of(secret.Platform, secret.ID)))
	}
	for _, project := range evidence.Where(c.MaySign).Refused {
		lines = append(lines, Line{Warn, "signatures of " + project.Platform + "/" + project.ProjectName, fmt.Sprintf(
			"%s refused that bore only a secret token, the last %s; enter the signing token in that webhook, or remove it",
			core.Plural(project.NumRefused, "call"), cli.Stamp(project.LastRefusedAt))})
	}
	return lines
}

func lastUse(subject string, use core.SecretUsage) Line {
	if use.LastUsedAt.IsZero() {
		return Line{Off, subject,
			"never used: no webhook has it yet, or none any more; enter it there or remove it here"}
	}
	return Line{OK, subject, fmt.Sprintf("last used %s, first %s", cli.Stamp(use.LastUsedAt), cli.Stamp(use.FirstUsedAt))}
}
