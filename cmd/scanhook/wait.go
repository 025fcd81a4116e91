package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
)

const waitHelp = `Waits until the scan of a commit has ended, and prints its verdict, the new findings and the link to its page. The
commit is the argument, else that of the CI job, else HEAD of the git repository here; the project is found as by upload.

In a CI job this is a gate also where the platform cannot require a commit status, as on GitLab Free. A commit of which
Scanhook does not know yet is waited for too: the webhook may be on its way.

The token, one of api.tokens, is best given in the environment variable SCANHOOK_API_TOKEN; without it the job's own is
taken, as by upload. The exit code is 0 when the verdict is pass, 1 when it is fail or the scan failed, 2 for wrong use, and
3 when there was no verdict in time.`

// verdictTimeout is shorter than the hour after which GitLab ends a job by default, so that the job itself says why it has no verdict. A
// scan may take longer: scan_timeout is an hour by default.
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
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(result)
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
