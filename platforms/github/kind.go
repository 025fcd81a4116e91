package github

import (
	"net/url"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// Kind describes github.com, data residency below ghe.com and GitHub Enterprise Server.
func Kind() platforms.Kind {
	return platforms.Kind{
		Name: "github", Title: "GitHub", URL: "https://" + host,
		Events: map[string]string{"push": "push", "pull_request": "pull_request", "workflow_run": "workflow_run", "ping": "ping"},
		Sign:   sign,
		Links:  links,
		CI: func(getenv func(string) string) (platforms.CICommit, bool) {
			commit, found := ghapi.WorkflowCommit(getenv)
			commit.Platform = "github"
			return commit, found
		},
		Jobs: Jobs(),
		Token: platforms.TokenAdvice{
			Variable: "GITHUB_TOKEN",
			Needs:    `the repository permissions "Commit statuses: write", "Contents: read" and "Actions: read"`,
			ForHooks: `the permission "Webhooks: read and write" (classic tokens: admin:repo_hook), and for --groups "Organization webhooks" (admin:org_hook)`,
		},
		Hook: platforms.HookAdvice{
			Note: "with the secret below and content type application/json",
			Form: `Settings > Webhooks > Add webhook, of a repository or an organization
  Payload URL   {url}
  Content type  application/json
  Secret        {secret}
  Events        Let me select individual events: Pushes, Pull requests, Merge groups, Workflow runs, Statuses, Repositories
`,
		},
		HasApps:      true,
		PostInterval: postInterval,
		New:          func(config platforms.Config) (platforms.Platform, error) { return New(config) },
	}
}

// postInterval is what github.com asks of integrations between two writes.
func postInterval(web *url.URL) time.Duration {
	if web.Hostname() == host {
		return time.Second
	}
	return 0
}
