package conversation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/conversation"
)

// talk is a conversation in memory, the newest first, with one comment a page. blind makes listing fail.
type talk struct {
	comments []conversation.Comment
	blind    error
	writes   int
}

func (k *talk) api() conversation.API {
	return conversation.API{
		Get: func(_ context.Context, id int64) (conversation.Comment, error) {
			for _, c := range k.comments {
				if c.ID == id {
					return c, nil
				}
			}
			return conversation.Comment{}, platforms.ErrGone
		},
		List: func(_ context.Context, page int) ([]conversation.Comment, int, error) {
			if k.blind != nil || len(k.comments) == 0 {
				return nil, 0, k.blind
			}
			return k.comments[page-1 : page], (page + 1) % (len(k.comments) + 1), nil
		},
		Create: func(_ context.Context, text string) (conversation.Comment, error) {
			k.writes++
			made := conversation.Comment{ID: int64(len(k.comments) + 10), Text: text}
			k.comments = append([]conversation.Comment{made}, k.comments...)
			return made, nil
		},
		Edit: func(_ context.Context, id int64, text string) error {
			k.writes++
			for i := range k.comments {
				if k.comments[i].ID == id {
					k.comments[i].Text = text
				}
			}
			return nil
		},
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	blind := errors.New("no access")
	ours := conversation.Comment{ID: 5, Text: "<!-- m -->\nold"}
	for name, c := range map[string]struct {
		comments []conversation.Comment
		blind    error
		id       int64
		text     string
		want     platforms.KeptNote
		writes   int
		err      error
	}{
		"the first":         {nil, nil, 0, "<!-- m -->\nnew", platforms.KeptNote{ID: 10, Written: true}, 1, nil},
		"known":             {[]conversation.Comment{ours}, nil, 5, "<!-- m -->\nnew", platforms.KeptNote{ID: 5, Written: true}, 1, nil},
		"shown already":     {[]conversation.Comment{{ID: 5, Text: "<!-- m -->\r\nold\n"}}, nil, 5, ours.Text, platforms.KeptNote{ID: 5}, 0, nil},
		"found by its mark": {[]conversation.Comment{ours}, nil, 0, "<!-- m -->\nnew", platforms.KeptNote{ID: 5, Written: true}, 1, nil},
		"a copy is newer": {
			[]conversation.Comment{{ID: 7, Text: "> <!-- m -->"}, {ID: 6, Text: "hello"}, ours}, nil, 0, "<!-- m -->\nnew",
			platforms.KeptNote{ID: 5, Written: true}, 1, nil,
		},
		"deleted":   {[]conversation.Comment{{ID: 7, Text: "> <!-- m -->"}}, nil, 5, "x", platforms.KeptNote{}, 0, platforms.ErrGone},
		"no access": {nil, blind, 5, "x", platforms.KeptNote{}, 0, blind},
	} {
		k := &talk{comments: c.comments, blind: c.blind}
		got, err := conversation.Keep(t.Context(), k.api(), platforms.Note{ID: c.id, Marker: "m", Text: c.text})
		if got != c.want || k.writes != c.writes || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v after %d writes, %v; want %+v, %d, %v", name, got, k.writes, err, c.want, c.writes, c.err)
		}
	}
}
