package gitea

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// Paths of the API.
const (
	apiRoot        = "/api/v1"
	repositoryRoot = apiRoot + "/repos/{owner}/{name}"
)

// objects makes the JSON objects that events and answers share, and has the API that reads them.
type objects struct{ *fakeforge.Server }

// register adds routes and describes this part of the forge.
func (o objects) register(f *fakeforge.Forge) {
	f.Token = func(r *http.Request) string { return fakeforge.BearerToken(r, "bearer", "token") }
	f.Unauthorized = fakeforge.Refuse(http.StatusUnauthorized, "invalid username, password or token")
	f.Forbidden = "token does not have at least one of required scope(s)"
	f.RateLimits = func(after time.Duration) []fakeforge.Fault {
		return []fakeforge.Fault{fakeforge.RateLimited(after)} // of the proxy in front: Gitea itself has no limit
	}
	o.Route("GET "+apiRoot+"/user", o.showUser)
	o.Route("GET "+apiRoot+"/user/repos", func(r *http.Request) fakeforge.Answer { return fakeforge.OK(o.DescribeRepositories(r)) })
	o.Route("GET "+apiRoot+"/repos/search", o.search)
	o.Route("GET "+apiRoot+"/repos/issues/search", func(*http.Request) fakeforge.Answer { return fakeforge.OK([]any{}) })
	o.Route("GET "+repositoryRoot, o.showRepository)
}

func (o objects) showUser(*http.Request) fakeforge.Answer { return fakeforge.OK(o.user(fakeforge.Bot)) }

// search lists all repositories, on one page.
func (o objects) search(*http.Request) fakeforge.Answer {
	list := []any{}
	for _, path := range o.Projects() {
		repo, _ := o.Repository(path)
		list = append(list, o.repository(repo))
	}
	return fakeforge.OK(map[string]any{"ok": true, "data": list})
}

func (o objects) showRepository(r *http.Request) fakeforge.Answer {
	repo, ok := o.RepositoryOf(r)
	if !ok {
		return notFound()
	}
	return fakeforge.OK(o.repository(repo))
}

// notFound is the answer about a repository or webhook that does not exist.
func notFound() fakeforge.Answer {
	return fakeforge.Refuse(http.StatusNotFound, "The target couldn't be found.")
}

func (o objects) user(a fakeforge.Account) map[string]any {
	return map[string]any{
		"id": a.ID, "login": a.Login, "username": a.Login, "full_name": a.Name, "email": a.Email,
		"avatar_url": o.Base() + "/avatars/" + a.Login, "html_url": o.Base() + "/" + a.Login,
	}
}

func (o objects) repository(r fakeforge.Repository) map[string]any {
	owner := fakeforge.Account{ID: r.ID + 1, Login: r.Owner()}
	return map[string]any{
		"id": r.ID, "owner": o.user(owner), "name": r.Name(), "full_name": r.Project, "description": "", "empty": false,
		"private": false, "fork": false, "html_url": o.Base() + "/" + r.Project, "clone_url": o.CloneURL(r.Project),
		"ssh_url": o.SSHURL(r), "default_branch": r.DefaultBranch, "archived": false,
		"url": o.APIURL(o.Base()) + "/repos/" + r.Project, "updated_at": timestamp(o.Now()),
	}
}

// commit is a commit inside an event.
func (o objects) commit(r fakeforge.Repository, c gitrepo.Commit) map[string]any {
	return map[string]any{
		"id": c.ID, "message": c.Message, "url": o.Base() + "/" + r.Project + "/commit/" + c.ID,
		"author": person(c.Author), "committer": person(c.Committer), "verification": nil,
		"timestamp": timestamp(c.CommittedAt), "added": c.Added, "removed": c.Removed, "modified": c.Modified,
	}
}

// person is an author, whose account is known by the part of the address before the host.
func person(p gitrepo.Person) map[string]any {
	login, _, _ := strings.Cut(p.Email, "@")
	return map[string]any{"name": p.Name, "email": p.Email, "username": login}
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// commentAPI lists all comments on one page.
func (o objects) commentAPI() fakeforge.CommentAPI {
	return fakeforge.CommentAPI{
		Describe: func(c fakeforge.Comment) map[string]any {
			return map[string]any{
				"id": c.ID, "body": c.Body, "user": o.user(fakeforge.Account{ID: fakeforge.Bot.ID, Login: c.Author}),
				"html_url": fmt.Sprintf("%s/%s/pulls/%d#issuecomment-%d", o.Base(), c.Project, c.Request, c.ID),
			}
		},
		NotFound: notFound(),
		Locked:   fakeforge.Refuse(http.StatusForbidden, "issue is locked"),
		Invalid: func(problem string) fakeforge.Answer {
			return fakeforge.Refuse(http.StatusUnprocessableEntity, "[Body]: "+problem)
		},
		MaxBody: 1 << 20,
	}
}
