package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/check"
	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

func newCheck(opts *cli.Options) *cobra.Command {
	var parts cli.Parts
	var online bool
	cmd := &cobra.Command{
		Use: "check", Short: "Test the configuration and what it needs, and change nothing",
		Long: "Reads the configuration and prints a line for each part of it:\n" +
			"  ok    works\n" +
			"  off   is not used\n" +
			"  warn  works, but probably not as intended\n" +
			"  fail  is broken; the command exits with 1\n" +
			"With --online, each platform is asked to test one of its webhooks, with a ping (GitHub) or the last push (GitLab), and the\n" +
			"call is waited for in the database; where that cannot be, a call of our own goes through public_url.\n" +
			"Statuses that wait because a token may not post them are tried again at once by the running server.",
		Example: "  scanhook check --config /etc/scanhook/config.yaml\n" +
			"  scanhook check --online         # while scanhook serve runs\n" +
			"  scanhook check --only=runner    # what serve --only=runner needs",
		Args: cli.Exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := parts.Load(opts)
			if err != nil {
				return err
			}
			inspection, err := newInspection(cfg, opts.Config)
			if err != nil {
				return err
			}
			inspection.Parts, inspection.Online = parts, online
			return check.Print(cmd.OutOrStdout(), inspection.Run(cmd.Context()))
		},
	}
	parts.AddFlags(cmd)
	cmd.Flags().BoolVar(&online, "online", false, "also have each platform call through public_url, or do so ourselves")
	return cmd
}

func newInspection(cfg *config.Config, file string) (check.Check, error) {
	policies, err := policiesOf(cfg)
	if err != nil {
		return check.Check{}, err
	}
	scanners, fault := rulesOf(cfg, policies)
	return check.Check{
		Config: cfg, File: file, Policies: policies, Projects: namedProjects(cfg, policies), Secrets: hookSecrets(cfg),
		Adapter:     func(platform string) (platforms.Platform, error) { return platformOf(cfg, platform) },
		HookAddress: hookAddresses(cfg), MaySign: maySign(cfg), Sign: testCallOf(cfg),
		Rules: func(scanner string) check.Rules { return scanners[scanner].describe() }, RulesFault: fault,
	}, nil
}

// testCallOf signs calls of an event that is kept and comes to nothing.
func testCallOf(cfg *config.Config) func(string) (http.Header, []byte, error) {
	return func(platform string) (http.Header, []byte, error) {
		body := []byte(`{"zen":"scanhook check --online"}`)
		_, header, err := sending{platform: platform, event: "ping"}.sign(cfg, body)
		return header, body, err
	}
}
