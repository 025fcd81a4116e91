package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/internal/config"
)

const waitHelp = `Waits until the scan of a commit has ended, and prints its verdict, the new findings and the link to its page. The
commit is the argument, else that of the CI job, else HEAD of the git repository here; the project is found as by upload.

In a CI job this is a gate also where the platform cannot require a commit status, as on GitLab Free. A commit of which
Scanhook does not know yet is waited for too: the webhook may be on its way.

The token, one of api.tokens, is best given in the environment variable SCANHOOK_API_TOKEN. The exit code is 0 when the
verdict is pass, 1 when it is fail or the scan failed, 2 for wrong use, and 3 when there was no verdict in time.`

// verdictTimeout is longer than scan_timeout by default.
const verdictTimeout = 40 * time.Minute

func newWait(opts *cli.Options) *cobra.Command { return newWaitWith(opts, os.LookupEnv) }

func newWaitWith(opts *cli.Options, env remote.Env) *cobra.Command {
	target, limit, asJSON := newTarget(), verdictTimeout, false
	cmd := &cobra.Command{
		Use: "wait [SHA]", Short: "Wait for the verdict on a commit, usually in a CI job", Long: waitHelp,
		Example: "  scanhook wait\n  scanhook wait 2ac0d87c1a52bb8cd6ff8ca3aa0bb3dd1e9bbd9f --platform github --project acme/shop --json",
		Args:    cli.AtMost(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := completeTarget(cmd, opts, env, &target, args); err != nil {
				return err
			}
			state, err := target.WaitFor(cmd.Context(), limit, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			result := remote.Result{State: state}
			if result.News, err = target.Ask(cmd.Context(), target.Client(cmd.ErrOrStderr()), state.Scan); err != nil {
				cmd.PrintErrln("the new findings cannot be shown:", err)
			}
			if asJSON {
				err = result.WriteJSON(cmd.OutOrStdout())
			} else {
				err = result.Write(cmd.OutOrStdout(), cli.OneLine("scan "+state.Scan+": "+state.String()))
			}
			if err == nil {
				err = state.Judge()
			}
			return err
		},
	}
	addTargetFlags(cmd, &target, opts)
	cmd.Flags().DurationVar(&limit, "timeout", limit, "how much `TIME` to wait")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	_ = cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	return cmd
}

func newTarget() remote.Target {
	return remote.Target{Version: buildVersion(), CI: platformKinds.CICommit}
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
