package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/cmd/scanhook/upload"
	"github.com/scanhook/scanhook/internal/config"
)

const uploadHelp = `Delivers a scanner's report (SARIF 2.1.0 or JSON findings, - for standard input) to a running
Scanhook, which compares it with the baseline and posts the commit status. A later report of the same scanner replaces it,
unless it is of another category: several jobs of CI may bring a part each, which stand side by side. SARIF names its category
(automationDetails.id up to its last slash), others get one with --category.

A scanner that looked at some files only says nothing of the others. Name what it looked at with --paths, once for each glob, and
name both paths of renamed files (git diff --name-only --no-renames); or say --partial where that is not known. What the report
does not have in other files stays as it was, and does not count as fixed.

The project, the commit and the branch come from the CI variables of GitHub Actions, GitLab CI, Gitea and Forgejo
Actions; for pull and merge requests the commit is the head of the source branch, not the merge that CI made of it.
Elsewhere the commit is HEAD of the git repository here, and --project and --platform must be given. A project of which no
webhook call has come yet is known by its numeric id only: CI systems tell it, elsewhere it is --project-id. Run it in the
checkout that was scanned: the files of a report that names them by absolute paths are made relative to its root.

The server is --server, else SCANHOOK_URL, else server.public_url of the configuration where there is one. The token,
one of api.tokens with the role uploader, is best given in the environment variable SCANHOOK_API_TOKEN: command lines
can be read by others. Without it, a job of GitHub Actions with the permission id-token: write asks for its own token, and
one of GitLab CI has it in SCANHOOK_ID_TOKEN (id_tokens), where the server takes them (platforms: {NAME: {ci: {tokens: true}}}).

A server that cannot be reached, or that asks to come again later, is tried again for two minutes (--retry-for). The exit
code is 0 when the report was stored, 1 when it was refused or, with --gate, when the verdict is fail, 2 for wrong use,
and 3 when the server could not be reached in that time.`

func newUpload(opts *cli.Options) *cobra.Command { return newUploadWith(opts, os.LookupEnv) }

func newUploadWith(opts *cli.Options, env remote.Env) *cobra.Command {
	u := upload.Upload{Target: newTarget()}
	cmd := &cobra.Command{
		Use: "upload REPORT --scanner NAME", Short: "Deliver a scanner's report, usually from a CI job",
		Long: uploadHelp,
		Example: "  scanhook upload trivy.sarif --scanner trivy --gate\n" +
			"  semgrep scan --sarif | scanhook upload - --scanner semgrep \\\n" +
			"    --platform github --project acme/shop",
		Args: cli.Exactly(1), ValidArgsFunction: cli.CompleteFiles("sarif", "json", "gz"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := u.Complete(cmd.Context(), env, configuredServer(opts, env)); err != nil {
				return err
			}
			report, err := upload.OpenReport(cmd, args[0])
			if err != nil {
				return fmt.Errorf("reading the report: %w", err)
			}
			defer report.Close()
			return u.Run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), report)
		},
	}
	addUploadFlags(cmd, &u, opts)
	return cmd
}

func addUploadFlags(cmd *cobra.Command, u *upload.Upload, opts *cli.Options) {
	addTargetFlags(cmd, &u.Target, opts)
	flags := cmd.Flags()
	flags.StringVar(&u.Scanner, "scanner", "",
		"`NAME` of the scanner in the server's configuration, such as trivy (required)")
	flags.StringVar(&u.Commit.ProjectID, "project-id", "",
		"the platform's numeric `ID` of the project; needed before its first webhook call, refused where a call said another (default: by the CI system)")
	flags.StringVar(&u.Commit.Branch, "branch", "", "`NAME` of the branch")
	flags.StringVar(&u.Category, "category", "", "`NAME` of the part of the commit that the report is about, such as language:go")
	flags.BoolVar(&u.Partial, "partial", false, "the scanner looked at a part of the files, nobody knows which: nothing counts as fixed")
	flags.StringArrayVar(&u.Paths, "paths", nil, "`GLOB` of the files that the scanner looked at, such as 'services/api/**'; may be repeated")
	flags.BoolVar(&u.Gate, "gate", false, "exit with 1 when the verdict is fail, or the scan failed")
	flags.BoolVar(&u.JSON, "json", false, "print one JSON document")
	flags.DurationVar(&u.Wait, "wait", 0, "how much `TIME` to wait for the verdict, such as 30m; 0: what is known by then is enough")
	_ = cmd.RegisterFlagCompletionFunc("scanner", completeScanners(opts))
	for _, name := range []string{"project-id", "branch", "category", "paths", "wait"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}

func completeScanners(opts *cli.Options) cobra.CompletionFunc {
	return opts.CompleteNames(func(cfg *config.Config) []string {
		var uploads []string
		for name, scanner := range cfg.Scanners {
			if scanner.Upload { // reports of the others are refused
				uploads = append(uploads, name)
			}
		}
		return slices.Sorted(slices.Values(uploads))
	})
}
