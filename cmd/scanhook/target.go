package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/internal/config"
)

// What the commands have in common that talk to a running Scanhook: upload, wait and export.

func newTarget() remote.Target {
	return remote.Target{Version: buildVersion(), CI: platformKinds.CICommit, Job: platformKinds.JobToken}
}

// completeTarget takes the commit from the arguments, where there is one, and what else is missing from the environment.
func completeTarget(cmd *cobra.Command, opts *cli.Options, env remote.Env, target *remote.Target, args []string) error {
	if len(args) > 0 {
		target.Commit.SHA = args[0]
	}
	return target.Complete(cmd.Context(), env, configuredServer(opts, env))
}

// configuredServer reads the address of the server from the configuration.
func configuredServer(opts *cli.Options, env remote.Env) func() (string, error) {
	return func() (string, error) {
		cfg, err := config.Load(opts.Config, opts.Types, env)
		if err != nil {
			return "", err
		}
		return cfg.Server.PublicURL, nil
	}
}

// addTargetFlags adds what commands that talk to a running Scanhook have in common.
func addTargetFlags(cmd *cobra.Command, target *remote.Target, opts *cli.Options) {
	flags := cmd.Flags()
	flags.StringVar(&target.Commit.SHA, "commit", "", "full `SHA` of the commit")
	flags.StringVar(&target.Commit.Platform, "platform", "",
		"the platform's `KEY` in the server's configuration (default: by the CI system, where it tells)")
	flags.StringVar(&target.Commit.Project, "project", "", "full `PATH` of the project, such as acme/shop")
	flags.StringVar(&target.Scan, "scan", "", "`REF` of the scan, or the link to its page, instead of the commit's")
	flags.StringVar(&target.Server, "server", "", "`URL` of Scanhook (also SCANHOOK_URL)")
	flags.StringVar(&target.Token, "token", "", "API `TOKEN` (better SCANHOOK_API_TOKEN)")
	flags.DurationVar(&target.Retry, "retry-for", 2*time.Minute, "how much `TIME` to try again while the server is out of reach; 0 tries once")
	_ = cmd.RegisterFlagCompletionFunc("platform", opts.CompletePlatforms())
	for _, name := range []string{"commit", "project", "scan", "server", "token", "retry-for"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}
