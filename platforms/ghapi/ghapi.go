// Package ghapi is what GitHub and Gitea have in common: their payloads, their signature and the calls of the API that
// both answer alike. The adapters platforms/github and platforms/gitea embed its Server and add what is their own.
//
// Reading order: ghapi.go, signature.go, payload.go, client.go, status.go, comment.go, metadata.go, hooks.go, credential.go, errors.go;
// actions.go reads the variables of CI jobs.
package ghapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// Server is one configured GitHub or Gitea. Its methods are safe for concurrent use; the adapters set its fields before.
type Server struct {
	Name    string // key in the configuration
	Traits  Traits
	Web     *url.URL
	API     *url.URL
	Token   string
	Keys    *platforms.Keyring
	Calls   *http.Client // without a credential
	Clients Clients      // nil without a credential
	Opener  HookOpener
	Now     func() time.Time
}

// Traits are what an adapter has to say about its kind.
type Traits struct {
	Title string // of the kind, for people
	Links platforms.Links

	PostAdvice    string // what a person must do where a status may not be posted
	NoteAdvice    string // what a person must give where requests may not be commented
	HookAdvice    string // what a person must give where webhooks may not be managed
	AddressAdvice string // what a person must do where the API is not found
	// Advise is the advice that a refusal's own header or message gives, or empty; nil: there is none.
	Advise func(*http.Response) string
	// Failed finds the response behind an error that go-github does not know; nil: there is none.
	Failed func(error) *http.Response

	HidesSecrets  bool // a webhook does not show whether it has a secret
	SignsJSONOnly bool // a webhook that sends forms cannot be verified
	MayLackRuns   bool // old servers announce no workflow runs and no statuses
	ActsAsApp     bool // the credential is that of an App
	NoStatusID    bool // an announced status has another number than in the API
	MergeQueue    bool // it has merge queues, and webhooks may ask for their events
	RefEvents     bool // not all branches that come and go are announced by pushes: create and delete events announce them
}

// Clients opens the API for a project.
type Clients interface {
	Client(ctx context.Context, project string) (*gogithub.Client, error)
	Forget(project string) // after an error: the next Client looks again
}

// HookOpener finds the calls for the webhooks of a target.
type HookOpener interface {
	OpenHooks(ctx context.Context, target core.HookTarget) (HookAPI, error)
}

// HookAPI has the calls for the webhooks of one target. One that the platform does not have is nil.
type HookAPI struct {
	List       func(context.Context) ([]*gogithub.Hook, *gogithub.Response, error)
	Create     func(context.Context, *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error)
	Edit       func(context.Context, int64, *gogithub.Hook) (*gogithub.Response, error)
	Ping       func(context.Context, int64) (*gogithub.Response, error)
	Deliveries ListDeliveries
	Redeliver  func(ctx context.Context, hook, delivery int64) (*gogithub.Response, error)
}

// ListDeliveries lists a page of a webhook's deliveries.
type ListDeliveries func(ctx context.Context, hook int64, page *gogithub.ListCursorOptions) (
	[]*gogithub.HookDelivery, *gogithub.Response, error)

// New reads a configuration whose addresses are complete. The adapter adds Clients and Opener.
func New(config platforms.Config, traits Traits) (*Server, error) {
	s := &Server{
		Name: config.Name, Traits: traits, Token: config.Token, Now: config.Now, Calls: platforms.NewClient(config.HTTPClient),
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	var err error
	if s.Web, err = platforms.ParseBase(config.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if s.API, err = platforms.ParseBase(config.APIURL); err != nil {
		return nil, fmt.Errorf("api_url: %w", err)
	}
	scopes := []platforms.Scope{{WebhookSecrets: config.WebhookSecrets}}
	for _, scope := range config.Scopes {
		scope.SigningTokens = nil // which these platforms do not have
		scopes = append(scopes, scope)
	}
	s.Keys, err = platforms.NewKeyring(config.Name, scopes, nil)
	return s, err
}

// HTTPClient is the one that all calls go through.
func (s *Server) HTTPClient() *http.Client { return s.Calls }

// Recall is part of platforms.Keeper.
func (s *Server) Recall(verifiedBy string, signed bool) (platforms.Verification, error) {
	return s.Keys.Recall(verifiedBy, signed)
}

// Dial wraps a client for the address of the API; go-github wants it with a final slash.
func (s *Server) Dial(client *http.Client) *gogithub.Client {
	caller := gogithub.NewClient(client)
	caller.BaseURL = s.API.JoinPath("/")
	return caller
}

// RemoteWith tells how to fetch a project with a token, which may be empty.
func (s *Server) RemoteWith(project, token string) platforms.Remote {
	remote := platforms.Remote{URL: s.cloneURL(project)}
	if token != "" {
		credentials := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
		remote.Authorization = "Basic " + credentials
	}
	return remote
}

func (s *Server) cloneURL(project string) string { return s.Web.JoinPath(project + ".git").String() }

// Wrap adds what was tried to an error.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
