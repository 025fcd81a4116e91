package gitlab

import (
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// Paths of the API.
const (
	apiRoot     = "/api/v4"
	projectRoot = apiRoot + "/projects/{id}"
)

// objects makes the JSON objects that events and answers share.
type objects struct{ *fakeforge.Server }

// user is the account of the API token.
func (o objects) user() map[string]any {
	return map[string]any{
		"id": fakeforge.Bot.ID, "username": fakeforge.Bot.Login, "name": fakeforge.Bot.Name, "state": "active",
		"avatar_url": nil, "web_url": o.Base() + "/" + fakeforge.Bot.Login,
	}
}

// project is the project block of every event.
func (o objects) project(r fakeforge.Repository) map[string]any {
	web, clone, ssh := o.Base()+"/"+r.Project, o.CloneURL(r.Project), o.SSHURL(r)
	return map[string]any{
		"id": r.ID, "name": r.Name(), "description": "", "web_url": web, "avatar_url": nil,
		"git_ssh_url": ssh, "git_http_url": clone, "namespace": displayName(r.Owner()), "visibility_level": 0,
		"path_with_namespace": r.Project, "default_branch": r.DefaultBranch, "ci_config_path": "",
		"homepage": web, "url": ssh, "ssh_url": ssh, "http_url": clone,
	}
}

// displayName is how GitLab prints a namespace: the name of its last group, not a path.
func displayName(namespace string) string {
	name := namespace[strings.LastIndexByte(namespace, '/')+1:]
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// timestamp is the format of GitLab's pipeline events, null for the zero time.
func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return fakeforge.Nullable(t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// pipelineURL is the address of a pipeline's page.
func (o objects) pipelineURL(repo fakeforge.Repository, id int64) string {
	return o.Base() + "/" + repo.Project + "/-/pipelines/" + strconv.FormatInt(id, 10)
}

// mergeRequestEvent is the source of the pipelines of merge requests.
const mergeRequestEvent = "merge_request_event"
