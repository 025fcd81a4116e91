package platforms

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core/access"
)

// Config is one configured platform, as an adapter takes it.
type Config struct {
	Name           string           // key in the configuration, becomes Delivery.Platform
	URL            string           // address for people, a sub-path is kept; empty is the kind's default
	APIURL         string           // empty is derived from URL
	WebhookSecrets []string         // any of them verifies a call; empty ones are ignored
	SigningTokens  []string         // where the kind has them; empty ones are ignored
	Scopes         []Scope          // secrets of some projects only, in the configuration's order
	Token          string           // access token; may be empty
	App            *App             // acts instead of Token, where the kind has Apps; nil without one
	Comments       bool             // requests of some projects get a comment, which Apps need permissions for
	HTTPClient     *http.Client     // nil is the default one; without a timeout it gets one of 15 s
	Now            func() time.Time // nil is time.Now
}

// App is an application that is installed on the projects that it scans.
type App struct {
	ID         int64  // as its settings page shows it
	PrivateKey []byte // PEM
}

// Kind describes one kind of Git platform to the rest of Scanhook, which never asks for a kind by its name.
type Kind struct {
	Name    string   // the type in the configuration
	Title   string   // for people
	Aliases []string // further names of the type
	URL     string   // the default address; empty where each installation has its own

	// Events are the values of the event header by the names that people give to events.
	Events map[string]string
	// Sign makes the headers of a call that Verify accepts, as the platform does.
	Sign func(Call) (http.Header, error)
	// SigningPrefix begins the signing tokens of the kind; empty where it has none.
	SigningPrefix string

	Links Links
	// CI reads the commit of a CI job from the variables of its environment; false where it is not a job of this kind.
	CI func(getenv func(string) string) (CICommit, bool)

	// Jobs says how jobs of this kind's CI prove who they are; nil where they cannot.
	Jobs *JobTokens

	Token TokenAdvice
	Hook  HookAdvice

	HasApps bool // it can act as an App instead of with a token
	// PostInterval is the shortest time between two posted statuses that the platform at an address asks for; nil: 0.
	PostInterval func(web *url.URL) time.Duration

	// Imitates is the type of the kind whose payloads and variables this one copies. A platform of that type whose API has
	// an address that Claims recognises is of this kind. Empty: none.
	Imitates string
	Claims   func(api *url.URL) bool

	// New makes an adapter. It checks the configuration and makes no call. Errors name the field, never a secret.
	New func(Config) (Platform, error)
}

// Call is a webhook call to be signed. SigningToken, where it is given, replaces Secret.
type Call struct {
	Event        string // value of the event header
	Body         []byte
	Secret       string
	SigningToken string
}

// CICommit is the commit that a CI job works on.
type CICommit struct {
	Platform  string // the usual key of the platform; empty where there is none
	Project   string // full path
	ProjectID string // the platform's numeric id; empty where the job does not know it
	SHA       string // full
	Branch    string // short; empty when unknown
	Err       error  // why SHA is unknown, or nil
}

// JobTokens are the OpenID Connect tokens that a platform gives to the jobs of its CI.
type JobTokens struct {
	// Issuer signs the tokens of the installation at an address. It is written as the tokens name it.
	Issuer func(web *url.URL) string
	// Read says what the claims of a verified token mean; access.Job.Platform stays empty. core.ErrForbidden, with what to do, for a job that
	// may not bring reports.
	Read func(claims []byte) (access.Job, error)
	// Ask is how a job gets a token for an audience, by the variables of its environment; nil where it may have none, and of a kind whose jobs
	// find their token in a variable.
	Ask func(getenv func(string) string) AskForToken
}

// AskForToken gets a new token for an audience.
type AskForToken func(ctx context.Context, audience string) (string, error)

