package github

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// Paths of the API.
const (
	apiRoot        = "/api/v3"
	repositoryRoot = apiRoot + "/repos/{owner}/{name}"
)

// objects makes the JSON objects that events and answers share.
type objects struct{ *fakeforge.Server }

// refuse is GitHub's error document.
func refuse(status int, message string) fakeforge.Answer {
	return fakeforge.Answer{Status: status, Reason: message, Body: map[string]any{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	}}
}

// addLinks adds a list of addresses below base to an object.
func addLinks(object map[string]any, base, links string) {
	words := strings.Fields(links)
	for i := 0; i+1 < len(words); i += 2 {
		object[words[i]] = base + words[i+1]
	}
}

// user is a user as GitHub describes one; kind is User, Organization or Bot.
func (o objects) user(login string, id int64, kind string) map[string]any {
	api := o.APIURL(o.Base()) + "/users/" + login
	user := map[string]any{
		"login": login, "id": id, "node_id": nodeID(kind, id), "type": kind, "site_admin": false, "gravatar_id": "",
		"url": api, "html_url": o.Base() + "/" + login, "avatar_url": o.Base() + "/avatars/" + login,
	}
	addLinks(user, api, userLinks)
	return user
}

// organizationID is the id of a repository's owner.
func organizationID(r fakeforge.Repository) int64 {
	if r.ID == 0 {
		return 0
	}
	return r.ID + 1
}

// unixTime and textTime are GitHub's two ways of writing a repository's times: push events use the first.
func unixTime(t time.Time) any { return t.Unix() }
func textTime(t time.Time) any { return t.UTC().Format(time.RFC3339) }

// repositoryLite is the short form, as inside a workflow run.
func (o objects) repositoryLite(r fakeforge.Repository) map[string]any {
	api := o.APIURL(o.Base()) + "/repos/" + r.Project
	repository := map[string]any{
		"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.Name(), "full_name": r.Project, "private": false,
		"owner": o.user(r.Owner(), organizationID(r), "Organization"), "description": nil, "fork": false, "url": api,
		"html_url": o.Base() + "/" + r.Project,
	}
	addLinks(repository, api, repositoryLinks)
	return repository
}

// repository is the long form; stamp writes the times that differ between events.
func (o objects) repository(r fakeforge.Repository, stamp func(time.Time) any) map[string]any {
	now := o.Now()
	repository := o.repositoryLite(r)
	for name, value := range map[string]any{
		"created_at": stamp(now.AddDate(-1, 0, 0)), "pushed_at": stamp(now), "updated_at": textTime(now),
		"clone_url": o.CloneURL(r.Project), "ssh_url": o.SSHURL(r), "git_url": o.CloneURL(r.Project),
		"svn_url": o.Base() + "/" + r.Project, "homepage": nil, "mirror_url": nil, "language": nil, "license": nil,
		"size": 0, "stargazers_count": 0, "watchers_count": 0, "forks_count": 0, "open_issues_count": 0,
		"forks": 0, "open_issues": 0, "watchers": 0, "has_issues": true, "has_projects": true, "has_downloads": true,
		"has_wiki": true, "has_pages": false, "archived": false, "disabled": false, "default_branch": r.DefaultBranch,
		"is_template": false, "web_commit_signoff_required": false, "topics": []string{}, "visibility": "public",
		"custom_properties": map[string]any{},
	} {
		repository[name] = value
	}
	return repository
}

// nodeID has the form of GitHub's global ids.
func nodeID(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + strconv.FormatInt(id, 10)))
}

// userLinks and the two lists after it are GitHub's names for addresses, each with what follows the object's own address
// in the API. Receivers need few of them; they are all here because GitHub's published schema demands them.
const userLinks = `
followers_url /followers  following_url /following{/other_user}  gists_url /gists{/gist_id}
starred_url /starred{/owner}{/repo}  subscriptions_url /subscriptions  organizations_url /orgs  repos_url /repos
events_url /events{/privacy}  received_events_url /received_events`

const repositoryLinks = `
forks_url /forks  keys_url /keys{/key_id}  collaborators_url /collaborators{/collaborator}  teams_url /teams
hooks_url /hooks  issue_events_url /issues/events{/number}  events_url /events  assignees_url /assignees{/user}
branches_url /branches{/branch}  tags_url /tags  blobs_url /git/blobs{/sha}  git_tags_url /git/tags{/sha}
git_refs_url /git/refs{/sha}  trees_url /git/trees{/sha}  statuses_url /statuses/{sha}  languages_url /languages
stargazers_url /stargazers  contributors_url /contributors  subscribers_url /subscribers
subscription_url /subscription  commits_url /commits{/sha}  git_commits_url /git/commits{/sha}
comments_url /comments{/number}  issue_comment_url /issues/comments{/number}  contents_url /contents/{+path}
compare_url /compare/{base}...{head}  merges_url /merges  downloads_url /downloads  issues_url /issues{/number}
pulls_url /pulls{/number}  milestones_url /milestones{/number}  labels_url /labels{/name}  releases_url /releases{/id}
notifications_url /notifications{?since,all,participating}  archive_url /{archive_format}{/ref}
deployments_url /deployments`

const runLinks = `
jobs_url /jobs  logs_url /logs  artifacts_url /artifacts  cancel_url /cancel  rerun_url /rerun`
