// Package conversation keeps the one comment of ours in the conversation of a pull or merge request: the adapters give it the calls of
// their platform.
package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/platforms"
)

// Comment is one of a request.
type Comment struct {
	ID   int64
	Text string
}

// API has the calls for the comments of one request. Errors are those of package platforms. ErrUnreadable is no sign that there is no comment.
type API struct {
	Get    func(ctx context.Context, id int64) (Comment, error) // platforms.ErrGone where there is none
	List   func(ctx context.Context, page int) (list []Comment, next int, err error)
	Create func(ctx context.Context, text string) (Comment, error)
	Edit   func(ctx context.Context, id int64, text string) error
}

// maxPages bounds the search for a comment of which only the marker is known: it was made lately.
const maxPages = 10

// Keep makes a request show a note, with as many calls as that takes: one where it does already.
func Keep(ctx context.Context, api API, note platforms.Note) (kept platforms.KeptNote, err error) {
	var shown Comment
	if note.ID != 0 {
		shown, err = api.known(ctx, note.ID)
	} else {
		shown, err = api.search(ctx, note.Marker)
	}
	switch {
	case err != nil:
		return kept, err
	case shown.ID == 0:
		made, err := api.Create(ctx, note.Text)
		if err == nil && made.ID == 0 { // the next attempt finds it by its marker
			err = fmt.Errorf("%w: it names no comment", platforms.ErrUnreadable)
		}
		return platforms.KeptNote{ID: made.ID, Written: true}, err
	case plain(shown.Text) == plain(note.Text):
		return platforms.KeptNote{ID: shown.ID}, nil
	}
	return platforms.KeptNote{ID: shown.ID, Written: true}, api.Edit(ctx, shown.ID, note.Text)
}

// known reads the comment with a number. One that is not found was deleted only if the others can be read: else it is the credential
// that may not see them.
func (api API) known(ctx context.Context, id int64) (Comment, error) {
	shown, err := api.Get(ctx, id)
	switch {
	case errors.Is(err, platforms.ErrGone):
		if _, _, err := api.List(ctx, 1); err != nil {
			return Comment{}, err
		}
	case err == nil && shown.ID == 0:
		return Comment{}, fmt.Errorf("%w: it names no comment", platforms.ErrUnreadable)
	}
	return shown, err
}

// search finds the oldest comment with a marker, which is ours: others can only have copied it. It is the zero Comment where there is none.
func (api API) search(ctx context.Context, marker string) (oldest Comment, err error) {
	for page, pages := 1, 0; page > 0 && pages < maxPages; pages++ {
		list, next, err := api.List(ctx, page)
		if err != nil {
			return Comment{}, err
		}
		for _, comment := range list {
			if comment.ID == 0 {
				return Comment{}, fmt.Errorf("%w: it lists comments without numbers", platforms.ErrUnreadable)
			}
			if strings.Contains(comment.Text, marker) && (oldest.ID == 0 || comment.ID < oldest.ID) {
				oldest = comment
			}
		}
		page = next
	}
	return oldest, nil
}

// plain is a text without what platforms change in it.
func plain(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }
