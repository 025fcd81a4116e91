package gitlab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/platforms"
)

// Jobs are the tokens of GitLab CI's jobs.
func Jobs() *platforms.JobTokens {
	return &platforms.JobTokens{Issuer: issuer, Read: readJob}
}

// issuer signs the tokens of GitLab CI's jobs.
func issuer(web *url.URL) string { return strings.TrimRight(web.String(), "/") }

// jobClaims are those that are used of a token, see https://docs.gitlab.com/ci/secrets/id_token_authentication/. The subject is not:
// projects can choose its form.
type jobClaims struct {
	Project   string           `json:"project_path"`
	ProjectID platforms.Number `json:"project_id"`
	SHA       string           `json:"sha"`
	Ref       string           `json:"ref"`
	RefType   string           `json:"ref_type"`
	Source    string           `json:"pipeline_source"`
	Pipeline  platforms.Number `json:"pipeline_id"`
	Person    string           `json:"user_login"`

	// The project that runs the job. In pipelines for a request from a fork that run in the request's project, the others name the fork.
	RunBy   string           `json:"job_project_path"`
	RunByID platforms.Number `json:"job_project_id"`
}

// requestSource is that of pipelines for a merge request.
const requestSource = "merge_request_event"

// ownSources run a commit of the project by the configuration in it.
var ownSources = []string{"push", requestSource, "web", "schedule", "api", "trigger", "pipeline", "parent_pipeline", "chat"}

func readJob(document []byte) (job access.Job, err error) {
	var claims jobClaims
	if err := json.Unmarshal(document, &claims); err != nil {
		return job, fmt.Errorf("%w: the token's claims are not those of GitLab CI: %w", core.ErrForbidden, err)
	}
	project := claims.ProjectID.ID()
	job = access.Job{
		Project: cmp.Or(claims.RunBy, claims.Project), Ref: cmp.Or(claims.RunByID.ID(), project), SHA: claims.SHA,
		Run: claims.Pipeline.ID(), Person: claims.Person, OfRequest: claims.Source == requestSource,
	}
	job.Fork = job.Ref != project
	if claims.RefType == "branch" {
		job.Branch = claims.Ref
	}
	switch {
	case project == "" || platforms.CheckProject(job.Project) != nil || (claims.RunBy == "") != (claims.RunByID.ID() == ""):
		return job, fmt.Errorf("%w: the token names no project with its id (project_path, project_id)", core.ErrForbidden)
	case !core.IsCommitSHA(job.SHA) || claims.Ref == "":
		return job, fmt.Errorf("%w: the token names no commit and ref (sha, ref)", core.ErrForbidden)
	case !slices.Contains(ownSources, claims.Source):
		return job, fmt.Errorf("%w: a job of the pipeline source %.64q does not bring reports with its own token: bring it in a job of %s, or send a "+
			"token from api.tokens", core.ErrForbidden, claims.Source, strings.Join(ownSources, ", "))
	}
	return job, nil
}
