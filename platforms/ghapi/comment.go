package ghapi

import (
	"context"
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/conversation"
)

const commentsPerPage = 100

// KeepNote keeps a comment in the conversation of a pull request, which the API has as an issue.
func (s *Server) KeepNote(ctx context.Context, project core.Project, request int64, note platforms.Note) (platforms.KeptNote, error) {
	kept, err := s.keepNote(ctx, project, request, note)
	if err != nil {
		s.Forget(project.Name, err)
		return kept, fmt.Errorf("commenting request %d of %s: %w", request, project.Name, err)
	}
	return kept, nil
}

func (s *Server) keepNote(ctx context.Context, project core.Project, request int64, note platforms.Note) (kept platforms.KeptNote, err error) {
	client, owner, name, err := s.Open(ctx, project.Name)
	if err != nil {
		return kept, err
	}
	if project.Ref == "" {
		ctx = platforms.WithoutRedirects(ctx)
	}
	return conversation.Keep(ctx, thread{s, client, fmt.Sprintf("repos/%s/%s/issues/", owner, name), request}.api(), note)
}

// thread is the conversation of a pull request.
type thread struct {
	*Server
	client  *gogithub.Client
	path    string // of the project's issues
	request int64
}

// comment is the part of the API's object that is needed.
type comment struct {
	ID   platforms.Number `json:"id"`
	Body platforms.Text   `json:"body"`
}

func (t thread) api() conversation.API {
	return conversation.API{
		Get: func(ctx context.Context, id int64) (conversation.Comment, error) {
			found, err := t.one(ctx, http.MethodGet, fmt.Sprintf("%scomments/%d", t.path, id), nil)
			if platforms.CodeOf(err) == http.StatusNotFound {
				err = platforms.ErrGone
			}
			return found, err
		},
		List: t.list,
		Create: func(ctx context.Context, text string) (conversation.Comment, error) {
			return t.one(ctx, http.MethodPost, fmt.Sprintf("%s%d/comments", t.path, t.request), text)
		},
		Edit: func(ctx context.Context, id int64, text string) error {
			_, err := t.one(ctx, http.MethodPatch, fmt.Sprintf("%scomments/%d", t.path, id), text)
			return err
		},
	}
}

// one makes a call that answers with one comment.
func (t thread) one(ctx context.Context, method, path string, text any) (conversation.Comment, error) {
	var body any
	if text != nil {
		body = map[string]any{"body": text}
	}
	var found comment
	answer, err := t.Call(ctx, t.client, method, path, body, &found)
	return conversation.Comment{ID: found.ID.Int(), Text: string(found.Body)}, t.commentError(answer, err)
}

func (t thread) list(ctx context.Context, page int) (list []conversation.Comment, next int, err error) {
	var found []comment
	answer, err := t.Call(ctx, t.client, http.MethodGet, fmt.Sprintf("%s%d/comments?per_page=%d&page=%d", t.path, t.request, commentsPerPage, page), nil, &found)
	if err = t.commentError(answer, err); err == nil && found == nil {
		err = platforms.ErrUnreadable
	}
	if err != nil {
		return nil, 0, err
	}
	for _, one := range found {
		list = append(list, conversation.Comment{ID: one.ID.Int(), Text: string(one.Body)})
	}
	return list, answer.NextPage, nil
}

// commentError makes a refusal of a permission one of comments alone: commit statuses need another permission. What an answer says counts,
// so one that cannot be read is an error.
func (s *Server) commentError(answer *gogithub.Response, err error) error {
	classified := platforms.Readable(s.Classify(answer, err), err)
	if !platforms.Forbidden(classified) {
		return classified
	}
	response := s.responseOf(answer, err)
	return &platforms.HTTPError{Code: platforms.CodeOf(classified), Err: fmt.Errorf("%w: %s: %s", platforms.ErrRefused, s.describe(response),
		s.advice(response, s.Traits.NoteAdvice))}
}
