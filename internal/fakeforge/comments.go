package fakeforge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Comment is one in the conversation of a request.
type Comment struct {
	ID      int64
	Project string // in lower case
	Request int64
	Author  string // login
	Body    string
}

// conversations are the comments of all requests, in order of arrival.
type conversations struct {
	commentMu sync.Mutex
	comments  []Comment
	locked    map[string]bool // conversations, by the key of their request
}

// Comments lists those of a request, the oldest first.
func (c *conversations) Comments(project string, request int64) []Comment {
	c.commentMu.Lock()
	defer c.commentMu.Unlock()
	var list []Comment
	for _, comment := range c.comments {
		if comment.Project == strings.ToLower(project) && comment.Request == request {
			list = append(list, comment)
		}
	}
	return list
}

// EditComment lets somebody change a comment, or delete it where body is empty. It tells whether there is one.
func (c *conversations) EditComment(id int64, body string) bool {
	c.commentMu.Lock()
	defer c.commentMu.Unlock()
	at := slices.IndexFunc(c.comments, func(comment Comment) bool { return comment.ID == id })
	switch {
	case at < 0:
		return false
	case body == "":
		c.comments = slices.Delete(c.comments, at, at+1)
	default:
		c.comments[at].Body = body
	}
	return true
}

// LockConversation keeps the token from writing to a request from now on, or ends that.
func (c *conversations) LockConversation(project string, request int64, locked bool) {
	c.commentMu.Lock()
	defer c.commentMu.Unlock()
	if c.locked == nil {
		c.locked = map[string]bool{}
	}
	c.locked[requestKey(project, request)] = locked
}

func (c *conversations) isLocked(project string, request int64) bool {
	c.commentMu.Lock()
	defer c.commentMu.Unlock()
	return c.locked[requestKey(project, request)]
}

// AddComment lets an account comment a request.
func (s *Server) AddComment(project string, request int64, author, body string) Comment {
	comment := Comment{ID: s.NextID(), Project: strings.ToLower(project), Request: request, Author: author, Body: body}
	s.commentMu.Lock()
	defer s.commentMu.Unlock()
	s.comments = append(s.comments, comment)
	return comment
}

// CommentAPI is how a forge answers about the comments of its requests.
type CommentAPI struct {
	Describe func(Comment) map[string]any
	NotFound Answer
	Locked   Answer
	Refuses  func(*http.Request) *Answer // whom the call's token lets write no comment; nil: nobody
	Invalid  func(problem string) Answer
	MaxBody  int  // in bytes
	Newest   bool // lists begin with the newest
	Pages    func(r *http.Request, page, pages int) http.Header
}

// commentsPerPage is what the forges list by default, and most of them at most.
const (
	commentsPerPage = 30
	maxComments     = 100
)

// ListComments lists the comments of a request, a page at a time.
func (s *Server) ListComments(api CommentAPI, r *http.Request, spec RequestSpec) Answer {
	list := s.Comments(spec.Project, spec.Number)
	if api.Newest {
		slices.Reverse(list)
	}
	size, page := atoi(r.FormValue("per_page"), commentsPerPage), atoi(r.FormValue("page"), 1)
	if size > maxComments {
		return api.Invalid(fmt.Sprintf("per_page does not have a valid value: at most %d", maxComments))
	}
	pages := (len(list) + size - 1) / size
	described := []any{}
	for _, comment := range list[min(len(list), (page-1)*size):min(len(list), page*size)] {
		described = append(described, api.Describe(comment))
	}
	answer := OK(described)
	if api.Pages != nil {
		answer.Header = api.Pages(r, page, pages)
	}
	return answer
}

func atoi(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// PostComment adds a comment to a request.
func (s *Server) PostComment(api CommentAPI, r *http.Request, spec RequestSpec) Answer {
	body, refusal := s.commentIn(api, r, spec.Project, spec.Number)
	if refusal != nil {
		return *refusal
	}
	return Answer{Status: http.StatusCreated, Body: api.Describe(s.AddComment(spec.Project, spec.Number, Bot.Login, body))}
}

// OneComment reads or changes the comment with a number, of a project and perhaps of one request.
func (s *Server) OneComment(api CommentAPI, r *http.Request, project string, request int64, id string) Answer {
	for _, comment := range s.allComments() {
		if strconv.FormatInt(comment.ID, 10) != id || comment.Project != strings.ToLower(project) || request != 0 && comment.Request != request {
			continue
		}
		if r.Method == http.MethodGet {
			return OK(api.Describe(comment))
		}
		body, refusal := s.commentIn(api, r, project, comment.Request)
		if refusal != nil {
			return *refusal
		}
		s.EditComment(comment.ID, body)
		comment.Body = body
		return OK(api.Describe(comment))
	}
	return api.NotFound
}

func (c *conversations) allComments() []Comment {
	c.commentMu.Lock()
	defer c.commentMu.Unlock()
	return slices.Clone(c.comments)
}

func (s *Server) commentIn(api CommentAPI, r *http.Request, project string, request int64) (body string, refusal *Answer) {
	var call struct {
		Body string `json:"body"`
	}
	if api.Refuses != nil {
		if refusal = api.Refuses(r); refusal != nil {
			return "", refusal
		}
	}
	answer := api.NotFound
	switch err := json.NewDecoder(r.Body).Decode(&call); {
	case err != nil || strings.TrimSpace(call.Body) == "":
		answer = api.Invalid("body is missing")
	case len(call.Body) > api.MaxBody:
		answer = api.Invalid(fmt.Sprintf("body is too long (maximum is %d characters)", api.MaxBody))
	case s.isLocked(project, request):
		answer = api.Locked
	default:
		return call.Body, nil
	}
	return "", &answer
}
