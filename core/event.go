package core

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Delivery is one verified webhook call, translated from the platform's format.
type Delivery struct {
	Platform     string       // the platform's key in the configuration, for example "github"
	Key          string       // the same when the platform sends the call again
	Name         string       // the platform's own event name, for example "push" or "Pipeline Hook"
	Project      string       // full path of the project, empty where the event has none
	ProjectID    int64        `json:"-"` // number of the kept project; 0 while it is not known
	ReceivedAt   time.Time    // UTC
	Event        Event        // Push, Request, Pipeline, CheckAction, ObservedStatus, ProjectChange or Ignored
	Verification Verification // how the call proved to be authentic
}

// Subject is the project that the event is about, zero where it is about none.
func (d Delivery) Subject() Project {
	if d.Event == nil {
		return Project{}
	}
	return d.Event.Subject()
}

// OriginReconcile is the origin of a scan whose push no webhook announced, and the event name in the log of deliveries.
const OriginReconcile = "recover"

// OriginRequest is the origin of a scan that a request started.
const OriginRequest = "request"

// Origin is the origin of scans that the delivery starts.
func (d Delivery) Origin() string {
	if d.Name == OriginReconcile {
		return OriginReconcile
	}
	return "push"
}

// Event is what a delivery announces: a Push, a Request, a Pipeline, a CheckAction, an ObservedStatus, a ProjectChange or something Ignored.
type Event interface {
	// Subject is the project that the event is about, as the payload describes it; zero for what is ignored.
	Subject() Project
	// WithoutRef is the event without the numeric id of its project, for senders who may state a wrong one.
	WithoutRef() Event
}

// Ignored is an authentic delivery that starts nothing; Reason is a sentence for the answer and the delivery log.
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
	Commit    CommitInfo `json:",omitzero"`  // of the commit to scan
	Dropped   string     `json:",omitempty"` // the commit that nobody wants scanned any more, because the ref was deleted; usually empty
	Files     ChangedFiles
}

// CommitInfo is what a commit says of itself, as platforms tell it: one line each, empty where they do not.
type CommitInfo struct {
	Title  string `json:",omitempty"` // the first line of its message
	Author string `json:",omitempty"` // the author's name
}

// Branch is the short name of the branch that moved, or empty for anything else.
func (p Push) Branch() string { return BranchOf(p.Ref) }

// Tag is the short name of the tag that moved, or empty for anything else.
func (p Push) Tag() string { return TagOf(p.Ref) }

// RequestAction is what happened to a request.
type RequestAction string

// The actions that matter here.
const (
	RequestOpened     RequestAction = "opened" // or reopened
	RequestPushed     RequestAction = "pushed" // it has another head
	RequestRetargeted RequestAction = "retargeted"
	RequestClosed     RequestAction = "closed" // or merged
)

// Request is a pull or merge request of a project, as an event describes it.
type Request struct {
	Project   Project // into which it is to be merged
	Number    int64
	Action    RequestAction
	Head      string     // the commit to scan and to post to
	Before    string     // the head before; empty where unknown
	Ref       string     // its head among the project's refs
	Branch    string     // short name, in its own repository
	Target    string     // short name of the branch into which it is to be merged
	Fork      bool       // the head belongs to another repository
	UpdatedAt time.Time  // as of when it is described; zero where the platform does not say
	Commit    CommitInfo `json:",omitzero"` // of the head
}

// Subject is part of Event.
func (r Request) Subject() Project { return r.Project }

// WithoutRef is part of Event.
func (r Request) WithoutRef() Event {
	r.Project.Ref = ""
	return r
}

// Called is what people call the request.
func (r Request) Called() string { return fmt.Sprintf("request %d", r.Number) }

// Kept is the request as it is kept from then on.
func (r Request) Kept(project int64) KeptRequest {
	return KeptRequest{
		ProjectID: project, Number: r.Number, Fork: r.Fork, HeadSHA: r.Head, Branch: r.Branch, Target: r.Target,
		IsOpen: r.Action != RequestClosed, UpdatedAt: r.UpdatedAt,
	}
}

// KeptRequest is what is known of a request. Its db tags are the columns of the table requests.
type KeptRequest struct {
	ProjectID int64     `db:"project_id"`
	Number    int64     `db:"number"`
	Fork      bool      `db:"fork"`
	HeadSHA   string    `db:"head_sha"`
	Branch    string    `db:"branch"`
	Target    string    `db:"target"`
	IsOpen    bool      `db:"is_open"`
	UpdatedAt time.Time `db:"updated_at"`
}

