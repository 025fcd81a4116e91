package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Policy is what the configuration says about one repository.
type Policy struct {
	Context     string              // name of the commit status
	Branches    []string            // globs; ** crosses slashes
	Tags        []string            // globs; none by default
	Scanners    []string            // keys of the configuration's scanners, each becomes a job
	Categories  map[string][]string // by scanner: those of whose reports a scan waits for; one that is not in it becomes one job
	Gate        Gate
	Supersede   bool
	ScanTimeout time.Duration
	ScanHistory int // commits of a push that are searched, the newest
	Anomalies   AnomalyMode
	Publish     Publishing
	Forks       ForkMode
	Badges      BadgeMode
	Replace     ReplaceMode
	Comment     CommentMode
	Buttons     ButtonMode
	Approval    Approval
}

// ReplaceMode says whether a report takes the place of an earlier one.
type ReplaceMode string

// ReplaceNever keeps the first completed report of each scanner and category. With any other value the last one counts.
const ReplaceNever ReplaceMode = "never"

// ButtonMode says what the buttons of check runs do for who may write to the repository.
type ButtonMode string

// ButtonsDismiss lets them dismiss findings too. With any other value they only have commits scanned again.
const ButtonsDismiss ButtonMode = "dismiss"

// Dismiss tells whether buttons dismiss findings.
func (m ButtonMode) Dismiss() bool { return m == ButtonsDismiss }

// CommentMode says what is written into the conversation of a pull or merge request.
type CommentMode string

// CommentNote is one comment, which is kept up to date. CommentThreads are threads on lines besides, where the platform has some that can be
// resolved. With any other value nothing is written.
const (
	CommentNote    CommentMode = "note"
	CommentThreads CommentMode = "threads"
)

// Writes tells whether requests get a comment.
func (m CommentMode) Writes() bool { return m == CommentNote || m == CommentThreads }

// BadgeMode says who may see how a project's default branch stands.
type BadgeMode string

// BadgesPublic lets everybody see it. With any other value there are no badges.
const BadgesPublic BadgeMode = "public"

// ForkMode says what is done with requests from forks, whose code is a stranger's.
type ForkMode string

// The modes. Any other value means ForksBuiltin.
const (
	ForksBuiltin ForkMode = "builtin" // only what is built in looks at them
	ForksAll     ForkMode = "all"     // they are scanned as pushes are
	ForksOff     ForkMode = "off"     // they are not scanned, and their status fails
)

// Rule gives a Policy to the repositories that Match, a glob over "platform/project".
type Rule struct {
	Match  string
	Policy Policy
}

// Policies is the ordered list of rules; the first match wins.
type Policies []Rule

// For finds the policy of a project; ok is false for a repository that is not configured.
func (p Policies) For(platform, project string) (policy Policy, ok bool) {
	if at := p.Find(platform, project); at >= 0 {
		return p[at].Policy, true
	}
	return Policy{}, false
}

// Comment tells whether requests of any project get a comment.
func (p Policies) Comment() bool {
	return slices.ContainsFunc(p, func(rule Rule) bool { return rule.Policy.Comment.Writes() })
}

// Find is the place of the rule for a project; -1 for a repository that is not configured.
func (p Policies) Find(platform, project string) int {
	return slices.IndexFunc(p, func(rule Rule) bool { return MatchesProject(rule.Match, platform, project) })
}

// MatchesProject tells whether a glob over platform/project matches a project. Like the platforms, it ignores case.
func MatchesProject(glob, platform, project string) bool {
	matched, _ := doublestar.Match(strings.ToLower(glob), ProjectKey(platform+"/"+project))
	return matched
}

