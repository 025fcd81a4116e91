package platforms

import (
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// CompletePush draws the conclusions that are the same on every platform from what a payload states: zero ids tell of
// creation and deletion, a deleted ref has no commit and no files whatever else the payload says, and refs that are
// neither branch nor tag are ignored. A push without a full ref or without a commit wraps core.ErrInvalid.
func CompletePush(push core.Push) (core.Event, error) {
	push.Created = push.Created || core.IsZeroSHA(push.Before)
	push.Deleted = push.Deleted || core.IsZeroSHA(push.After)
	if push.Deleted {
		push.CommitSHA, push.Files = "", core.ChangedFiles{}
	}
	switch {
	case !strings.HasPrefix(push.Ref, "refs/"):
		return nil, fmt.Errorf("%w: the push has no full ref such as refs/heads/main", core.ErrInvalid)
	case push.Branch() == "" && push.Tag() == "":
		return core.Ignored{Reason: push.Ref + " is neither a branch nor a tag"}, nil
	case push.CommitSHA == "" && !push.Deleted:
		return nil, fmt.Errorf("%w: the push of %s names no commit", core.ErrInvalid, push.Ref)
	}
	return push, nil
}

// CommitID is a commit id of a payload, all zeros included, or empty where the text is none.
func CommitID(text Text) string {
	if id := string(text); core.IsZeroSHA(id) || core.IsCommitSHA(id) {
		return id
	}
	return ""
}

// FirstCommit is the first of the texts that names a commit, or empty.
func FirstCommit(texts ...Text) string {
	for _, text := range texts {
		if core.IsCommitSHA(string(text)) {
			return string(text)
		}
	}
	return ""
}
