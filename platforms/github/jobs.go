package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/platforms"
)

// Jobs are the tokens of GitHub Actions's jobs.
func Jobs() *platforms.JobTokens {
	return &platforms.JobTokens{Issuer: issuer, Read: readJob, Ask: askForToken}
}

// issuer signs the tokens of GitHub Actions' jobs.
func issuer(web *url.URL) string {
	switch {
	case web.Hostname() == host:
		return "https://token.actions.githubusercontent.com"
	case isCloud(web): // data residency
		return web.Scheme + "://token.actions." + web.Host
	}
	return web.JoinPath("_services", "token").String()
}

// jobClaims are those that are used of a token, see https://docs.github.com/en/actions/reference/security/oidc. The subject is not: its
// form changes, and repositories can choose another.
type jobClaims struct {
	Repository   string           `json:"repository"`
	RepositoryID platforms.Number `json:"repository_id"`
	SHA          string           `json:"sha"`
	Ref          string           `json:"ref"`
	Event        string           `json:"event_name"`
	RunID        platforms.Number `json:"run_id"`
	Actor        string           `json:"actor"`
}

// requestEvent is that of jobs for a merge of a pull request with its base.
const requestEvent = "pull_request"

// ownEvents run a commit of the repository by the workflow in it. Others, such as pull_request_target and workflow_run, name the commit of a
// branch while they may run a stranger's code.
var ownEvents = []string{requestEvent, "push", "merge_group", "schedule", "workflow_dispatch"}

func readJob(document []byte) (job access.Job, err error) {
	var claims jobClaims
	if err := json.Unmarshal(document, &claims); err != nil {
		return job, fmt.Errorf("%w: the token's claims are not those of GitHub Actions: %w", core.ErrForbidden, err)
	}
	job = access.Job{
		Project: claims.Repository, Ref: claims.RepositoryID.ID(), SHA: claims.SHA, Run: claims.RunID.ID(), Person: claims.Actor,
		OfRequest: claims.Event == requestEvent,
	}
	if branch, ok := strings.CutPrefix(claims.Ref, "refs/heads/"); ok {
		job.Branch = branch
	}
	job.Request = requestOf(claims.Ref)
	switch {
	case job.Ref == "" || platforms.CheckProject(job.Project) != nil:
		return job, fmt.Errorf("%w: the token names no repository with its id (repository, repository_id)", core.ErrForbidden)
	case !core.IsCommitSHA(job.SHA) || !strings.HasPrefix(claims.Ref, "refs/"):
		return job, fmt.Errorf("%w: the token names no commit and ref (sha, ref)", core.ErrForbidden)
	case !slices.Contains(ownEvents, claims.Event):
		return job, fmt.Errorf("%w: a job of the event %.64q may run code that is not the commit's in its token: bring the report in a job of %s, or "+
			"send a token from api.tokens", core.ErrForbidden, claims.Event, strings.Join(ownEvents, ", "))
	case job.OfRequest != (job.Request != 0):
		return job, fmt.Errorf("%w: the ref %.200q of the token is not one of the event %s", core.ErrForbidden, claims.Ref, claims.Event)
	}
	return job, nil
}

// requestOf reads the number of a pull request from the ref of its merge; 0 where it is none.
func requestOf(ref string) int64 {
	text, isPull := strings.CutPrefix(ref, "refs/pull/")
	text, isMerge := strings.CutSuffix(text, "/merge")
	number, err := strconv.ParseInt(text, 10, 64)
	if !isPull || !isMerge || err != nil {
		return 0
	}
	return max(number, 0)
}

// maxTokenAnswer bounds the answer to a request for a token, in bytes.
const maxTokenAnswer = 64 << 10

// askForToken asks the runner's service for a token of the job. Jobs without the permission "id-token: write" lack the variables.
func askForToken(getenv func(string) string) platforms.AskForToken {
	address, secret := getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || secret == "" {
		return nil
	}
	return func(ctx context.Context, audience string) (string, error) {
		token, err := requestToken(ctx, address, secret, audience)
		if err != nil {
			return "", fmt.Errorf("asking GitHub Actions for the job's token: %w", err)
		}
		return token, nil
	}
}

func requestToken(ctx context.Context, address, secret, audience string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is no address")
	}
	query := parsed.Query()
	query.Set("audience", audience)
	parsed.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, parsed.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := platforms.NewClient(nil).Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxTokenAnswer))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %d: %s", response.StatusCode, platforms.Excerpt(string(body), secret))
	}
	var answer struct{ Value string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Value == "" {
		return "", errors.New("the answer has no token")
	}
	return answer.Value, nil
}
