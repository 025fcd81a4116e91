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
`
	guideFirst = `
The shortest way to a first commit status, here for github/acme/shop (or gitlab/acme/shop):
  export GITHUB_TOKEN=...   fine-grained, with the repository permissions Commit statuses: write, Contents: read,
                            Actions: read and, for hooks sync only, Webhooks: write
  (export GITLAB_TOKEN=...  of a project, group or person, with the scope api and the role Maintainer)
  scanhook hooks sync%[1]s github/acme/shop
  scanhook serve%[1]s
Push, and the commit gets the status scanhook. Where it does not, scanhook check%[1]s tells what is missing.

Remove the platform that you do not use from %[2]s. What hooks sync does, by hand:
`
	guideGitHub = `
GitHub: Settings > Webhooks > Add webhook, of a repository or an organization
  Payload URL   %[1]s/webhooks/github
  Content type  application/json
  Secret        %[2]s
  Events        Let me select individual events: Pushes, Workflow runs, Statuses
`
	guideGitLab = `
GitLab: Settings > Webhooks > Add new webhook, of a project or a group
  URL           %[1]s/webhooks/gitlab
  Secret token  %[2]s
  Trigger       Push events, Tag push events, Pipeline events
`
	guideAPI = `
For CI jobs that upload reports (scanhook upload), and to log in to the pages
  SCANHOOK_URL        %[1]s
  SCANHOOK_API_TOKEN  %[2]s
`
)

func (g guide) print(out io.Writer) {
	fmt.Fprintf(out, guideStart, g.path)
	if isLocal(g.publicURL) {
		fmt.Fprintf(out, "The platforms cannot reach %s: put the address that they reach into server.public_url (%s).\n",
			g.publicURL, g.lineOf(g.publicURL))
	}
	flag := ""
	if g.path != "config.yaml" {
		flag = " --config " + g.path
	}
	fmt.Fprintf(out, guideFirst, flag, g.path)
	fmt.Fprintf(out, guideGitHub, g.publicURL, g.secret("platforms.github.webhook_secrets", g.values.GitHubSecret))
	fmt.Fprintf(out, guideGitLab, g.publicURL, g.secret("platforms.gitlab.webhook_secrets", g.values.GitLabSecret))
	fmt.Fprintf(out, guideAPI, g.publicURL, g.secret("api.tokens", g.values.APIToken))
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
