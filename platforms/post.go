package platforms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// maxPosts is how often a status is posted at most, each time with less: without its link, with the plainest text,
// without text.
const maxPosts = 4

// Post makes a platform show a status, and makes sure that the state arrives whatever its texts are: wide characters are
// replaced, and a field that the platform refuses is left out. A platform that repeatedly refuses a status without naming
// a field gets the plainest text for that state.
func Post(ctx context.Context, platform Platform, status core.Status) (Posted, error) {
	status.Context, status.Description = core.OnlyBMP(status.Context), core.OnlyBMP(status.Description)
	posted, err := platform.PostStatus(ctx, status)
	var left []string
	for range maxPosts - 1 {
		fields := refusedFields(status, err)
		if len(fields) == 0 {
			break
		}
		for _, field := range fields {
			leaveOut(&status, field)
		}
		_, reason, _ := strings.Cut(err.Error(), ErrRefused.Error()+": ")
		left = append(left, fmt.Sprintf("%s left out: %s", joinFields(fields), reason))
		posted, err = platform.PostStatus(ctx, status)
	}
	if err == nil {
		posted.LeftOut = Clean(strings.Join(left, "; "))
	}
	return posted, err
}

// refusedFields are the fields that a refusal is about and that the status still has.
func refusedFields(status core.Status, err error) (fields []Field) {
	named := new(FieldRefused)
	code := CodeOf(err)
	switch unnamed := code == http.StatusBadRequest || code == http.StatusUnprocessableEntity; {
	case errors.As(err, &named):
		fields = slices.Clone(named.Fields)
	case errors.Is(err, ErrRefused) && unnamed && status.Attempts > 0:
		fields = []Field{FieldDescription, FieldLink}
	}
	return slices.DeleteFunc(fields, func(field Field) bool {
		return field == FieldLink && status.TargetURL == "" || field == FieldDescription && status.Description == ""
	})
}

// plainest describes a state in characters that every platform takes.
var plainest = map[core.StatusState]string{
	core.StatusPending: "Scan in progress", core.StatusSuccess: "Scan passed", core.StatusFailure: "Scan found problems",
	core.StatusError: "Scan failed", core.StatusCancelled: "Superseded by a newer push",
}

func leaveOut(status *core.Status, field Field) {
	switch plain := plainest[status.State]; {
	case field == FieldLink:
		status.TargetURL = ""
	case status.Description != plain:
		status.Description = plain
	default:
		status.Description = ""
	}
}

func joinFields(fields []Field) string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = string(field)
	}
	return strings.Join(names, " and ")
}
