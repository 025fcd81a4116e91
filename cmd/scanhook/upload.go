package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
)

const (
	uploadTimeout = 6 * time.Minute  // for one try; the server gives the body five minutes
	askTimeout    = 20 * time.Second // for what is known of the scan by then
)

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
	asJSON  bool
	retry   time.Duration // after which a server that cannot be reached is given up
}

const uploadHelp = `Delivers a scanner's report (SARIF 2.1.0 or JSON findings, - for standard input) to a running
Scanhook, which compares it with the baseline and posts the commit status. The same scanner again replaces its report.

The project, the commit and the branch come from the CI variables of GitHub Actions, GitLab CI, Gitea and Forgejo
Actions; for pull and merge requests the commit is the head of the source branch, not the merge that CI made of it.
Elsewhere the commit is HEAD of the git repository here, and --project and --platform must be given.

The server is --server, else SCANHOOK_URL, else server.public_url of the configuration where there is one. The token,
one of api.tokens with the role scanner, is best given in the environment variable SCANHOOK_API_TOKEN: command lines
can be read by others.

A server that cannot be reached, or that asks to come again later, is tried again for two minutes (--retry-for). The exit
code is 0 when the report was stored, 1 when it was refused or, with --gate, when the verdict is fail, 2 for wrong use,
and 3 when the server could not be reached in that time.`

func newUpload(opts *options) *cobra.Command { return newUploadWith(opts, os.LookupEnv) }

func newUploadWith(opts *options, env lookup) *cobra.Command {
	var run uploading
	cmd := &cobra.Command{
		Use: "upload REPORT --scanner NAME", Short: "Deliver a scanner's report, usually from a CI job",
		Long: uploadHelp,
		Example: "  scanhook upload trivy.sarif --scanner trivy --gate\n" +
			"  semgrep scan --sarif | scanhook upload - --scanner semgrep \\\n" +
			"    --platform github --project acme/shop",
		Args: exactly(1), ValidArgsFunction: completeFiles("sarif", "json", "gz"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := run.complete(cmd.Context(), opts, env); err != nil {
				return err
			}
			report, err := openReport(cmd, args[0])
			if err != nil {
				return fmt.Errorf("reading the report: %w", err)
			}
			defer report.close()
			return run.upload(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), report)
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
	flags.BoolVar(&u.asJSON, "json", false, "print one JSON document")
	flags.DurationVar(&u.retry, "retry-for", 2*time.Minute, "`TIME` after which to give up a server that is away; 0 tries once")
	_ = cmd.RegisterFlagCompletionFunc("scanner", completeScanners(opts))
	_ = cmd.RegisterFlagCompletionFunc("platform", completePlatforms(opts))
	for _, name := range []string{"commit", "project", "branch", "scan", "server", "token", "retry-for"} {
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

// upload stores the report and tells what is known of the scan then, which for most is the verdict.
func (u *uploading) upload(ctx context.Context, out, errs io.Writer, report *reportSource) error {
	client := &apiClient{server: u.server, token: u.token, until: time.Now().Add(u.retry), say: errs}
	answer, err := u.put(ctx, client, report)
	if err != nil {
		return fmt.Errorf("uploading the report: %w", err)
	}
	outcome, err := u.ask(ctx, client, answer)
	if err != nil {
		fmt.Fprintln(errs, "the report was stored, but what it says cannot be shown:", err)
	}
	if u.asJSON {
		err = outcome.writeJSON(out)
	} else {
		err = outcome.write(out, u.scanner)
	}
	if err == nil && u.gate {
		return answer.judge()
	}
	return err
}

func (u *uploading) put(ctx context.Context, client *apiClient, report *reportSource) (uploadAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, u.retry+uploadTimeout)
	defer cancel()
	var answer uploadAnswer
	if err := client.put(ctx, u.path(), report.open, &answer); err != nil {
		return answer, err
	}
	if answer.Scan == "" {
		return answer, errNotScanhook
	}
	return answer, nil
}

// path is that of the report below /api/v1.
func (u *uploading) path() string {
	scanner := "/results/" + url.PathEscape(u.scanner)
	if u.scan != "" {
		return "/scans/" + url.PathEscape(path.Base(u.scan)) + scanner
	}
	query := url.Values{
		"platform": {u.commit.platform}, "project": {u.commit.project}, "commit": {u.commit.sha}, "branch": {u.commit.branch},
	}
	return scanner + "?" + query.Encode()
}

// ask finds out what people want to know of the scan. What is known without it is in the outcome in any case.
func (u *uploading) ask(ctx context.Context, client *apiClient, answer uploadAnswer) (uploadOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	scan := "/scans/" + url.PathEscape(answer.Scan)
	outcome := uploadOutcome{uploadAnswer: answer, URL: u.server + scan, NewFindings: []newFinding{}}
	var detail struct {
		Statuses []struct {
			TargetURL string `json:"target_url"`
		} `json:"statuses"`
	}
	if err := client.get(ctx, scan, &detail); err != nil {
		return outcome, err
	}
	if len(detail.Statuses) > 0 { // the server may have another address for people
		outcome.URL = cmp.Or(detail.Statuses[0].TargetURL, outcome.URL)
	}
	var list findingList
	if err := client.get(ctx, fmt.Sprintf("%s/findings?baseline_state=new&limit=%d", scan, mostAsked), &list); err != nil {
		return outcome, err
	}
	outcome.NewFindings, outcome.More = list.undismissed(), list.Next != ""
	return outcome, nil
}