// IsBefore tells whether an event describes the request as it was before what is known. Platforms give times in whole seconds:
// within one of them, the commits tell.
func (r Request) IsBefore(known KeptRequest) bool {
	switch order := cmp.Compare(r.UpdatedAt.Unix(), known.UpdatedAt.Unix()); {
	case known.Number == 0:
		return false
	case order != 0:
		return order < 0
	case r.Action == RequestClosed:
		return false
	case r.Action == RequestOpened:
		return known.IsOpen && r.Head != known.HeadSHA
	}
	return !known.IsOpen
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
	Status          string // state of the run, in the platform's words
	Conclusion      string // outcome in GitHub's words; empty until it is known, and on GitLab
	URL             string
	Duration        *time.Duration // nil until the platform knows it; never negative
	Queued          *time.Duration // nil where unknown
	ArtifactBytes   *int64         // nil where the event does not carry sizes
	AskArtifacts    bool           // the event cannot carry sizes: the platform must be asked
	CreatedAt       time.Time      // zero where unknown
	FinishedAt      time.Time      // zero until finished
	UpdatedAt       time.Time      // zero where unknown
	Parent          *PipelineParent
	MergeRequestIID int64 // 0 when the pipeline does not belong to a merge request
}

// SourceMergeRequest is GitLab's Source of pipelines that belong to a merge request; their child pipelines have another.
const SourceMergeRequest = "merge_request_event"

// ProjectChange is a project that was renamed, moved, edited or deleted.
type ProjectChange struct {
	Project Project // as it is now
	Action  string  // in the platform's words, for the log of deliveries
	Deleted bool
}

// Reason says in the log of deliveries what the change leads to.
func (c ProjectChange) Reason() string {
	if c.Deleted {
		return "the project was deleted (" + c.Action + "): its name is free for another one"
	}
	return "the project itself changed (" + c.Action + "): all that is known of it stays with it, and nothing is to be scanned"
}

// CheckAction is a button of a check run that somebody pressed on the platform.
type CheckAction struct {
	Project   Project
	CommitSHA string
	CheckID   int64  // the platform's number of the check run; 0 where all of the commit are to be run again
	Button    string // as we named it; empty for the platform's own, which has the check run again
	Login     string // of who pressed it
	UserID    int64  // which stays when the login changes
	Digest    string // of the call's content: it is the same when somebody sends that once more, under whatever key
}

// Actor names on the audit log who pressed it.
func (a CheckAction) Actor(platform string) string { return a.Login + " (" + platform + ")" }

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
func (a CheckAction) Subject() Project { return a.Project }

// Subject is part of Event.
func (c ProjectChange) Subject() Project { return c.Project }

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
func (a CheckAction) WithoutRef() Event {
	a.Project.Ref = ""
	return a
}

// WithoutRef is part of Event.
func (c ProjectChange) WithoutRef() Event {
	c.Project.Ref = ""
	return c
}

// WithoutRef is part of Event.
func (i Ignored) WithoutRef() Event { return i }

// Project is a repository on a platform, as a payload, a job or a person names it.
type Project struct {
	Name          string // full path: owner/repo, group/sub/project
	Ref           string // the platform's numeric id as text; survives renames; empty where unknown
	URL           string // page for people, http(s) only, as the platform states it; never called by us
	CloneURL      string // as the platform states it; informational, what is cloned is built from configuration
	DefaultBranch string // empty where unknown

	AsOf time.Time // when it was so; zero where the platform does not say
}

// ProjectKey is the form of a project's name for comparison: platforms compare names without case.
func ProjectKey(name string) string { return strings.ToLower(name) }

// references is the namespace of the reference ids that ReferenceOf makes.
var references = uuid.MustParse("7b0d3a52-1c5e-5d0c-9f0e-5ca4a0000001")

// ReferenceOf is the reference_id of the first scan of a commit, known before the scan is. A project is told by its numeric id,
// and by its name only where that is unknown.
func ReferenceOf(platform, ref, name, sha string) string {
	if ref == "" {
		ref = "name:" + ProjectKey(name)
	}
	return uuid.NewSHA1(references, []byte(platform+"\x00"+ref+"\x00"+strings.ToLower(sha))).String()
}

