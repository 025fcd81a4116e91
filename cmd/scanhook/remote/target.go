package remote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/platforms"
)

// Target is a running Scanhook, and the commit or scan there that a command is about. Complete finds what the flags do not say.
type Target struct {
	Commit  Commit
	Scan    string // reference of the scan, or the link to its page; empty: the scan of Commit
	Server  string // base address
	Token   string
	Retry   time.Duration // after which a server that cannot be reached is given up
	Version string        // of this program
	CI      CI
	Job     JobToken

	token Token
}

// JobToken is how the CI job that this process is gets a token of its own; nil where it can have none.
type JobToken func(getenv func(name string) string) platforms.AskForToken

// CI reads the commit of a CI job from the variables of its environment; false outside of one.
type CI func(getenv func(name string) string) (platforms.CICommit, bool)

// Env answers for environment variables, as os.LookupEnv does.
type Env func(name string) (value string, set bool)

func (e Env) get(name string) string {
	value, _ := e(name)
	return strings.TrimSpace(value)
}

// Complete looks in the environment, in git and, for the server, in the configuration, which configured reads.
func (t *Target) Complete(ctx context.Context, env Env, configured func() (string, error)) error {
	sent := cmp.Or(strings.TrimSpace(t.Token), env.get("SCANHOOK_API_TOKEN"), env.get("SCANHOOK_ID_TOKEN"))
	var ask platforms.AskForToken
	if sent == "" && t.Job != nil {
		ask = t.Job(env.get)
	}
	if sent == "" && ask == nil {
		return cli.WrongUse("no token: set SCANHOOK_API_TOKEN to one of api.tokens with the role uploader, or give the CI job one of its own: " +
			"in GitHub Actions with permissions: {id-token: write}, in GitLab CI with id_tokens: {SCANHOOK_ID_TOKEN: {aud: the server's address}}")
	}
	var err error
	if t.Server, err = t.findServer(env, configured); err != nil {
		return err
	}
	if t.token = fixed(sent); sent == "" {
		t.token = renewed(ask, cmp.Or(env.get("SCANHOOK_AUDIENCE"), t.Server))
	}
	if t.Scan == "" {
		return t.Commit.complete(ctx, env, t.CI)
	}
	t.Scan = path.Base(t.Scan)
	return nil
}

// findServer looks into the configuration last: in CI jobs there is none.
func (t *Target) findServer(env Env, configured func() (string, error)) (string, error) {
	if server := cmp.Or(t.Server, env.get("SCANHOOK_URL")); server != "" {
		return checkServer(server)
	}
	server, err := configured()
	if errors.Is(err, fs.ErrNotExist) {
		return "", cli.WrongUse("no server: give Scanhook's address with --server or in SCANHOOK_URL")
	}
	return server, err
}

func checkServer(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", cli.WrongUse("--server or SCANHOOK_URL must be an address that starts with https:// or http:// and a host")
	}
	return strings.TrimRight(address, "/"), nil
}

// Client calls the server; say receives what it waits for.
func (t *Target) Client(say io.Writer) *Client {
	token := t.token
	if token == nil {
		token = fixed(t.Token)
	}
	return &Client{server: t.Server, token: token, version: t.Version, until: time.Now().Add(t.Retry), say: say}
}

// Token is the token for the next call.
type Token func(ctx context.Context) (string, error)

// fixed is a token that stays.
func fixed(token string) Token {
	return func(context.Context) (string, error) { return token, nil }
}

// renewEvery is less than the life of a token, which for jobs of GitHub Actions is five minutes.
const renewEvery = 2 * time.Minute

// renewed is a token that is asked for again before it ends: waiting for a verdict takes longer.
func renewed(ask platforms.AskForToken, audience string) Token {
	var (
		mu    sync.Mutex
		token string
		asked time.Time
	)
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if token != "" && time.Since(asked) < renewEvery {
			return token, nil
		}
		fresh, err := ask(ctx, audience)
		if err == nil {
			token, asked = fresh, time.Now()
		}
		return fresh, err
	}
}