// Refuses says why a push is not scanned; empty for a push that is.
func (p Policy) Refuses(push Push) string {
	switch branch, tag := push.Branch(), push.Tag(); {
	case push.Deleted:
		return fmt.Sprintf("%s was deleted", push.Ref)
	case tag != "" && !matchesAny(p.Tags, tag):
		return fmt.Sprintf("tag %s is not among the configured tags", tag)
	case branch != "" && !p.wants(branch):
		return fmt.Sprintf("branch %s is not among the configured branches", branch)
	case branch == "" && tag == "":
		return fmt.Sprintf("%s is neither a branch nor a tag", push.Ref)
	case !IsCommitSHA(push.CommitSHA):
		return fmt.Sprintf("the push of %s names no commit", push.Ref)
	}
	return ""
}

// RefusesRequest says why a request is not scanned; empty for one that is. It is wanted as the branch is into which it goes.
func (p Policy) RefusesRequest(r Request) string {
	switch {
	case r.Action == RequestClosed && r.Fork:
		return r.Called() + " was closed: jobs that have not started end"
	case r.Action == RequestClosed:
		return r.Called() + " was closed; its branch is scanned when it is pushed"
	case !p.wants(r.Target):
		return fmt.Sprintf("%s goes into branch %s, which is not among the configured branches", r.Called(), r.Target)
	}
	return ""
}

// wants tells whether a branch is scanned: what a merge queue tries is scanned as the branch is for which it does.
func (p Policy) wants(branch string) bool {
	if target, queued := QueueTarget(branch); queued {
		branch = target
	}
	return matchesAny(p.Branches, branch)
}

// RefusesPipeline says why a pipeline is not recorded; empty for one that is. An unknown branch is not refused.
func (p Policy) RefusesPipeline(run Pipeline) string {
	switch {
	case run.Tag != "" && !matchesAny(p.Tags, run.Tag):
		return fmt.Sprintf("tag %s is not among the configured tags", run.Tag)
	case run.Branch != "" && !p.wants(run.Branch):
		return fmt.Sprintf("branch %s is not among the configured branches", run.Branch)
	case run.ID <= 0 || !IsCommitSHA(run.CommitSHA):
		return "the event names no pipeline or no commit"
	}
	return ""
}

// Jobs names the jobs that a scan waits for.
func (p Policy) Jobs() (names []string) {
	for _, scanner := range p.Scanners {
		names = append(names, p.JobsOf(scanner)...)
	}
	return names
}

// JobsOf names the jobs of one scanner that a scan waits for.
func (p Policy) JobsOf(scanner string) (names []string) {
	if len(p.Categories[scanner]) == 0 {
		return []string{scanner}
	}
	for _, category := range p.Categories[scanner] {
		names = append(names, JobName(scanner, category))
	}
	return names
}

// maxCategories bounds the jobs of one scanner in a scan.
const maxCategories = 100

// JobPlan is how the jobs of a scan change before it takes reports.
type JobPlan struct {
	Renamed int64    // id of the job that has waited for any report of the scanner, and becomes that of the first category; 0 for none
	Name    string   // that it gets
	Await   []string // further jobs that the scan waits for
}

// PlanReports decides how the jobs of a scan change when reports of these categories of a scanner come. ErrInvalid where there would be
// too many.
func (p Policy) PlanReports(scan Scan, jobs []Job, scanner string, categories []string) (plan JobPlan, err error) {
	known := map[string]bool{}
	for _, job := range jobs {
		if ScannerOf(job.Scanner) == scanner {
			known[job.Scanner] = true
		}
	}
	wanted := []string{}
	for _, category := range categories {
		wanted = append(wanted, JobName(scanner, category))
	}
	for _, job := range jobs {
		waits := job.State == JobPending || job.State == JobSuperseded || job.State == JobFailed && job.Worker == "" // in vain until now
		if job.Scanner == scanner && waits && !slices.Contains(wanted, scanner) && len(wanted) > 0 && !known[wanted[0]] {
			plan.Renamed, plan.Name = job.ID, wanted[0]
			known[wanted[0]] = true
			delete(known, scanner)
		}
	}
	for _, name := range wanted {
		known[name] = true
	}
	for _, name := range p.JobsOf(scanner) {
		if !known[name] && len(p.Categories[scanner]) > 0 && !scan.Status.Ended() {
			plan.Await, known[name] = append(plan.Await, name), true
		}
	}
	if len(known) > maxCategories {
		err = fmt.Errorf("%w: the commit would have reports of more than %d categories of %s: does the name of the category change with each run?",
			ErrInvalid, maxCategories, scanner)
	}
	return plan, err
}

