package core

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Origins of scans that are asked for here.
const (
	OriginRescan   = "rescan"   // a further scan of a commit that had one
	OriginBaseline = "baseline" // a scan of a commit with which a branch is compared, and which nobody had scanned
)

// ScanStatus is the state of a scan.
type ScanStatus string

// The life of a scan: pending until a job starts, processing until every job ended, then completed or failed.
const (
	ScanPending    ScanStatus = "pending"
	ScanProcessing ScanStatus = "processing"
	ScanCompleted  ScanStatus = "completed"
	ScanFailed     ScanStatus = "failed"
)

// Ended tells whether the scan is over.
func (s ScanStatus) Ended() bool { return s == ScanCompleted || s == ScanFailed }

// ForComparison tells whether the scan is one that nobody but a comparison asked for. Its commit shows no status.
func (s Scan) ForComparison() bool { return s.Origin == OriginBaseline }

// Scan is the examination of one commit of one project. Its db tags are the columns of the table scans.
type Scan struct {
	ID                    int64      `db:"id"`
	ReferenceID           string     `db:"reference_id"` // UUID, the public name
	ProjectID             int64      `db:"project_id"`
	SourcePlatform        string     `db:"source_platform"`
	ProjectName           string     `db:"project_name,computed"` // the project's present name; the table keeps the one it had
	ProjectRef            string     `db:"project_ref,computed"`  // the project's id on its platform, or empty
	RepoURL               string     `db:"repo_url"`
	Ref                   string     `db:"ref"`    // full name of the branch or tag that brought the commit first; empty where unknown
	Branch                string     `db:"branch"` // its short name
	DefaultBranch         string     `db:"default_branch"`
	CommitSHA             string     `db:"commit_sha"`
	BeforeSHA             string     `db:"before_sha"`
	CommitTitle           string     `db:"commit_title"`  // the first line of its message; empty where nobody told
	CommitAuthor          string     `db:"commit_author"` // its author's name, likewise
	Attempt               int        `db:"attempt"`       // 1, and one more for each rescan
	FirstScanID           *int64     `db:"first_scan_id"` // the first attempt, which names the commit; nil for that itself
	Context               string     `db:"context"`       // name of its commit status
	Origin                string     `db:"origin"`        // what started the scan: push, upload, manual, pipeline…
	Timestamp             time.Time  `db:"timestamp"`
	Status                ScanStatus `db:"status"`
	Verdict               *Verdict   `db:"verdict"`        // nil until completed
	VerdictReason         string     `db:"verdict_reason"` // the rules of the gate that decided
	Deciding              string     `db:"deciding"`       // DecidingIDs as they are stored
	NumDeciding           int        `db:"num_deciding"`   // findings that decided, those that Deciding leaves out included
	Summary               string     `db:"summary"`
	Error                 string     `db:"error"`         // why a failed scan failed, a sentence
	SupersededBy          string     `db:"superseded_by"` // the commit whose push ended jobs of this scan, or empty
	NumChangedFiles       *int       `db:"num_changed_files"`
	ChangedFilesTruncated bool       `db:"changed_files_truncated"`
	MergeBaseSHA          string     `db:"merge_base_sha"` // where the branch left its target; empty where unknown
	TargetBranch          string     `db:"target_branch"`  // of the open request with this head; empty where there is none
	Fork                  bool       `db:"fork"`           // only requests from forks have brought the commit: it is a stranger's
	Refused               string     `db:"refused"`        // why the commit is not scanned at all; empty where it is
	BaselineScanID        *int64     `db:"baseline_scan_id"`
	SharedRefs            bool       `db:"shared_refs"` // another branch points at the commit, too: never superseded
	DeliveryID            *int64     `db:"delivery_id"` // the call that opened it; nil where none did
	OverrideJSON          string     `db:"override"`    // Override as it is stored
	DeadlineAt            time.Time  `db:"deadline_at"`
	StartedAt             *time.Time `db:"started_at"`
	FinishedAt            *time.Time `db:"finished_at"`
}

// First is the number of the commit's first scan. It names the commit for as long as it has scans.
func (s Scan) First() int64 {
	if s.FirstScanID != nil {
		return *s.FirstScanID
	}
	return s.ID
}

// OnDefaultBranch tells whether the scan belongs to the project's default branch.
func (s Scan) OnDefaultBranch() bool {
	return s.DefaultBranch != "" && s.Ref == BranchRef(s.DefaultBranch)
}

