package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
)

// uploadTimeout bounds a whole upload; the server gives the body five minutes.
const uploadTimeout = 6 * time.Minute

// lookup answers for environment variables, as os.LookupEnv does.
type lookup func(name string) (value string, set bool)

func (l lookup) get(name string) string {
	value, _ := l(name)
	return strings.TrimSpace(value)
}

// uploading is one run of scanhook upload.
type uploading struct {
	commit  commitRef
	scanner string
	scan    string // reference of the scan; empty: the scan of the commit
	server  string
	token   string
	gate    bool
}

const uploadHelp = `Delivers a scanner's report (SARIF 2.1.0 or JSON findings, - for standard input) to a running
Scanhook, which compares it with the baseline and posts the commit status. The same scanner again replaces its report.

The project, the commit and the branch come from the CI variables of GitHub Actions, GitLab CI, Gitea and Forgejo
Actions; for pull and merge requests the commit is the head of the source branch, not the merge that CI made of it.
Elsewhere the commit is HEAD of the git repository here, and --project and --platform must be given.

The server is --server, else SCANHOOK_URL, else server.public_url of the configuration where there is one. The token,
one of api.tokens with the role scanner, is best given in the environment variable SCANHOOK_API_TOKEN: command lines
can be read by others.`

func newUpload(opts *options) *cobra.Command { return newUploadWith(opts, os.LookupEnv) }

func newUploadWith(opts *options, env lookup) *cobra.Command {
	var run uploading
	cmd := &cobra.Command{
		Use: "upload REPORT --scanner NAME", Short: "Deliver a scanner's report, usually from a CI job",
		Long: uploadHelp,
		Example: "  scanhook upload trivy.sarif --scanner trivy --gate\n" +
			"  semgrep scan --sarif | scanhook upload - --scanner semgrep --platform github --project acme/shop",
		Args: exactly(1), ValidArgsFunction: completeFiles("sarif", "json", "gz"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := run.complete(cmd.Context(), opts, env); err != nil {
				return err
			}
			report, err := openInput(cmd, args[0])
			if err != nil {
				return fmt.Errorf("reading the report: %w", err)
			}
			defer func() { _ = report.Close() }()
			return run.upload(cmd.Context(), cmd.OutOrStdout(), report)
		},
	}
	run.addFlags(cmd, opts)
	return cmd
}

func (u *uploading) addFlags(cmd *cobra.Command, opts *options) {
	flags := cmd.Flags()
	flags.StringVar(&u.scanner, "scanner", "",
		"`NAME` of the scanner in the server's configuration, such as trivy (required)")
	flags.StringVar(&u.commit.sha, "commit", "", "full `SHA` of the commit that was scanned")
	flags.StringVar(&u.commit.platform, "platform", "",
		"the platform's `KEY` in the server's configuration (default: github or gitlab, by the CI system)")
	flags.StringVar(&u.commit.project, "project", "", "full `PATH` of the project, such as acme/shop")
	flags.StringVar(&u.commit.branch, "branch", "", "`NAME` of the branch")
	flags.StringVar(&u.scan, "scan", "",
		"`REF` of the scan to deliver to, or the link to its page, instead of the commit's")
	flags.StringVar(&u.server, "server", "", "`URL` of Scanhook (also SCANHOOK_URL)")
	flags.StringVar(&u.token, "token", "", "API `TOKEN` (better SCANHOOK_API_TOKEN)")
	flags.BoolVar(&u.gate, "gate", false, "exit with 1 when the verdict is fail, or the scan failed")
	_ = cmd.RegisterFlagCompletionFunc("scanner", completeScanners(opts))
	_ = cmd.RegisterFlagCompletionFunc("platform", completePlatforms(opts))
	for _, name := range []string{"commit", "project", "branch", "scan", "server", "token"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}

func wrongUpload(format string, args ...any) error {
	return &usageError{"scanhook upload", fmt.Errorf(format, args...)}
}

// complete finds what the flags do not say.
func (u *uploading) complete(ctx context.Context, opts *options, env lookup) error {
	if u.scanner == "" || strings.Contains(u.scanner, "/") {
		return wrongUpload("--scanner is missing or a path: give the scanner's name in the server's configuration, " +
			"such as trivy")
	}
	if u.token = cmp.Or(strings.TrimSpace(u.token), env.get("SCANHOOK_API_TOKEN")); u.token == "" {
		return wrongUpload("no token: set SCANHOOK_API_TOKEN to one of api.tokens with the role scanner")
	}
	var err error
	if u.server, err = u.findServer(opts, env); err != nil {
		return err
	}
	if u.scan == "" {
		return u.commit.complete(ctx, env)
	}
	return nil
}

// findServer looks into the configuration last: in CI jobs there is none.
func (u *uploading) findServer(opts *options, env lookup) (string, error) {
	if server := cmp.Or(u.server, env.get("SCANHOOK_URL")); server != "" {
		return checkServer(server)
	}
	cfg, err := config.Load(opts.config, env)
	if errors.Is(err, fs.ErrNotExist) {
		return "", wrongUpload("no server: give Scanhook's address with --server or in SCANHOOK_URL")
	}
	if err != nil {
		return "", err
	}
	return cfg.Server.PublicURL, nil
}

func (u *uploading) upload(ctx context.Context, out io.Writer, report io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	answer, err := u.put(ctx, report)
	if err != nil {
		return fmt.Errorf("uploading the report: %w", err)
	}
	fmt.Fprintln(out, answer.describe(u.scanner))
	if u.gate {
		return answer.judge()
	}
	return nil
}