// JobToken is how the CI job that this process is gets a token; nil where it can have none.
func (k Kinds) JobToken(getenv func(string) string) AskForToken {
	for _, kind := range k {
		if kind.Jobs == nil || kind.Jobs.Ask == nil {
			continue
		}
		if ask := kind.Jobs.Ask(getenv); ask != nil {
			return ask
		}
	}
	return nil
}

// TokenAdvice says which access token a platform needs. The texts continue sentences.
type TokenAdvice struct {
	Variable string // environment variable that holds it in a new configuration
	Needs    string // what it must have, to post statuses and to read code
	ForHooks string // what it must have besides, to manage webhooks
}

// HookAdvice says how a webhook is added by hand.
type HookAdvice struct {
	Note string // about the webhook's secret in a new configuration; continues a sentence
	Form string // the form on the platform, with {url} and {secret}
}

// Kinds are the kinds of platforms that can be configured.
type Kinds []Kind

// Named finds a kind by its name or an alias.
func (k Kinds) Named(name string) (Kind, bool) {
	at := slices.IndexFunc(k, func(kind Kind) bool { return kind.Name == name || slices.Contains(kind.Aliases, name) })
	if at < 0 {
		return Kind{}, false
	}
	return k[at], true
}

// Resolve finds the kind of a platform that is configured with a type and perhaps an address of its API.
func (k Kinds) Resolve(name, apiURL string) (Kind, bool) {
	configured, known := k.Named(name)
	api, err := url.Parse(apiURL)
	for _, kind := range k {
		if known && err == nil && kind.Imitates == configured.Name && kind.Claims(api) {
			return kind, true
		}
	}
	return configured, known
}

// CICommit reads the commit of a CI job from the variables of its environment; false where no kind recognises them. The last
// kind is asked first: jobs of GitLab may have a variable of GitHub's, for a tool that publishes there.
func (k Kinds) CICommit(getenv func(string) string) (CICommit, bool) {
	for _, imitation := range []bool{true, false} { // an imitation has the variables of its model, too
		for _, kind := range slices.Backward(k) {
			if kind.CI == nil || (kind.Imitates != "") != imitation {
				continue
			}
			if commit, found := kind.CI(getenv); found {
				return commit, true
			}
		}
	}
	return CICommit{}, false
}

// Links are templates for the pages of a project: what follows the project's address. The parameters are {sha}, {branch},
// {path}, {line}, {end}, {number} and {id}.
type Links struct {
	Commit   string // {sha}
	Branch   string // {branch}
	File     string // {sha}, {path}
	Line     string // {line}; appended to File
	Lines    string // {line}, {end}; appended to File
	Request  string // {number}
	Pipeline string // {id}
}

// CommitURL is the page of a commit.
func (l Links) CommitURL(project, sha string) string {
	return project + expand(l.Commit, "{sha}", sha)
}

// BranchURL is the page of a branch.
func (l Links) BranchURL(project, branch string) string {
	return project + expand(l.Branch, "{branch}", EscapePath(branch))
}

// FileURL is the page of a file in a commit, at the lines from line to end. A line below 1 stands for the whole file.
func (l Links) FileURL(project, sha, path string, line, end int) string {
	address := project + expand(l.File, "{sha}", sha, "{path}", EscapePath(path))
	switch {
	case line < 1:
		return address
	case end <= line:
		return address + expand(l.Line, "{line}", strconv.Itoa(line))
	}
	return address + expand(l.Lines, "{line}", strconv.Itoa(line), "{end}", strconv.Itoa(end))
}

// RequestURL is the page of a pull or merge request.
func (l Links) RequestURL(project string, number int64) string {
	return project + expand(l.Request, "{number}", strconv.FormatInt(number, 10))
}

// PipelineURL is the page of a pipeline run.
func (l Links) PipelineURL(project string, id int64) string {
	return project + expand(l.Pipeline, "{id}", strconv.FormatInt(id, 10))
}

func expand(template string, replacements ...string) string {
	return strings.NewReplacer(replacements...).Replace(template)
}
