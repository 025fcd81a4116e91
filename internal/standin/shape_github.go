package standin

import (
	"net/url"
	"strings"
	"time"
)

// userLinks and the two lists after it are GitHub's names for addresses, each with what follows the thing's own address
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

// addLinks adds a list of addresses below base to an object.
func addLinks(object map[string]any, base, links string) {
	words := strings.Fields(links)
	for i := 0; i+1 < len(words); i += 2 {
		object[words[i]] = base + words[i+1]
	}
}

// githubUser is a user as GitHub describes one; kind is User, Organization or Bot.
func (s *Server) githubUser(login string, id int64, kind string) map[string]any {
	api := s.APIURL(s.Base()) + "/users/" + login
	user := map[string]any{
		"login": login, "id": id, "node_id": nodeID(kind, id), "type": kind, "site_admin": false, "gravatar_id": "",
		"url": api, "html_url": s.Base() + "/" + login, "avatar_url": s.Base() + "/avatars/" + login,
	}
	addLinks(user, api, userLinks)
	return user
}

// unixTime and textTime are GitHub's two ways of writing a repository's times: push events use the first.
func unixTime(t time.Time) any { return t.Unix() }
func textTime(t time.Time) any { return t.UTC().Format(time.RFC3339) }

// githubRepositoryLite is the short form, as inside a workflow run.
func (s *Server) githubRepositoryLite(r Repository) map[string]any {
	api := s.APIURL(s.Base()) + "/repos/" + r.Project
	repository := map[string]any{
		"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.name(), "full_name": r.Project, "private": false,
		"owner": s.githubUser(r.owner(), r.ID+1, "Organization"), "description": nil, "fork": false, "url": api,
		"html_url": s.Base() + "/" + r.Project,
	}
	addLinks(repository, api, repositoryLinks)
	return repository
}

// githubRepository is the long form; stamp writes the times that differ between events.
func (s *Server) githubRepository(r Repository, stamp func(time.Time) any) map[string]any {
	now := s.cfg.Now()
	repository := s.githubRepositoryLite(r)
	for name, value := range map[string]any{
		"created_at": stamp(now.AddDate(-1, 0, 0)), "pushed_at": stamp(now), "updated_at": textTime(now),
		"clone_url": s.CloneURL(r.Project), "ssh_url": s.sshURL(r), "git_url": s.CloneURL(r.Project),
		"svn_url": s.Base() + "/" + r.Project, "homepage": nil, "mirror_url": nil, "language": nil, "license": nil,
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

// sshURL has the form that both platforms print; nothing listens there.
func (s *Server) sshURL(r Repository) string {
	host := "localhost"
	if parsed, err := url.Parse(s.Base()); err == nil && parsed.Hostname() != "" {
		host = parsed.Hostname()
	}
	return "git@" + host + ":" + r.Project + ".git"
}
