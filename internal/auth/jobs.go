package auth

import (
	"context"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth/ci"
	"github.com/scanhook/scanhook/store"
)

// Jobs recognises CI jobs by the tokens of their platforms.
type Jobs struct {
	Tokens *ci.Verifier // nil: none are taken
	Store  *store.Store
}

// Takes tells whether a token has the form of a CI job's, and any such token is taken.
func (j Jobs) Takes(sent string) bool { return j.Tokens != nil && ci.IsToken(sent) }

// Find returns the job that sent a token, with what it may do: bring reports for the one commit that its token names, and read the scan of it.
// Errors are those of ci.Verifier and of store.OfJob.
func (j Jobs) Find(ctx context.Context, sent string) (actor access.Actor, err error) {
	all, err := j.Tokens.Verify(ctx, sent)
	for _, verified := range all {
		job, unknown := j.Store.OfJob(ctx, verified.Job)
		if unknown == nil {
			unknown = j.Tokens.Use(verified, job.Commit)
		}
		if unknown != nil {
			err = unknown
			continue
		}
		found := job.Actor(verified.Scanners)
		actor.Name, actor.Grants = found.Name, append(actor.Grants, found.Grants...)
	}
	if len(actor.Grants) > 0 {
		return actor, nil
	}
	return access.Actor{}, err
}
