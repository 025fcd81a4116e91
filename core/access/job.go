package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// CIJob is the role of a CI job that proves with its platform's token which commit it works on. Nobody can be granted it.
const CIJob Role = "CI job"

// Job is a CI job, as the verified token of its platform describes it.
type Job struct {
	Platform string // key in the configuration
	Project  string // full path
	Ref      string // the platform's numeric id of the project, which stays when the project is renamed
	Branch   string // short; empty for a tag
	Run      string // number of the run, for people
	Person   string // who started it, as the platform calls them; for people

	// SHA is the commit that the platform runs the job for. That of a request's job can be a merge that nobody pushed.
	SHA string
	// Request is the number of the pull or merge request that the job is of; 0 where it is of none, or where the token does not tell.
	Request int64
	// OfRequest tells that the job is of a pull or merge request.
	OfRequest bool
	// Fork tells that the job runs code of a fork.
	Fork bool

	// Commit is the only one that the job may bring reports for; empty until it is known.
	Commit string
}

// String names the job in the log and in the audit.
func (j Job) String() string {
	name := "CI job of " + j.Platform + "/" + j.Project
	if j.Run != "" {
		name += ", run " + j.Run
	}
	if j.Person != "" {
		name += " of " + j.Person
	}
	return core.Clip(core.Printable(name), maxJobName)
}

const maxJobName = 200 // bytes

// Actor is who a job is, where it may bring reports of scanners that globs match, of all without globs.
func (j Job) Actor(scanners []string) Actor {
	return Actor{Name: j.String(), Grants: []Grant{{Role: CIJob, Scanners: scanners, Job: &j}}}
}

// Of is the job of a request, which may bring reports for the head of that. core.ErrForbidden where there is no telling which that is.
func (j Job) Of(request core.KeptRequest) (Job, error) {
	switch {
	case request.Fork || j.Fork:
		return j, fmt.Errorf("%w: the CI job runs code of a fork, whose reports are not taken: scanners that run here look at forks where forks is "+
			"all in the configuration", core.ErrForbidden)
	case !core.IsCommitSHA(request.HeadSHA):
		return j, fmt.Errorf("%w: the head of request %d is not known: push to it once more", core.ErrForbidden, j.Request)
	}
	j.Commit, j.Branch = request.HeadSHA, request.Branch
	return j, nil
}

// covers tells whether something is of the project and the commit of the job. What is of no commit is not.
func (j Job) covers(p Project) bool {
	return j.Commit != "" && j.hasProject(p) && strings.EqualFold(j.Commit, p.Commit)
}

func (j Job) hasProject(p Project) bool {
	return p.Platform == j.Platform && core.SameProject(p.Name, j.Project) && (p.Ref == "" || p.Ref == j.Ref)
}

// Admit is nil where the job may bring a report for a commit that it names itself, else core.ErrForbidden with what to do. It tells
// nothing of the project that was named.
func (j Job) Admit(p Project) error {
	switch {
	case j.covers(p):
		return nil
	case p.Commit == "":
		return errOwnCommit
	case !j.hasProject(p):
		return fmt.Errorf("%w: the token is of a CI job of %s/%s (id %s), and brings reports for that project only; leave project, project_id and "+
			"platform to the job, or send a token from api.tokens", core.ErrForbidden, j.Platform, j.Project, j.Ref)
	case j.SHA != j.Commit && strings.EqualFold(p.Commit, j.SHA):
		return fmt.Errorf("%w: %s is the merge that CI made of a request, which nobody pushed: bring the report for the request's head, %s",
			core.ErrForbidden, core.ShortSHA(j.SHA), j.Commit)
	}
	return fmt.Errorf("%w: the token is of a CI job for the commit %s, and brings reports for that one only, not for %.64q; bring the report in a "+
		"job of that commit, or send a token from api.tokens", core.ErrForbidden, j.Commit, p.Commit)
}

// errOwnCommit says what a job's token is good for.
var errOwnCommit = fmt.Errorf("%w: a CI job's own token brings reports for its commit, and reads the scan of it; for anything else send a token "+
	"from api.tokens", core.ErrForbidden)

// Job is the CI job that asks; nil for tokens and people.
func (a Actor) Job() *Job {
	at := slices.IndexFunc(a.Grants, func(g Grant) bool { return g.Job != nil })
	if at < 0 {
		return nil
	}
	return a.Grants[at].Job
}