// MergeTarget is the branch into which the commit is to go: that of its request, or else the default branch. What stands on the default
// branch goes nowhere.
func (s Scan) MergeTarget() string {
	if s.OnDefaultBranch() {
		return s.DefaultBranch
	}
	return cmp.Or(s.TargetBranch, s.DefaultBranch)
}

// Verdict is the decision of the gate about a completed scan.
type Verdict string

// The two verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
)

// PutDeciding sets which of the scan's findings decided the verdict, and how many there are in all.
func (s *Scan) PutDeciding(ids []int64, total int) {
	s.NumDeciding, s.Deciding = total, ""
	if len(ids) > 0 {
		list, _ := json.Marshal(ids) // numbers always have a JSON form
		s.Deciding = string(list)
	}
}

// DecidingIDs are the findings that decided the verdict, the most severe first, at most MaxDeciding.
func (s Scan) DecidingIDs() []int64 {
	ids := []int64{}
	_ = json.Unmarshal([]byte(s.Deciding), &ids) // written by PutDeciding; empty where no finding decided
	return ids
}

// JobState is the state of one scanner's part of a scan.
type JobState string

// The life of a job. Superseded jobs never started, because a newer push made them needless.
const (
	JobPending    JobState = "pending"
	JobRunning    JobState = "running"
	JobCompleted  JobState = "completed"
	JobFailed     JobState = "failed"
	JobSuperseded JobState = "superseded"
)

// Ended tells whether the job will not change without a new report.
func (s JobState) Ended() bool { return s != JobPending && s != JobRunning }

// Job is one scanner's part of a scan. Its db tags are the columns of the table scan_jobs.
type Job struct {
	ID           int64      `db:"id"`
	ScanID       int64      `db:"scan_id"`
	ProjectID    int64      `db:"project_id"` // of the scan, whose jobs take turns with those of others
	Fork         bool       `db:"fork"`       // the scan is of a fork's commit: it comes after those of the project's own
	Scanner      string     `db:"scanner"`    // its JobName
	State        JobState   `db:"state"`
	Attempt      int        `db:"attempt"`      // how often it was started; together with the worker it identifies a claim
	Worker       string     `db:"worker"`       // who runs it, or ran it last
	Lapses       int        `db:"lapses"`       // leases that expired: workers that died
	LostWorkers  string     `db:"lost_workers"` // their names
	Failures     int        `db:"failures"`     // for temporary reasons
	LeaseUntil   *time.Time `db:"lease_until"`
	NotBefore    *time.Time `db:"not_before"` // when a job that is tried again may start
	Error        string     `db:"error"`
	NumFindings  int        `db:"num_findings"`
	NumUnchanged int        `db:"num_unchanged"` // of them, those that the baseline has
	NumAbsent    int        `db:"num_absent"`    // findings of the baseline that are gone: fixed
	StartedAt    *time.Time `db:"started_at"`
	FinishedAt   *time.Time `db:"finished_at"`
	CoverageJSON string     `db:"coverage"` // Coverage as it is stored
	Turned       bool       `db:"turned"`   // an earlier report of it failed the gate, and the present one does not

	BaselineScanID *int64 `db:"baseline_scan_id"`         // the scan whose findings of the same scanner are the baseline
	BaselineCommit string `db:"baseline_commit,computed"` // of that scan; only listed, not stored
}

// maxCategory bounds the name of a category, in bytes.
const maxCategory = 200

// CleanCategory is the name of a category as it is kept; empty for none. Slashes around it do not count. ErrTooLarge for one that is too
// long.
func CleanCategory(name string) (string, error) {
	clean := strings.Trim(strings.Join(strings.Fields(Printable(name)), " "), "/ ")
	if len(clean) > maxCategory {
		return "", fmt.Errorf("%w: the name of a category has more than %d bytes", ErrTooLarge, maxCategory)
	}
	return clean, nil
}

// JobName names the job of a scanner, or of one category of its reports: codeql/language:go. Names of scanners have no slash.
func JobName(scanner, category string) string {
	if category == "" {
		return scanner
	}
	return scanner + "/" + category
}

// ScannerOf is the scanner of a job, its key in the configuration.
func ScannerOf(job string) string {
	scanner, _, _ := strings.Cut(job, "/")
	return scanner
}

// Uploader is the Worker of jobs whose reports are uploaded.
const Uploader = "upload"

// Finish ends a job with its report, of which so many findings are unchanged and so many of the baseline's are absent.
func (j *Job) Finish(report Report, unchanged, absent int, now time.Time) {
	j.State, j.Error = report.JobState()
	j.NumFindings, j.NumUnchanged, j.NumAbsent = report.Len(), unchanged, absent
	if j.State == JobFailed {
		j.NumAbsent = 0
	}
	j.PutCoverage(report.Coverage)
	j.FinishedAt = &now
}