// SameProject tells whether two names are spellings of one.
func SameProject(name, other string) bool { return ProjectKey(name) == ProjectKey(other) }

// ProjectAddress is the form of a project's path that all its addresses share: platforms take acme/Shop.git for acme/shop.
func ProjectAddress(path string) string { return strings.TrimSuffix(ProjectKey(path), ".git") }

// KeptProject is a project as it is kept. Its db tags are the columns of the table projects.
type KeptProject struct {
	ID            int64      `db:"id"`
	Platform      string     `db:"platform"`
	Ref           string     `db:"platform_ref"` // the platform's numeric id as text; empty while only the name is known
	Name          string     `db:"name"`         // the present one, or the last one of a project that is gone
	NameKey       string     `db:"name_key"`     // ProjectKey of it
	DefaultBranch string     `db:"default_branch"`
	RepoURL       string     `db:"repo_url"`
	SeenAt        time.Time  `db:"seen_at"`    // as of when all this is known
	DeletedAt     *time.Time `db:"deleted_at"` // as of when the platform said that it is deleted
	GoneAt        *time.Time `db:"gone_at"`    // nil while the name is its own
}

// ChangedFiles counts the distinct files that the commits of a push touch.
type ChangedFiles struct {
	Count     *int // nil where the payload has no file lists
	Truncated bool // true when the payload lists fewer commits or files than the push has: Count is a lower bound
}

// Outcome is what a delivery or a request for a scan led to.
type Outcome string

// The outcomes of an authentic delivery. The answer to a webhook states Accepted, OutcomeIgnored or Duplicate: what an
// accepted one leads to is known a moment later.
const (
	Accepted         Outcome = "accepted"
	ScanCreated      Outcome = "scan_created"
	ScanExists       Outcome = "scan_exists"
	PipelineRecorded Outcome = "pipeline_recorded"
	ActionTaken      Outcome = "action_taken"
	OutcomeIgnored   Outcome = "ignored"
	Duplicate        Outcome = "duplicate"
)

// DeliveryState is how far a kept delivery has come.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryKept    DeliveryState = "kept"    // on disk, nothing follows from it yet
	DeliveryDerived DeliveryState = "derived" // what follows from it is on disk, too
	DeliveryIgnored DeliveryState = "ignored" // nothing follows from it
	DeliveryFailed  DeliveryState = "failed"  // set aside: it cannot be read, or what follows cannot be saved
)

// DeliveryStates are all of them.
var DeliveryStates = []DeliveryState{DeliveryKept, DeliveryDerived, DeliveryIgnored, DeliveryFailed}

// Call is a verified webhook call as it is kept. Of one that could not be read, only the head of the Delivery is known.
type Call struct {
	Delivery
	Raw       []byte        // what is read later, see httpx.Pack
	Unread    bool          // it could not be read yet
	State     DeliveryState // DeliveryKept or DeliveryIgnored
	Reason    string        // why it is ignored
	Promised  string        // reference_id of the scan that it asks for, or empty
	CommitSHA string        // of that scan
	Unnamed   bool          // the numeric id of its project is not to be believed, see Event.WithoutRef
}

// KeptCall is a call that was kept, to be read.
type KeptCall struct {
	ID         int64     `db:"id"`
	Platform   string    `db:"platform"`
	Key        string    `db:"delivery_key"`
	Project    string    `db:"project_name"` // for which it was authorized; empty where it could not be read then
	Unnamed    bool      `db:"unnamed"`
	VerifiedBy string    `db:"verified_by"`
	Signed     bool      `db:"signed"`
	ReceivedAt time.Time `db:"received_at"`
	Raw        []byte    `db:"-"`
}

// Receipt is the answer to a delivery.
type Receipt struct {
	Outcome   Outcome
	Delivery  int64  // where the call is kept; 0 where it was not kept first
	Reference string // reference_id of the scan, or empty
	Reason    string // a sentence, where nothing was done
}