// ScannerKind says where a scanner runs.
type ScannerKind string

// The kinds.
const (
	BuiltIn  ScannerKind = "built in"  // here, and reads what is scanned as data only
	RunsHere ScannerKind = "runs here" // a command
	Uploaded ScannerKind = "upload"    // elsewhere; its reports are uploaded
)

// Scanners are all that are configured, by name.
type Scanners map[string]ScannerKind

// NotOnForks are the scanners of a repository that do not look at code from forks.
func (s Scanners) NotOnForks(p Policy) (names []string) {
	for _, name := range p.Scanners {
		if s[name] != BuiltIn && p.Forks != ForksAll {
			names = append(names, name)
		}
	}
	return names
}

// RefuseForks says why code from forks is not scanned at all; empty where it is.
func (s Scanners) RefuseForks(p Policy) string {
	switch {
	case p.Forks == ForksOff:
		return "not scanned: forks are off"
	case p.Forks != ForksAll && len(s.NotOnForks(p)) == len(p.Scanners):
		return "not scanned: no scanner of this repository looks at code from forks, see forks in the configuration"
	}
	return ""
}

// UploadsOf are the scanners whose uploaded reports a repository accepts: those of kind Uploaded that its policy lists or, where
// it lists no scanner at all, all that are configured.
func (s Scanners) UploadsOf(p Policy) []string {
	listed := p.Scanners
	if len(listed) == 0 {
		listed = slices.Sorted(maps.Keys(s))
	}
	var uploads []string
	for _, name := range listed {
		if s[name] == Uploaded {
			uploads = append(uploads, name)
		}
	}
	return uploads
}

// AdmitReport is nil when a repository with this policy accepts uploaded reports of the scanner. ErrConflict for a scanner that
// runs here, whether or not the repository lists it; ErrInvalid, with the valid names, for any other.
func (s Scanners) AdmitReport(p Policy, scanner string) error {
	uploads := s.UploadsOf(p)
	switch {
	case s[scanner] == RunsHere || s[scanner] == BuiltIn:
		return fmt.Errorf("%w: %s runs here and takes no reports from outside; rescan the commit to have it run again",
			ErrConflict, scanner)
	case slices.Contains(uploads, scanner):
		return nil
	case len(uploads) == 0:
		return fmt.Errorf("%w: no scanner of this repository takes reports: add %.64q with upload: true to scanners in the "+
			"configuration, and to the repository's scanners", ErrInvalid, scanner)
	}
	return fmt.Errorf("%w: %.64q is no scanner whose reports this repository takes; there are: %s",
		ErrInvalid, scanner, strings.Join(uploads, ", "))
}

func matchesAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool { return Matches(glob, name) })
}

// Matches tells whether a glob matches a name; ** crosses slashes.
func Matches(glob, name string) bool {
	matched, _ := doublestar.Match(glob, name)
	return matched
}

// Scopes are the globs over platform/project of those repositories in the configuration that have webhook secrets of
// their own, in its order.
type Scopes []string

// Of returns the index of the scope that authorizes calls for a project: the first that matches, or -1. It is also -1
// where only another address of the project matches. Otherwise the secret for the rest of acme would be accepted for
// acme/shop under the name acme/shop.git.
func (s Scopes) Of(platform, project string) int {
	for i, glob := range s {
		if MatchesProject(glob, platform, project) {
			return i
		}
		if MatchesProject(glob, platform, ProjectAddress(project)) {
			return -1
		}
	}
	return -1
}
