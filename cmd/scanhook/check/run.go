package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

// Run looks at one thing of the configuration after another.
func (c Check) Run(ctx context.Context) []Line {
	database := c.database(ctx)
	lines := append(append(c.configuration(), c.server()), c.certificate(time.Now())...)
	lines = append(lines, database)
	for _, name := range slices.Sorted(maps.Keys(c.Platforms)) {
		lines = append(lines, c.platform(ctx, name))
	}
	lines = append(lines, c.clocks(ctx)...)
	if database.Verdict != Fail {
		lines = append(lines, c.integrity(ctx)...)
		lines = append(lines, c.durability(ctx)...)
		lines = append(lines, c.holds(ctx)...)
		lines = append(lines, c.secrets(ctx)...)
		lines = append(lines, c.silentHooks(ctx)...)
	}
	lines = append(append(lines, c.api()), c.machine(ctx)...)
	lines = append(lines, c.rules()...)
	for _, name := range slices.Sorted(maps.Keys(c.Scanners)) {
		lines = append(lines, c.scanner(name))
	}
	asked := c.askedHooks()
	lines = append(append(lines, c.repositories()...), c.hooks(ctx, asked)...)
	if database.Verdict != Fail {
		lines = append(lines, c.failingHooks(ctx, asked)...)
	}
	return lines
}

func (c Check) configuration() []Line {
	if len(c.Warnings) == 0 {
		return []Line{{OK, "configuration", c.File}}
	}
	var lines []Line
	for _, warning := range c.Warnings {
		lines = append(lines, Line{Warn, "configuration", warning})
	}
	return lines
}

func (c Check) server() Line {
	text := fmt.Sprintf("listens on %s, is reached at %s", c.Server.Listen, c.Server.PublicURL)
	if c.Server.IsLocal() {
		return Line{Warn, "server", text + ", which works on this machine only; set server.public_url"}
	}
	return Line{OK, "server", text}
}

// soonOver is how long before its end a certificate is told of: those of Let's Encrypt are renewed a month before.
const soonOver = 14 * 24 * time.Hour

// certificate looks at what TLS is spoken with.
func (c Check) certificate(now time.Time) []Line {
	if !c.Server.TLS.Enabled() {
		return nil
	}
	const subject = "certificate"
	pair, err := tls.LoadX509KeyPair(c.Server.TLS.CertFile, c.Server.TLS.KeyFile)
	if err != nil {
		return []Line{{Fail, subject, fmt.Sprintf("%v; correct server.tls, whose files must fit together", err)}}
	}
	public, err := url.Parse(c.Server.PublicURL)
	if err == nil {
		err = pair.Leaf.VerifyHostname(public.Hostname())
	}
	switch text := "until " + cli.Stamp(pair.Leaf.NotAfter); {
	case now.After(pair.Leaf.NotAfter):
		return []Line{{Fail, subject, "has ended: it was good " + text + "; renew it"}}
	case err != nil:
		return []Line{{Fail, subject, fmt.Sprintf("%v; take one for the host of server.public_url", err)}}
	case now.Add(soonOver).After(pair.Leaf.NotAfter):
		return []Line{{Warn, subject, text + "; renew it, the files are read again by themselves"}}
	default:
		return []Line{{OK, subject, text}}
	}
}

func (c Check) api() Line {
	var tokens []string
	for _, t := range c.API.Tokens {
		tokens = append(tokens, t.Name+" ("+t.Role+")")
	}
	if tokens == nil {
		return Line{Off, "api", "no token; set api.tokens for uploads and for other programs"}
	}
	return Line{OK, "api", "open for " + strings.Join(tokens, ", ")}
}
