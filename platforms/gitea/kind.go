package gitea

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// apiPath ends the address of every API of Gitea and Forgejo, and of no GitHub's.
const apiPath = "/api/v1"

// links are the addresses of Gitea's pages.
var links = platforms.Links{
	Commit: "/commit/{sha}", Branch: "/src/branch/{branch}", File: "/src/commit/{sha}/{path}", Line: "#L{line}",
	Lines: "#L{line}-L{end}", Request: "/pulls/{number}", Pipeline: "/actions/runs/{id}",
}

// Kind describes Gitea and Forgejo. A platform of GitHub's type with the address of their API is of this kind, too.
func Kind() platforms.Kind {
	return platforms.Kind{
		Name: "gitea", Title: "Gitea", Aliases: []string{"forgejo"},
		Events: map[string]string{"push": "push", "workflow_run": "workflow_run"},
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
			ForHooks: "an account that administrates the projects",
		},
		Hook: platforms.HookAdvice{
			Note: "with the secret below and content type application/json",
			Form: `Settings > Webhooks > Add webhook > Gitea, of a repository or an organization
  Target URL    {url}
  Content type  application/json
  Secret        {secret}
  Trigger on    Custom events: Push, Workflow run, Status
`,
		},
		Imitates: "github",
		Claims:   func(api *url.URL) bool { return strings.HasSuffix(strings.TrimRight(api.Path, "/"), apiPath) },
		New:      func(config platforms.Config) (platforms.Platform, error) { return New(config) },
	}
}

// sign makes the headers of a call as Gitea does.
func sign(call platforms.Call) (http.Header, error) {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(eventHeader, call.Event)
	header.Set(deliveryHeader, rand.Text())
	header.Set(signatureHeader, ghapi.Sign(call.Secret, call.Body))
	return header, nil
}
