package core

import (
	"strings"
	"time"
)

// Delivery is one verified webhook call, translated from a platform's words into ours.
type Delivery struct {
	Platform   string    // the platform's key in the configuration, for example "github"
	Key        string    // what makes the call the same call when it is sent again
	Name       string    // the platform's own event name, for example "push" or "Pipeline Hook"
	Project    string    // full path of the project, empty where the event has none
	ReceivedAt time.Time // UTC
	Event      Event     // Push, Pipeline or Ignored
	Proof      Proof     // how it proved to be authentic
}

// Subject is the project that the event is about, zero where it is about none.
func (d Delivery) Subject() Project {
	if d.Event == nil {
		return Project{}
	}
	return d.Event.Subject()
}

// Event is what a delivery announces: a Push, a Pipeline or something Ignored.
type Event interface {
	// Subject is the project that the event is about, as the payload describes it; zero for what is ignored.
	Subject() Project
	// WithoutRef is the event without the number of its project, for senders who could give another project's.
	WithoutRef() Event
}

// Ignored is an authentic delivery that asks nothing of us; Reason is a sentence for the answer and the delivery log.
type Ignored struct{ Reason string }

// Push is a branch or tag that moved.
type Push struct {
	Project   Project
	Ref       string // full: refs/heads/main, refs/tags/v1
	Before    string // all zeros when the ref was created
	After     string // all zeros when the ref was deleted; the tag object for an annotated tag
	CommitSHA string // the commit to scan and to post to; empty when the ref was deleted
	Created   bool
	Deleted   bool
	Forced    bool
	Files     ChangedFiles
}

// Pipeline is one state of one run of a CI pipeline.
type Pipeline struct {
	Project         Project
	ID              int64  // the platform's id of the run
	Attempt         int    // 1 for the first run, one more for each re-run; 0 where the platform does not count
	Name            string // workflow name on GitHub, pipeline name on GitLab, often empty there
	Source          string // what started it: push, schedule, merge_request_event, external…
	Branch          string // short name without refs/heads/, empty where unknown or a tag
	Tag             string // short tag name, empty for branches
	CommitSHA       string
	BeforeSHA       string
	Foreign         bool   // Branch is one of a fork
	Status          string // the platform's word for the state of the run
	Conclusion      string // GitHub's word for the outcome, empty until it is known and on GitLab
	URL             string
	Duration        *time.Duration // nil until the platform knows it; never negative
	Queued          *time.Duration // nil where the platform does not tell
	ArtifactBytes   *int64         // nil where the event does not carry sizes
	AskArtifacts    bool           // the event cannot carry sizes: the platform must be asked
	CreatedAt       time.Time      // zero where the platform does not tell
	FinishedAt      time.Time      // zero until finished
	UpdatedAt       time.Time      // zero where the platform does not tell
	Parent          *PipelineParent
	MergeRequestIID int64 // 0 when the pipeline does not belong to a merge request
}

// SourceMergeRequest is GitLab's Source of the pipelines that merge requests show as theirs; their children have another.
const SourceMergeRequest = "merge_request_event"

// PipelineParent names the pipeline that started a child or multi-project pipeline.
type PipelineParent struct {
	Project string
	ID      int64
}

// Subject is part of Event.
func (p Push) Subject() Project { return p.Project }

// Subject is part of Event.
func (p Pipeline) Subject() Project { return p.Project }

// Subject is part of Event.
func (Ignored) Subject() Project { return Project{} }

// WithoutRef is part of Event.
func (p Push) WithoutRef() Event {
	p.Project.Ref = ""
	return p
}

// WithoutRef is part of Event.
func (p Pipeline) WithoutRef() Event {
	p.Project.Ref = ""
	return p
}

// WithoutRef is part of Event.
func (i Ignored) WithoutRef() Event { return i }

// Project is a repository on a platform.
type Project struct {
	Name          string // full path: owner/repo, group/sub/project
	Ref           string // the platform's numeric id as text; survives renames; empty where unknown
	URL           string // page for people, http(s) only, as the platform states it; never called by us
	CloneURL      string // as the platform states it; informational, what is cloned is built from configuration
	DefaultBranch string // empty where unknown
}

// ProjectKey is what all spellings of a project's name have in common: platforms compare names without case.
func ProjectKey(name string) string { return strings.ToLower(name) }

// SameProject tells whether two names are spellings of one.
func SameProject(name, other string) bool { return ProjectKey(name) == ProjectKey(other) }

// ChangedFiles counts the distinct files that the commits of a push touch.
type ChangedFiles struct {
	Count     *int // nil where the payload has no file lists
	Truncated bool // true when the payload lists fewer commits or files than the push has: Count is a lower bound
}

// Outcome is what a delivery led to, in the words of the webhook's answer.
type Outcome string

// The outcomes of an authentic delivery.
const (
	ScanCreated      Outcome = "scan_created"
	ScanExists       Outcome = "scan_exists"
	PipelineRecorded Outcome = "pipeline_recorded"
	OutcomeIgnored   Outcome = "ignored"
	Duplicate        Outcome = "duplicate"
)

// KeptOutcomes are those that deliveries are kept with: a duplicate is not kept twice.
var KeptOutcomes = []Outcome{ScanCreated, ScanExists, PipelineRecorded, OutcomeIgnored}

// Receipt is the answer to a delivery.
type Receipt struct {
	Outcome   Outcome
	Reference string // reference_id of the scan, or empty
	Reason    string // a sentence where nothing was done
}
