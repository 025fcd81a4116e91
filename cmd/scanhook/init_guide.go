package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/internal/config"
)

// guide tells a new administrator what to enter where.
type guide struct {
	initiation
	text      []byte // of the file
	publicURL string
}

func newGuide(i initiation, cfg *config.Config, text []byte) guide {
	return guide{initiation: i, text: text, publicURL: cfg.Server.PublicURL}
}

const (
	guideStart = `Wrote %[1]s with fresh secrets. Only you can read it; keep it out of git.

Let the platforms call Scanhook; skip the one that you do not use.
`
	guideGitHub = `
GitHub: Settings > Webhooks > Add webhook, of a repository or an organization
  Payload URL   %[1]s/webhooks/github
  Content type  application/json
  Secret        %[2]s
  Events        Let me select individual events: Pushes, Workflow runs
  Token         In the environment variable GITHUB_TOKEN: a fine-grained token with the repository permissions
                Commit statuses: write, Contents: read, Actions: read. Without it no commit status is posted.
`
	guideGitLab = `
GitLab: Settings > Webhooks > Add new webhook, of a project or a group
  URL           %[1]s/webhooks/gitlab
  Secret token  %[2]s
  Trigger       Push events, Pipeline events
  Token         In the environment variable GITLAB_TOKEN: a project, group or personal access token with the
                scope api and the role Developer. Without it no commit status is posted.
`
	guideAPI = `
CI jobs that upload reports (scanhook upload)
  SCANHOOK_URL        %[1]s
  SCANHOOK_API_TOKEN  %[2]s
`
	guideEnd = `
Then, with the tokens in the environment:
  scanhook check%[1]s   tells what is missing
  scanhook serve%[1]s   receives webhooks, scans, and posts commit statuses
`
)

func (g guide) print(out io.Writer) {
	fmt.Fprintf(out, guideStart, g.path)
	if isLocal(g.publicURL) {
		fmt.Fprintf(out, "They cannot reach %s: put the address that they reach into server.public_url (%s), also below.\n",
			g.publicURL, g.lineOf(g.publicURL))
	}
	fmt.Fprintf(out, guideGitHub, g.publicURL, g.secret("platforms.github.webhook_secrets", g.values.GitHubSecret))
	fmt.Fprintf(out, guideGitLab, g.publicURL, g.secret("platforms.gitlab.webhook_secrets", g.values.GitLabSecret))
	fmt.Fprintf(out, guideAPI, g.publicURL, g.secret("api.tokens", g.values.APIToken))
	flag := ""
	if g.path != "config.yaml" {
		flag = " --config " + g.path
	}
	fmt.Fprintf(out, guideEnd, flag)
}

// secret says where a secret stands; terminals are recorded and shared more easily than files.
func (g guide) secret(key, value string) string {
	if g.showSecrets {
		return value
	}
	return fmt.Sprintf("the one at %s (%s)", key, g.lineOf(value))
}

// lineOf is the place of a value in the file.
func (g guide) lineOf(value string) string {
	before, _, _ := bytes.Cut(g.text, []byte(`"`+strings.TrimRight(value, "/")))
	return fmt.Sprintf("%s line %d", g.path, 1+bytes.Count(before, []byte("\n")))
}

// isLocal tells whether an address leads nowhere but to the machine that uses it.
func isLocal(address string) bool {
	parsed, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := parsed.Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
