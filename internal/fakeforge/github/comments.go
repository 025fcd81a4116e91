package github

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// IssueComments is the API of the comments of issues, of which every pull request is one. Gitea has the same.
type IssueComments struct {
	*fakeforge.Server
	API fakeforge.CommentAPI
}

// Register serves it below the path of a repository.
func (c IssueComments) Register(root string) {
	c.Route("GET "+root+"/issues/{a}/{b}", c.read)
	c.Route("POST "+root+"/issues/{a}/comments", c.ofRequest(c.PostComment))
	c.Route("PATCH "+root+"/issues/comments/{b}", c.one)
}

// read tells apart two paths that overlap.
func (c IssueComments) read(r *http.Request) fakeforge.Answer {
	switch {
	case r.PathValue("a") == "comments":
		return c.one(r)
	case r.PathValue("b") == "comments":
		return c.ofRequest(c.ListComments)(r)
	}
	return c.API.NotFound
}

func (c IssueComments) one(r *http.Request) fakeforge.Answer {
	repo, ok := c.RepositoryOf(r)
	if !ok {
		return c.API.NotFound
	}
	return c.OneComment(c.API, r, repo.Project, 0, r.PathValue("b"))
}

func (c IssueComments) ofRequest(answer func(fakeforge.CommentAPI, *http.Request, fakeforge.RequestSpec) fakeforge.Answer) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		spec, known := c.RequestOf(r, "a")
		if !known {
			return c.API.NotFound
		}
		return answer(c.API, r, spec)
	}
}

// maxComment is how many bytes of a comment GitHub takes.
const maxComment = 65_536

func (o objects) commentAPI() fakeforge.CommentAPI {
	return fakeforge.CommentAPI{
		Describe: func(c fakeforge.Comment) map[string]any {
			return map[string]any{
				"id": c.ID, "body": c.Body, "user": o.user(c.Author, fakeforge.Bot.ID, "User"),
				"html_url": fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", o.Base(), c.Project, c.Request, c.ID),
			}
		},
		NotFound: refuse(http.StatusNotFound, "Not Found"),
		Locked:   refuse(http.StatusForbidden, "Unable to create comment because issue is locked."),
		Invalid: func(problem string) fakeforge.Answer {
			return refuse(http.StatusUnprocessableEntity, "Validation Failed: "+problem)
		},
		Refuses: func(r *http.Request) *fakeforge.Answer {
			if !strings.HasSuffix(fakeforge.BearerToken(r, "bearer", "token"), fakeforge.Muted) {
				return nil
			}
			refusal := refuse(http.StatusForbidden, "Resource not accessible by integration")
			return &refusal
		},
		MaxBody: maxComment,
		Pages: func(r *http.Request, page, pages int) http.Header {
			header := http.Header{}
			if page < pages {
				next := r.URL.Query()
				next.Set("page", strconv.Itoa(page+1))
				header.Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, o.Base(), r.URL.Path, next.Encode()))
			}
			return header
		},
	}
}
