package fakeforge

import (
	"context"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// Forge is how a platform describes itself to the server that all of them share. The function fields answer for one
// server; those that are marked as optional may be nil.
type Forge struct {
	Name    string // of its kind in the configuration, such as github
	APIRoot string // of the REST API, below the base: /api/v3
	Pages   Pages

	Token        func(*http.Request) string          // the token that an API call bears, or empty
	Unauthorized Answer                              // to a call without the right one
	Forbidden    string                              // message of the answer to a token that lacks a right; empty: the HTTP status
	RateHeaders  func(header http.Header, calls int) // optional: sets what is left of the allowance after so many calls

	Sign         func(Delivery, Hook, Repository) (http.Header, error) // the header of a delivery; Repository may be zero
	SignsAnew    bool                                                  // a repeated delivery gets a new signature
	KeyPerHook   bool                                                  // an event has another key for each webhook
	Subscription func(event string) string                             // optional: the name in a webhook's list of an event's header
	Attempted    func(*Hook, Attempt)                                  // optional: takes note of how a delivery went
	Disabled     func(Hook) bool                                       // optional: the forge has stopped calling the webhook

	MaxCommits int                                           // that a push lists
	NewCommits func(context.Context, Push) ([]string, error) // git revisions of the commits that count as pushed; none: no commits
	Push       func(Push) (event string, payload any)        // the event of a push
	Pipeline   func(PipelineSpec, Repository, gitrepo.Commit) (event string, payload any)
	Request    func(RequestSpec, Repository, Repository) (event string, payload any) // into the first repository, from the second

	RateLimits    func(after time.Duration) []Fault // the answers to too many calls
	UnknownCommit func(sha string) Fault            // the answer about a commit that the API does not see yet
	Overwrite     func(Repository, Status) Answer   // applies the rules to the status of another account
	// AddPipeline makes a CI pipeline with the forge's own jobs exist. Optional: nil where statuses do not depend on one.
	AddPipeline func(r Repository, sha, ref string, jobs []string) (id int64)
	// AddCheck gives a project a check by another program, which requests wait for beside statuses. Optional: nil where there are none.
	AddCheck func(r Repository, name string) (id int64)
}

// Pages is how the addresses of a forge's pages for people are formed.
type Pages struct {
	Below string // precedes what belongs to a project, such as -/
	File  string // precedes the commit of a file: blob/
	Range string // format of the anchor of a range of lines: L%d-L%d
}
