package gitea

import (
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// Kind describes Gitea and Forgejo. A platform of GitHub's type with the address of their API is of this kind, too.
func Kind() platforms.Kind {
	return platforms.Kind{
		Name: "gitea", Title: "Gitea", Aliases: []string{"forgejo"},
		Events: map[string]string{"push": "push", "pull_request": "pull_request", "workflow_run": "workflow_run"},
		Sign:   sign,
		Links:  links,
		CI: func(getenv func(string) string) (platforms.CICommit, bool) {
			if getenv("GITEA_ACTIONS") != "true" && getenv("FORGEJO_ACTIONS") != "true" {
				return platforms.CICommit{}, false
			}
			return ghapi.WorkflowCommit(getenv)
		},
		Token: platforms.TokenAdvice{
			Variable: "GITEA_TOKEN",
			Needs:    "the scope write:repository, of an account that may write to the projects",
			ForHooks: "an account that administrates the projects, for --all the scope read:user too, for --groups write:organization and an account that owns the organisations",
		},
		Hook: platforms.HookAdvice{
			Note: "with the secret below and content type application/json",
			Form: `Settings > Webhooks > Add webhook > Gitea, of a repository or an organization
  Target URL    {url}
  Content type  application/json
  Secret        {secret}
  Trigger on    Custom events: Push, Create, Delete, Repository, Pull request, Pull request synchronized, Workflow run, Status
`,
		},
		Imitates: "github",
		Claims:   func(api *url.URL) bool { return strings.HasSuffix(strings.TrimRight(api.Path, "/"), apiPath) },
		New:      func(config platforms.Config) (platforms.Platform, error) { return New(config) },
	}
}