// PutCoverage replaces what the scanner searched and left out; nil where it does not tell.
func (j *Job) PutCoverage(c *Coverage) {
	j.CoverageJSON = ""
	if c != nil {
		text, _ := json.Marshal(c) // numbers and texts always have a JSON form
		j.CoverageJSON = string(text)
	}
}

// Coverage is what the scanner searched and left out; nil where it does not tell.
func (j Job) Coverage() *Coverage {
	c := new(Coverage)
	if json.Unmarshal([]byte(j.CoverageJSON), c) != nil { // written by PutCoverage; empty where the scanner does not tell
		return nil
	}
	return c
}

// ForeignJob is a job of a scanner that does not look at code from forks, which is all that it did not search.
func ForeignJob(scan Scan, scanner string) Job {
	job := Job{
		ScanID: scan.ID, ProjectID: scan.ProjectID, Fork: scan.Fork, Scanner: scanner, State: JobCompleted, FinishedAt: &scan.Timestamp,
	}
	left := new(Coverage)
	left.LeaveOut(LeftFork, 1, scanner)
	job.PutCoverage(left)
	return job
}

// LeftToOthers tells whether the scanner did not look at the commit, because it is from a fork.
func (j Job) LeftToOthers() bool { return j.Coverage().leavesForks() }

// CoverageOf is what the scanners of jobs searched and left out together; nil where none of them tells.
func CoverageOf(jobs []Job) (sum *Coverage) {
	for _, job := range jobs {
		if c := job.Coverage(); c != nil {
			if sum == nil {
				sum = new(Coverage)
			}
			sum.Add(*c)
		}
	}
	return sum
}

// Settle derives a scan's state from its jobs. An ended scan is to be judged afterwards. A scan without jobs fails when it
// is overdue.
func (s *Scan) Settle(jobs []Job, overdue bool, now time.Time) {
	s.Status, s.Error = ScanStatusOf(jobs)
	switch {
	case len(jobs) == 0 && s.Refused != "":
		s.Status, s.Error = ScanFailed, s.Refused
	case len(jobs) == 0 && overdue:
		s.Status, s.Error = ScanFailed, DeadlineError(s.DeadlineAt.Sub(s.Timestamp))
	}
	s.Verdict, s.VerdictReason, s.Summary, s.FinishedAt = nil, "", "", nil
	s.PutDeciding(nil, 0)
	if s.Status.Ended() {
		s.FinishedAt = &now
	}
}

// JobState is how the report ends its job, and why if it fails it.
func (r Report) JobState() (JobState, string) {
	if r.Failure != "" {
		return JobFailed, r.Failure
	}
	return JobCompleted, ""
}

// ScanStatusOf derives a scan's state, and the reason when it failed, from its jobs.
// A scan without jobs waits for uploads and is pending.
func ScanStatusOf(jobs []Job) (ScanStatus, string) {
	var started, open, superseded int
	var failure string
	for _, job := range jobs {
		switch {
		case !job.State.Ended():
			open++
			if job.State == JobRunning {
				started++
			}
		case job.State == JobSuperseded:
			superseded++
		default:
			started++
			if job.State == JobFailed && failure == "" {
				failure = job.Scanner + ": " + job.Error
			}
		}
	}
	switch {
	case len(jobs) == 0 || open > 0 && started == 0:
		return ScanPending, ""
	case open > 0:
		return ScanProcessing, ""
	case failure != "":
		return ScanFailed, failure
	case superseded > 0:
		return ScanFailed, supersededError(jobs)
	}
	return ScanCompleted, ""
}

func supersededError(jobs []Job) string {
	for _, job := range jobs {
		if job.State == JobSuperseded {
			return job.Error
		}
	}
	return ""
}

// SupersededError is the reason of jobs that never started because the branch moved on to sha.
func SupersededError(sha string) string { return "Superseded by a newer push: " + ShortSHA(sha) }

// Closed stands in Scan.SupersededBy for a commit that nobody wants to merge any more.
const Closed = "closed"

// ClosedError is the reason of jobs that never started because the request that brought the commit was closed.
const ClosedError = "Not scanned: the request was closed before"

// DeadlineError is the reason of jobs that did not report within the scan timeout.
func DeadlineError(timeout time.Duration) string {
	return fmt.Sprintf("no result within %s", timeout)
}
