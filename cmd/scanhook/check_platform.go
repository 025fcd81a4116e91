package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

// endsSoon is when the end of a token is worth a word: before somebody is on holiday at the wrong time.
const endsSoon = 14 * 24 * time.Hour

func (i inspection) platform(ctx context.Context, name string) line {
	subject, p := "platform "+name, i.Platforms[name]
	if !i.Verifies(name) {
		return line{verdictOff, subject, fmt.Sprintf("no webhook secret; set platforms.%s.webhook_secrets", name)}
	}
	adapter, err := platformOf(i.Config, name)
	if err != nil {
		return line{verdictFail, subject, err.Error()}
	}
	text := fmt.Sprintf("verifies webhooks at %s, ", hookAddress(i.Server.PublicURL, name))
	if !p.Posts() {
		return line{verdictWarn, subject, fmt.Sprintf("%sno token: statuses are kept and shown, not posted; "+
			"set platforms.%s.token", text, name)}
	}
	checker, ok := platforms.CredentialCheckerOf(adapter)
	if !ok {
		return line{verdictOK, subject, text + "statuses posted to " + posted(p)}
	}
	verdict, news := judgeCredential(ctx, checker, name, posted(p))
	return line{verdict, subject, text + news}
}

// posted says where statuses go, and as whom.
func posted(p config.Platform) string {
	if p.App == nil {
		return p.URL
	}
	return fmt.Sprintf("%s as GitHub App %d", p.URL, p.App.ID)
}

// judgeCredential asks the platform what the credential is good for. One that may not be asked now is told as not
// checked: it may be right.
func judgeCredential(ctx context.Context, checker platforms.CredentialChecker, name, where string) (verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := checker.CheckCredential(ctx)
	limit, denial, code := new(platforms.RateLimited), new(platforms.Denied), platforms.CodeOf(err)
	left := time.Until(found.ExpiresAt)
	switch {
	case errors.As(err, &limit):
		return verdictWarn, fmt.Sprintf("statuses posted to %s, but whether its token is right is not known: %s", where,
			oneLine(err.Error()))
	case errors.As(err, &denial), errors.Is(err, platforms.ErrRefused), code > 0 && code < http.StatusInternalServerError:
		return verdictFail, fmt.Sprintf("but statuses cannot be posted to %s: %s", where, oneLine(err.Error()))
	case err != nil:
		return verdictWarn, fmt.Sprintf("statuses posted to %s, which cannot be asked now: %s; let this host reach it, or "+
			"mend url or api_url of platforms.%s", where, oneLine(err.Error()), name)
	case !found.ExpiresAt.IsZero() && left < endsSoon:
		return verdictWarn, fmt.Sprintf("statuses posted to %s until its token ends on %s; renew it there and set "+
			"platforms.%s.token", where, found.ExpiresAt.UTC().Format(time.DateOnly), name)
	}
	return verdictOK, "statuses posted to " + where
}

// hookAddress is where a platform calls the server at base.
func hookAddress(base, platform string) string {
	return strings.TrimRight(base, "/") + "/webhooks/" + platform
}
