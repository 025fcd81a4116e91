package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/suggest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/webhooks"
)

// sending is one run of scanhook send.
type sending struct {
	event    string
	platform string
	to       string
	secret   string
}

func newSend(opts *cli.Options) *cobra.Command {
	var s sending
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
			if s.event == "" {
				return cli.WrongUse("--event is missing: name it, such as --event push")
			}
			cfg, err := opts.Load()
			if err != nil {
				return err
			}
			if s.platform, err = choosePlatform(cfg, s.platform); err != nil {
				return err
			}
			payload, err := readPayload(cmd, args[0])
			if err != nil {
				return err
			}
			return s.send(cmd.Context(), cmd.OutOrStdout(), cfg, payload)
		},
	}
	cmd.Flags().StringVar(&s.event, "event", "",
		"`NAME` of the event: push, workflow_run, pipeline or the header's text (required)")
	cmd.Flags().StringVar(&s.platform, "platform", "",
		"the platform's `KEY` in the configuration (default: the only one)")
	cmd.Flags().StringVar(&s.to, "to", "",
		"`URL` of Scanhook or of the webhook itself (default: this machine, server.listen)")
	cmd.Flags().StringVar(&s.secret, "secret", "", "sign with `SECRET` instead of the configured one")
	_ = cmd.RegisterFlagCompletionFunc("event", completeEvents(opts, &s.platform))
	_ = cmd.RegisterFlagCompletionFunc("platform", opts.CompletePlatforms())
	return cmd
}

// choosePlatform returns the name of a configured platform; it may be left out where there is only one.
func choosePlatform(cfg *config.Config, name string) (string, error) {
	names := slices.Sorted(maps.Keys(cfg.Platforms))
	switch {
	case slices.Contains(names, name):
		return name, nil
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", cli.WrongUse("--platform is missing: it must be one of %s", strings.Join(names, ", "))
	}
	return "", cli.WrongUse("no platform %q is configured: --platform must be one of %s%s", name,
		strings.Join(names, ", "), suggest.DidYouMean(name, names))
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
	call, header, err := s.sign(cfg, payload)
	if err != nil {
		return err
	}
	status, answer, err := cli.Call(ctx, http.MethodPost, address, header, payload, maxAnswer)
	if err != nil {
		return fmt.Errorf("sending %s: %w: is scanhook serve running there? --to names another address", call.Event, err)
	}
	fmt.Fprintf(out, "%s sent to %s: %d %s\n%s\n", call.Event, address, status, http.StatusText(status),
		cli.Printable(string(answer)))
	return judgeAnswer(status)
}

// judgeAnswer makes an error of an answer that a platform would show as failed.
func judgeAnswer(status int) error {
	switch {
	case status/100 == 2:
		return nil
	case status == http.StatusUnauthorized:
		return errors.New("the delivery was refused: the secret is not the one that this server wants for the project, see the answer")
	default:
		return fmt.Errorf("the delivery failed with %d: the platform would show it as failed", status)
	}
}

// sign makes the headers of the call as the platform would.
func (s sending) sign(cfg *config.Config, payload []byte) (call platforms.Call, header http.Header, err error) {
	p := cfg.Platforms[s.platform]
	kind := kindOf(p)
	call = platforms.Call{Event: cmp.Or(kind.Events[s.event], s.event), Body: payload}
	switch prefix := kind.SigningPrefix; {
	case s.secret != "" && prefix != "" && strings.HasPrefix(s.secret, prefix):
		call.SigningToken = s.secret
	case s.secret != "":
		call.Secret = s.secret
	case len(p.SigningTokens) > 0:
		call.SigningToken = p.SigningTokens[0].Reveal()
	case len(p.WebhookSecrets) > 0:
		call.Secret = p.WebhookSecrets[0].Reveal()
	default:
		return call, nil, fmt.Errorf("platform %[1]s has no secret to sign with: set platforms.%[1]s.webhook_secrets "+
			"or give --secret", s.platform)
	}
	header, err = kind.Sign(call)
	return call, header, err
}

const maxAnswer = 1 << 20 // bytes of the answer that are shown

// address is the webhook's own: --to when it names one already, else the one below --to or this machine's server.
func (s sending) address(cfg *config.Config) (string, error) {
	base := s.to
	if base == "" {
		if cfg.Server.TLS.Enabled() || cfg.Server.Socket() != "" { // whose certificate names no loopback address
			return hookAddress(cfg.Server.PublicURL, s.platform), nil
		}
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

func completeEvents(opts *cli.Options, platform *string) cobra.CompletionFunc {
	return opts.CompleteNames(func(cfg *config.Config) []string {
		name, _ := choosePlatform(cfg, *platform)
		return slices.Sorted(maps.Keys(kindOf(cfg.Platforms[name]).Events))
	})
}
