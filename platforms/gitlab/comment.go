package gitlab

import (
	"context"
	"fmt"
	"net/http"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/conversation"
)

const notesPerPage = 100

// KeepNote keeps a note on a merge request.
func (p *Platform) KeepNote(ctx context.Context, project core.Project, request int64, note platforms.Note) (kept platforms.KeptNote, err error) {
	if err = p.checkAccess(project); err == nil {
		if project.Ref == "" {
			ctx = platforms.WithoutRedirects(ctx)
		}
		kept, err = conversation.Keep(ctx, thread{p, numberOrPath(project), int(request)}.conversing(), note)
	}
	if err != nil {
		return kept, fmt.Errorf("commenting merge request %d of %s: %w", request, project.Name, err)
	}
	return kept, nil
}

// thread is the conversation of a merge request.
type thread struct {
	*Platform
	project any
	request int
}

func (t thread) conversing() conversation.API {
	notes := t.Platform.api.Notes
	return conversation.API{
		Get: func(ctx context.Context, id int64) (conversation.Comment, error) {
			found, answer, err := notes.GetMergeRequestNote(t.project, t.request, int(id), gogitlab.WithContext(ctx))
			if answered(answer, http.StatusNotFound) {
				return conversation.Comment{}, platforms.ErrGone
			}
			return t.commentIn(found, answer, err)
		},
		List: t.listComments,
		Create: func(ctx context.Context, text string) (conversation.Comment, error) {
			return t.commentIn(notes.CreateMergeRequestNote(t.project, t.request, &gogitlab.CreateMergeRequestNoteOptions{Body: &text}, gogitlab.WithContext(ctx)))
		},
		Edit: func(ctx context.Context, id int64, text string) error {
			_, answer, err := notes.UpdateMergeRequestNote(t.project, t.request, int(id),
				&gogitlab.UpdateMergeRequestNoteOptions{Body: &text}, gogitlab.WithContext(ctx))
			return t.commentError(answer, err)
		},
	}
}

func (t thread) commentIn(found *gogitlab.Note, answer *gogitlab.Response, err error) (conversation.Comment, error) {
	if err = t.commentError(answer, err); err != nil || found == nil {
		return conversation.Comment{}, err
	}
	return conversation.Comment{ID: int64(found.ID), Text: found.Body}, nil
}

// list begins with the newest.
func (t thread) listComments(ctx context.Context, page int) (list []conversation.Comment, next int, err error) {
	found, answer, err := t.Platform.api.Notes.ListMergeRequestNotes(t.project, t.request, &gogitlab.ListMergeRequestNotesOptions{
		ListOptions: gogitlab.ListOptions{Page: page, PerPage: notesPerPage}, OrderBy: gogitlab.Ptr("created_at"), Sort: gogitlab.Ptr("desc"),
	}, gogitlab.WithContext(ctx))
	if err = t.commentError(answer, err); err == nil && found == nil {
		err = platforms.ErrUnreadable
	}
	if err != nil {
		return nil, 0, err
	}
	for _, note := range found {
		list = append(list, conversation.Comment{ID: int64(note.ID), Text: note.Body})
	}
	return list, answer.NextPage, nil
}

// commentError makes a refusal of a permission one of notes alone, which hold up no status. What an answer says counts, so one that cannot
// be read is an error.
func (p *Platform) commentError(answer *gogitlab.Response, err error) error {
	classified := platforms.Readable(p.classify(answer, err), err)
	if !platforms.Forbidden(classified) {
		return classified
	}
	usual := fmt.Sprintf("the token of platform %s needs the scope api and the role Developer to write notes", p.name)
	return &platforms.HTTPError{Code: platforms.CodeOf(classified), Err: fmt.Errorf("%w: %s: %s", platforms.ErrRefused, p.answer(answer.Response),
		platforms.Advice(platforms.ErrorMessage(answer.Response, p.token), usual))}
}
