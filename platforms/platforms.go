// Package platforms is the port between Scanhook and the Git platforms: what an adapter must be able to do, and the
// errors by which it tells its callers what to do next. The adapters are platforms/github and platforms/gitlab.
//
// Every adapter is a Platform. What else one can do, it says by one of the small interfaces SignatureFinder, Signer,
// CredentialChecker, Caller, StatusReader, MergeBaseFinder, Inquirer, HookManager and Redeliverer, which the rooms that need
// them ask for; each has a file of its own. Reading order: platforms.go, answers.go (errors), keyring.go, secrets.go,
// proof.go (who may speak for which project), hooks.go; the rest helps adapters to read payloads and to make calls.
package platforms

import (
	"context"
	"errors"
	"net/http"

	"github.com/scanhook/scanhook/core"
)

// Platform is one configured instance of a Git platform.
type Platform interface {
	// Verify proves that body comes from the platform, or from somebody who may speak for some of its projects: the proof
	// must vouch for what Parse makes of the body. It looks at the raw bytes and parses nothing.
	// Errors wrap core.ErrDenied and never repeat a secret.
	Verify(header http.Header, body []byte) (Proof, error)
	// Parse translates a verified call. Events that we do not use become core.Ignored, never an error.
	// A body that is not what its event header says is core.ErrInvalid.
	Parse(header http.Header, body []byte) (core.Delivery, error)
	// PostStatus makes the platform show the wanted state. Errors are those of this package; anything else is worth
	// another try. CodeOf tells the HTTP status of the answer in an error, and FieldRefused which text is at fault. Call
	// Post, which does without such a text.
	PostStatus(ctx context.Context, status core.Status) (Posted, error)
	// Remote tells how to fetch a project, from the configured base address only.
	Remote(ctx context.Context, project string) (Remote, error)
}

// Posted is what a platform says of a status that it took.
type Posted struct {
	PipelinePin string // the pipeline that the status landed in (GitLab), or empty
	ID          int64  // the platform's number of the status; 0 where the answer does not tell
	Code        int    // HTTP status of the answer; 0 where nothing had to be sent
	LeftOut     string // what Post left out of it because the platform refused it, with its words; usually empty
}

// Set holds the configured platforms by their key in the configuration.
type Set map[string]Platform

// Remote is a git remote with the credential that opens it.
type Remote struct {
	URL           string // http(s), without credentials
	Authorization string // value of the Authorization header, or empty for public projects
}

// What an adapter says of a post that did not succeed.
var (
	// ErrNoToken: nothing was sent because no token is configured; the status is kept and shown.
	ErrNoToken = errors.New("no token is configured")
	// ErrUnknownCommit: the platform does not know the commit, yet or any more; worth a few tries.
	ErrUnknownCommit = errors.New("the platform does not know the commit")
	// ErrTooEarly: nothing was sent, because in a moment the status can be put where it belongs.
	ErrTooEarly = errors.New("too early: the platform makes a place for it in a moment")
	// ErrRefused: the same call will never succeed.
	ErrRefused = errors.New("refused for good")
)
