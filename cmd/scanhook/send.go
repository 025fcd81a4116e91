package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/webhooks"
)

// sending is one run of scanhook send.
type sending struct {
	event    string
	platform string
	to       string
	secret   string
}

func newSend(opts *options) *cobra.Command {
	var run sending
	cmd := &cobra.Command{
		Use: "send PAYLOAD.json --event EVENT", Short: "Sign a payload and send it as the platform would",
		Long: "Sends the payload in a file, or on standard input for -, to the Scanhook that the configuration describes,\n" +
			"as a new delivery signed with the platform's first signing token or webhook secret. For repeating a delivery\n" +
			"that went wrong, with the payload from the platform's list of recent deliveries, and for trying things out.",
		Example: "  scanhook send push.json --event push\n" +
			"  scanhook send - --event pipeline --platform gitlab \\\n" +
			"    --to https://scanhook.example.com < pipeline.json",
		Args: cli.Exactly(1), ValidArgsFunction: cli.CompleteFiles("json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if run.event == "" {
				return cli.WrongUse("--event is missing: name it, such as --event push")
			}
			cfg, err := config.Load(opts.config, os.LookupEnv)
			if err != nil {
				return err
			}
			payload, err := readPayload(cmd, args[0])
			if err != nil {
				return err
			}
			return run.send(cmd.Context(), cmd.OutOrStdout(), cfg, payload)
		},
	}
	cmd.Flags().StringVar(&run.event, "event", "",
		"`NAME` of the event: push, workflow_run, pipeline or the header's text (required)")
	cmd.Flags().StringVar(&run.platform, "platform", "github", "the platform's `KEY` in the configuration")
	cmd.Flags().StringVar(&run.to, "to", "",
		"`URL` of Scanhook or of the webhook itself (default: this machine, server.listen)")
	cmd.Flags().StringVar(&run.secret, "secret", "", "sign with `SECRET` instead of the configured one")
	_ = cmd.RegisterFlagCompletionFunc("event", completeEvents(opts, &run.platform))
	_ = cmd.RegisterFlagCompletionFunc("platform", completePlatforms(opts))
	return cmd
}

// readPayload reads at most what Scanhook would take.
func readPayload(cmd *cobra.Command, path string) ([]byte, error) {
	file, err := cli.OpenInput(cmd, path)
	if err != nil {
		return nil, fmt.Errorf("reading the payload: %w", err)
	}
	defer func() { _ = file.Close() }()
	payload, err := io.ReadAll(io.LimitReader(file, webhooks.MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the payload: %w", err)
	case len(payload) > webhooks.MaxBody:
		return nil, fmt.Errorf("reading the payload: %s is larger than %d MiB, which no platform sends",
			path, webhooks.MaxBody>>20)
	}
	return payload, nil
}

func (s sending) send(ctx context.Context, out io.Writer, cfg *config.Config, payload []byte) error {
	address, err := s.address(cfg)
	if err != nil {
		return err
	}
	sender, err := s.sender(cfg)
	if err != nil {
		return err
	}
	delivery, err := sender.Seal(s.event, payload)
	if err != nil {
		return err
	}
	delivery, err = sender.Send(ctx, address, delivery)
	if err != nil {
		return fmt.Errorf("%w: is scanhook serve running there? --to names another address", err)
	}
	fmt.Fprintf(out, "%s sent to %s: %d %s\n%s\n", delivery.Event, address, delivery.Status,
		http.StatusText(delivery.Status), cli.Printable(string(delivery.Answer)))
	return judgeAnswer(delivery)
}

// judgeAnswer makes an error of an answer that a platform would show as failed.
func judgeAnswer(delivery fakeforge.Delivery) error {
	switch status := delivery.Status; {
	case status/100 == 2:
		return nil
	case status == http.StatusUnauthorized:
		return errors.New("the delivery was refused: the secret is not the one that this server wants for the project, see the answer")
	default:
		return fmt.Errorf("the delivery failed with %d: the platform would show it as failed", status)
	}
}

// signingPrefix begins GitLab's signing tokens, and none of its plain ones.
const signingPrefix = "whsec_"

// sender is a fake platform that has the secret of the real one.
func (s sending) sender(cfg *config.Config) (*fakeforge.Server, error) {
	p, known := cfg.Platforms[s.platform]
	if !known {
		names := slices.Sorted(maps.Keys(cfg.Platforms))
		return nil, cli.WrongUse("no platform %q is configured: --platform must be one of %s%s", s.platform,
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
	forge := fakeForges[p.Type]
	if forge == nil {
		return nil, fmt.Errorf("platform %s is of the type %s, whose calls this command cannot sign", s.platform, p.Type)
	}
	server := forge(seal)
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
		return "", cli.WrongUse("--to must be an address that starts with https:// or http:// and a host")
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
	return slices.Sorted(maps.Keys(fakeForges[kind](fakeforge.Config{}).EventHeaders()))
}

func completeEvents(opts *options, platform *string) cobra.CompletionFunc {
	return completeNames(opts, func(cfg *config.Config) []string { return eventsOf(cfg.Platforms[*platform].Type) })
}
