package check

import (
	"cmp"
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

// Run looks at one thing of the configuration after another, as far as the parts need it.
func (c Check) Run(ctx context.Context) []Line {
	database := c.database(ctx)
	lines := append(append(c.configuration(), c.parts()...), c.server())
	lines = append(append(lines, c.certificate(time.Now())...), database)
	for _, name := range slices.Sorted(maps.Keys(c.Platforms)) {
		lines = append(lines, c.platform(ctx, name))
	}
	lines = append(lines, c.clocks(ctx)...)
	if database.Verdict != Fail {
		lines = append(lines, c.integrity(ctx)...)
		lines = append(lines, c.durability(ctx)...)
		lines = append(lines, c.pushes(ctx)...)
	}
	if c.Parts.HasAny(cli.API, cli.Web) {
		lines = append(lines, c.api())
	}
	lines = append(append(lines, c.machine(ctx)...), c.rules()...)
	for _, name := range slices.Sorted(maps.Keys(c.Scanners)) {
		lines = append(lines, c.scanner(name))
	}
	lines = append(lines, c.repositories()...)
	asked := c.askedHooks()
	if c.Parts.Has(cli.Reconcile) {
		lines = append(lines, c.webhooks(ctx, asked, database.Verdict != Fail)...)
	}
	if c.Online {
		lines = append(lines, c.online(ctx, asked)...)
	}
	return lines
}

// pushes are what the database tells of those that came, and of their statuses.
func (c Check) pushes(ctx context.Context) (lines []Line) {
	if c.Parts.Has(cli.Statuses) {
		lines = c.holds(ctx)
	}
	if c.Parts.Has(cli.Intake) {
		lines = append(append(lines, c.secrets(ctx)...), c.silentHooks(ctx)...)
	}
	return lines
}

func (c Check) configuration() (lines []Line) {
	for _, warning := range c.Parts.Warnings(c.Config) {
		lines = append(lines, Line{Warn, "configuration", warning})
	}
	if lines == nil {
		return []Line{{OK, "configuration", c.File}}
	}
	return lines
}

// parts says what this is looked at for, where that is not everything.
func (c Check) parts() []Line {
	if c.Parts.Whole() {
		return nil
	}
	return []Line{{OK, "parts", fmt.Sprintf("%s; other processes must do %s", c.Parts.Here(), cmp.Or(c.Parts.Elsewhere(), "nothing"))}}
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
