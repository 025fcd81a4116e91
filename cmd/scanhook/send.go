package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

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
		Args: exactly(1), ValidArgsFunction: completeFiles("json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if run.event == "" {
				return wrongSend("--event is missing: name it, such as --event push")
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
	file, err := openInput(cmd, path)
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

// openInput opens a file, or standard input for "-".
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
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
		http.StatusText(delivery.Status), printable(string(delivery.Answer)))
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
