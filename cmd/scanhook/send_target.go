package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/fakeforge"
)

// signingPrefix begins GitLab's signing tokens, and none of its plain ones.
const signingPrefix = "whsec_"

func wrongSend(format string, args ...any) error {
	return &usageError{"scanhook send", fmt.Errorf(format, args...)}
}

// sender is a fake platform that has the secret of the real one.
func (s sending) sender(cfg *config.Config) (*fakeforge.Server, error) {
	p, known := cfg.Platforms[s.platform]
	if !known {
		names := slices.Sorted(maps.Keys(cfg.Platforms))
		return nil, wrongSend("no platform %q is configured: --platform must be one of %s%s", s.platform,
			strings.Join(names, ", "), config.Suggestion(s.platform, names))
	}
	var seal fakeforge.Config
	switch {
	case s.secret != "" && p.Type == config.TypeGitLab && strings.HasPrefix(s.secret, signingPrefix):
		seal.SigningToken = s.secret
	case s.secret != "":
		seal.Secret = s.secret
	case len(p.SigningTokens) > 0:
		seal.SigningToken = p.SigningTokens[0].Reveal()
	case len(p.WebhookSecrets) > 0:
		seal.Secret = p.WebhookSecrets[0].Reveal()
	default:
		return nil, fmt.Errorf("platform %[1]s has no secret to sign with: set platforms.%[1]s.webhook_secrets "+
			"or give --secret", s.platform)
	}
	server := fakeForges[p.Type](seal)
	return server, server.SetBase(p.URL)
}

// address is the webhook's own: --to when it names one already, else the one below --to or this machine's server.
func (s sending) address(cfg *config.Config) (string, error) {
	base := s.to
	if base == "" {
		own, err := loopback(cfg.Server.Listen)
		return hookAddress(own, s.platform), err
	}
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", wrongSend("--to must be an address that starts with https:// or http:// and a host")
	}
	if strings.Contains(parsed.Path, "/webhooks/") {
		return base, nil
	}
	return hookAddress(base, s.platform), nil
}

// loopback is where a server that listens on the address given is reached from the same machine.
func loopback(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("reading server.listen: %w", err)
	}
	if port == "0" {
		return "", errors.New("server.listen has port 0, so the server's address is not known: give it with --to")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// eventsOf are the short names of the events that a kind of platform sends.
func eventsOf(kind string) []string {
	if fakeForges[kind] == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(fakeForges[kind](fakeforge.Config{}).Events()))
}