// KeptDelivery is a row of the log of deliveries. Its db tags are the columns of the table deliveries.
type KeptDelivery struct {
	ID          int64         `db:"id"`
	Platform    string        `db:"platform"`
	Key         string        `db:"delivery_key"` // the same when the platform sends the call again
	Event       string        `db:"event"`        // the platform's own event name
	ProjectName string        `db:"project_name"` // as it was then
	ProjectID   *int64        `db:"project_id"`   // nil where the project is not known
	State       DeliveryState `db:"state"`
	Outcome     Outcome       `db:"outcome"` // empty until it is derived
	Reason      string        `db:"reason"`  // why nothing follows from it
	Error       string        `db:"error"`   // why it is set aside
	ScanID      *int64        `db:"scan_id"`
	ReceivedAt  time.Time     `db:"received_at"`
	DerivedAt   *time.Time    `db:"derived_at"`            // when it was derived, ignored or set aside
	VerifiedBy  string        `db:"verified_by"`           // name of the secret that verified the call
	Signed      bool          `db:"signed"`                // otherwise the call carried the secret as a plain token
	ReferenceID string        `db:"reference_id,computed"` // of the scan, or of the one that it will have; only read
}

// Result is what a delivery led to, in one word: its outcome, or its state where it has none yet.
func (d KeptDelivery) Result() string { return cmp.Or(string(d.Outcome), string(d.State)) }

// Verification is how a webhook call proved to be authentic. It names the secret but does not contain it.
type Verification struct {
	SecretID string // identifies the secret independent of its place, 8 hexadecimal digits; empty where none was needed
	Place    string // of the secret in the configuration: webhook_secrets[0], repositories[2].signing_tokens[1]
	Scope    string // glob over platform/project of the projects that it authorizes; empty is the whole platform
	Signed   bool   // the body is signed; otherwise the call carried the secret as a plain token
	MaySign  bool   // calls for the project can be signed; after the first signed one, plain tokens are refused
}

// Secret is the name of the secret that may be shown, or empty.
func (p Verification) Secret() string { return SecretName(p.Place, p.SecretID) }

// SecretName names a secret by its place, which people know, and by its id, which stays the same when places change.
func SecretName(place, id string) string {
	if id == "" {
		return place
	}
	return place + " (" + id + ")"
}

// SecretPlace is a secret's name without its id.
func SecretPlace(name string) string {
	place, _, _ := strings.Cut(name, " (")
	return place
}

// SecretID is the id in a secret's name, or empty.
func SecretID(name string) string {
	_, id, _ := strings.Cut(name, " (")
	return strings.TrimSuffix(id, ")")
}

// SecretUsage says when a webhook secret verified calls. Its db tags are the columns of the table secret_usages.
type SecretUsage struct {
	Platform    string    `db:"platform"`
	SecretID    string    `db:"secret_id"`
	Place       string    `db:"place"` // where it stood in the configuration when it was used last
	FirstUsedAt time.Time `db:"first_used_at"`
	LastUsedAt  time.Time `db:"last_used_at"` // about a minute may be missing
}

// RefusedProject is a project whose calls are signed, for which unsigned calls were refused.
type RefusedProject struct {
	Platform      string    `db:"platform"`
	ProjectName   string    `db:"project_name"`
	FirstSignedAt time.Time `db:"first_signed_at"`
	LastSignedAt  time.Time `db:"last_signed_at"` // about a minute may be missing
	NumRefused    int       `db:"num_refused"`
	LastRefusedAt time.Time `db:"last_refused_at"`
}

// HookScope says what a webhook belongs to.
type HookScope string

// The scopes of webhooks. The events of a project come through those of its own, of all that it belongs to, and of an App
// that is installed on it.
const (
	ScopeProject HookScope = "project"
	ScopeGroup   HookScope = "group" // a GitLab group or a GitHub organisation
	ScopeApp     HookScope = "app"   // a GitHub App
)

// HookTarget is what webhooks are attached to. Owner is the full path of the project or group, empty for an App.
type HookTarget struct {
	Scope HookScope `db:"scope"`
	Owner string    `db:"owner,computed"`
}

func (t HookTarget) String() string {
	if t.Owner == "" {
		return "the GitHub App"
	}
	return string(t.Scope) + " " + t.Owner
}

// Covers tells whether a project's calls can come through the target.
func (t HookTarget) Covers(project string) bool {
	owner, name := strings.ToLower(t.Owner), strings.ToLower(project)
	return owner == "" || owner == name || t.Scope == ScopeGroup && strings.HasPrefix(name, owner+"/")
}
