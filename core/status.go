package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// StatusState is the state of a commit status; adapters translate it for their platform.
type StatusState string

// The states of a commit status. All but StatusPending are final.
const (
	StatusPending   StatusState = "pending"
	StatusSuccess   StatusState = "success"
	StatusFailure   StatusState = "failure"   // the gate failed
	StatusError     StatusState = "error"     // the scan itself failed
	StatusCancelled StatusState = "cancelled" // superseded by a newer push
)

// StatusKind is how a platform shows a status.
type StatusKind string

// The kinds. Only some platforms have check runs.
const (
	KindStatus StatusKind = "status" // a commit status
	KindCheck  StatusKind = "check"  // a check run
)

// Publishing is what a commit shows for its scan.
type Publishing string

// The ways to publish. Any other value means PublishStatus.
const (
	PublishStatus Publishing = "status"
	PublishCheck  Publishing = "check"
	PublishBoth   Publishing = "both"
)

// Kinds are those that a commit shows, on a platform that has check runs or not. There is always one.
func (p Publishing) Kinds(checks bool) []StatusKind {
	switch {
	case checks && p == PublishBoth:
		return []StatusKind{KindStatus, KindCheck}
	case checks && p == PublishCheck:
		return []StatusKind{KindCheck}
	}
	return []StatusKind{KindStatus}
}

// CheckContext is the name of a scan's check run, derived from that of its commit status. It is another one because GitHub wants
// both to succeed where a required check has the name of both.
func CheckContext(context string) string { return context + "/check" }

// Status is the desired status of a commit, with what was posted so far.
type Status struct {
	FirstScanID      int64       `db:"first_scan_id"` // names the commit
	ScanID           int64       `db:"scan_id"`
	ProjectID        int64       `db:"project_id"`
	SourcePlatform   string      `db:"source_platform"`
	ProjectName      string      `db:"project_name,computed"` // the project's present name
	ProjectRef       string      `db:"project_ref,computed"`  // the project's id on its platform, or empty
	CommitSHA        string      `db:"commit_sha"`
	Branch           string      `db:"branch"`
	Context          string      `db:"context"`
	Kind             StatusKind  `db:"kind"`
	State            StatusState `db:"state"`
	Description      string      `db:"description"`
	TargetURL        string      `db:"target_url"`
	Revision         int64       `db:"revision"` // grows with each change of what is desired
	PostedRevision   int64       `db:"posted_revision"`
	PostedState      StatusState `db:"posted_state"` // empty until something was posted
	PipelinePin      string      `db:"pipeline_pin"` // the platform's pipeline that the status belongs to (GitLab), or empty
	Attempts         int         `db:"attempts"`     // failed posts of this revision
	NextAttemptAt    time.Time   `db:"next_attempt_at"`
	LeaseUntil       *time.Time  `db:"lease_until"`
	LastError        string      `db:"last_error"`
	GivenUp          bool        `db:"given_up"` // this revision is not tried again
	Held             bool        `db:"held"`     // it waits for the end of a hold of its project or branch
	DesiredAt        time.Time   `db:"desired_at"`
	DueSince         time.Time   `db:"due_since"` // DesiredAt, or when the hold that it waited for ended
	PostedAt         *time.Time  `db:"posted_at"`
	LeftOut          string      `db:"left_out"`                // the part of the last post that the platform refused, and why; else empty
	ShownIn          string      `db:"shown_in"`                // where else than on the commit in its project the last post stands; usually empty
	PostedID         int64       `db:"posted_id"`               // the platform's id of the last post; 0 where unknown
	ObservedID       int64       `db:"observed_id"`             // the greatest id that was observed in its place
	RestoredRevision int64       `db:"restored_revision"`       // the last revision that restored ours
	Overwrites       int         `db:"overwrites"`              // how many times another program has replaced ours
	CheckAt          *time.Time  `db:"check_at"`                // when to compare it with what the platform shows
	Probe            int         `db:"probe,computed"`          // not 0: this post tests whether a hold may end, for the n-th time
	PushedAt         *time.Time  `db:"pushed_at,computed"`      // when the scan was requested; set only when claimed, and only for the scan's own status while no other kind of it is final on the platform
	Commented        bool        `db:"commented,computed"`      // its request has a comment that says the same; set only when posted
	MergePipeline    int64       `db:"merge_pipeline,computed"` // the commit's newest pipeline of a merge request (GitLab), or 0; set only when claimed
}

// FirstFinal tells whether s is the first final status after the push, of whichever kind.
func (s Status) FirstFinal() bool {
	return s.PushedAt != nil && s.State != StatusPending && (s.PostedState == "" || s.PostedState == StatusPending)
}

// DueBy tells whether the status is not posted yet and may be posted by then.
func (s Status) DueBy(then time.Time) bool {
	return s.PostedRevision < s.Revision && !s.GivenUp && !s.Held && s.NextAttemptAt.Before(then)
}

// StatusFor is the state and text of the status that a commit should show for its scan.
func StatusFor(s Scan) (StatusState, string) {
	state, text := s.statusByVerdict()
	o := s.Override()
	switch {
	case o == nil || state == StatusPending || state == StatusSuccess:
		return state, Truncate(text)
	case !o.Holds():
		return state, Truncate("Override ended: " + text)
	}
	return StatusSuccess, Truncate(fmt.Sprintf("Overridden by %s: %s. %s", o.By, o.Reason, text))
}

// statusByVerdict is StatusFor without an override.
func (s Scan) statusByVerdict() (StatusState, string) {
	switch {
	case !s.Status.Ended():
		return StatusPending, "Scan in progress"
	case s.Status == ScanFailed && s.Refused != "" && s.Error == s.Refused:
		return StatusFailure, s.Error
	case s.Status == ScanFailed && s.SupersededBy != "":
		return StatusCancelled, s.Error
	case s.Status == ScanFailed:
		return StatusError, "Scan failed: " + s.Error
	case s.Verdict != nil && *s.Verdict == Fail:
		return StatusFailure, s.Summary
	}
	return StatusSuccess, s.Summary
}

// Override is an administrator's word that turns the status of one commit green. It holds for what the administrator could see: more than
// that ends it.
type Override struct {
	By      string     `json:"by"`
	Reason  string     `json:"reason"`
	At      time.Time  `json:"at"`
	Seen    obstacle   `json:"seen"`
	EndedAt *time.Time `json:"ended_at,omitempty"` // nil while it holds
}

// maxOverrideReason is the length of a reason in bytes.
const maxOverrideReason = 500

// Holds tells whether the override has not ended.
func (o Override) Holds() bool { return o.EndedAt == nil }

// obstacle is what keeps the status of a commit from being green.
type obstacle struct {
	Status   ScanStatus `json:"status"`
	Error    string     `json:"error,omitempty"` // of a scan that failed
	Rules    string     `json:"rules,omitempty"` // of the gate
	Summary  string     `json:"summary,omitempty"`
	Findings []int64    `json:"findings,omitempty"` // that decided, at most MaxDeciding
	N        int        `json:"n,omitempty"`        // how many they are in all
}

func (s Scan) obstacle() obstacle {
	return obstacle{s.Status, s.Error, s.VerdictReason, s.Summary, s.DecidingIDs(), s.NumDeciding}
}

// covers tells whether nothing else stands in the way now.
func (o obstacle) covers(now obstacle) bool {
	if o.Status != now.Status || o.Error != now.Error || now.N > o.N {
		return false
	}
	if now.N == 0 && now.Status == ScanCompleted { // it is not a finding that fails it
		return o.Rules == now.Rules && o.Summary == now.Summary
	}
	rules := strings.Split(o.Rules, ", ")
	for rule := range strings.SplitSeq(now.Rules, ", ") {
		if !slices.Contains(rules, rule) {
			return false
		}
	}
	return !slices.ContainsFunc(now.Findings, func(id int64) bool { return !slices.Contains(o.Findings, id) })
}

// Override is the word about the scan's commit, or nil.
func (s Scan) Override() *Override {
	o := new(Override)
	if json.Unmarshal([]byte(s.OverrideJSON), o) != nil { // written by putOverride; empty where there is none
		return nil
	}
	return o
}

func (s *Scan) putOverride(o Override) {
	text, _ := json.Marshal(o) // texts and numbers always have a JSON form
	s.OverrideJSON = string(text)
}

// PutOverride turns the status of an ended scan's commit green. ErrConflict where that is not red, ErrInvalid without a reason.
func (s *Scan) PutOverride(by, reason string, now time.Time) error {
	reason = strings.Join(strings.Fields(reason), " ")
	state, _ := StatusFor(*s)
	switch {
	case state == StatusPending:
		return fmt.Errorf("%w: the scan has not ended; wait for its result before you override it", ErrConflict)
	case state == StatusSuccess:
		return fmt.Errorf("%w: the status is green already", ErrConflict)
	case state == StatusCancelled:
		return fmt.Errorf("%w: the commit was not scanned, %s; override the newer one", ErrConflict, s.Error)
	case reason == "":
		return fmt.Errorf("%w: say why the status is to be green", ErrInvalid)
	case len(reason) > maxOverrideReason || strings.ContainsRune(reason, 0):
		return fmt.Errorf("%w: the reason has %d bytes, at most %d without NUL are kept", ErrInvalid, len(reason), maxOverrideReason)
	}
	s.putOverride(Override{By: by, Reason: reason, At: now, Seen: s.obstacle()})
	return nil
}

// ReviewOverride ends the override of a scan in whose way stands more than was overridden. It tells whether it ended just now.
func (s *Scan) ReviewOverride(now time.Time) bool {
	o := s.Override()
	state, _ := s.statusByVerdict()
	if o == nil || !o.Holds() || state == StatusPending || state == StatusSuccess || o.Seen.covers(s.obstacle()) {
		return false
	}
	o.EndedAt = &now
	s.putOverride(*o)
	return true
}

// EndOverride takes an override back; ErrConflict where none holds.
func (s *Scan) EndOverride() error {
	if o := s.Override(); o == nil || !o.Holds() {
		return fmt.Errorf("%w: no override holds for the commit of this scan, there is nothing to take back", ErrConflict)
	}
	s.OverrideJSON = ""
	return nil
}

// PostOutcome is the result of an attempt to post a status.
type PostOutcome string

// The outcomes. PostOverwritten is not our attempt: another program posted in its place.
const (
	Posted          PostOutcome = "posted"
	PostRetry       PostOutcome = "retry"
	PostWaiting     PostOutcome = "waiting" // the platform asked for a pause, or the project is on hold
	PostGivenUp     PostOutcome = "given_up"
	PostOverwritten PostOutcome = "overwritten"
)

// StatusPost is an attempt to post a status, with the platform's answer; equal attempts are one.
type StatusPost struct {
	ID             int64       `db:"id"`
	FirstScanID    int64       `db:"first_scan_id"`
	ScanID         int64       `db:"scan_id"`
	Context        string      `db:"context"`
	Revision       int64       `db:"revision"`
	State          StatusState `db:"state"`
	Description    string      `db:"description"`
	Outcome        PostOutcome `db:"outcome"`
	Code           int         `db:"code"`   // HTTP status of the answer; 0 where none came
	Answer         string      `db:"answer"` // a sentence without secrets; empty on success
	Times          int         `db:"times"`  // equal attempts, at least 1
	At             time.Time   `db:"at"`     // end of the first attempt
	LastAt         time.Time   `db:"last_at"`
	Milliseconds   int64       `db:"latency_ms"`               // of the last attempt
	SourcePlatform string      `db:"source_platform,computed"` // only read
}

// ObservedStatus is a commit status as a platform shows or announces it: ours, or that of another program.
type ObservedStatus struct {
	Project     Project
	CommitSHA   string
	Context     string
	ID          int64       // the platform's id, which grows within a context; 0 where unknown
	State       StatusState // translated where there is a translation
	Description string
	Creator     string // who posted it, on the platform; empty where unknown
}

// Subject is part of Event.
func (s ObservedStatus) Subject() Project { return s.Project }

// WithoutRef is part of Event.
func (s ObservedStatus) WithoutRef() Event {
	s.Project.Ref = ""
	return s
}

// Drift is how an observed status relates to the one that we posted.
type Drift string

// The kinds of drift. Only DriftUnknown and DriftForeign require an action.
const (
	DriftOwn     Drift = "own"     // it is our last post
	DriftOlder   Drift = "older"   // it was posted before ours, or was handled before
	DriftEqual   Drift = "same"    // another program posted the same
	DriftPending Drift = "pending" // ours is about to be posted anyway
	DriftUnknown Drift = "unknown" // another status was posted, before or after ours: the platform must be asked
	DriftForeign Drift = "foreign" // the status of another program replaced ours
)

// DriftTo tells how an observed status of the same commit and context relates to s. Ids decide which is newer, because
// announcements arrive out of order and clocks differ.
func (s Status) DriftTo(seen ObservedStatus, now time.Time) Drift {
	switch {
	case s.PostedID != 0 && seen.ID == s.PostedID:
		return DriftOwn
	case s.PostedRevision != s.Revision || s.LeaseUntil != nil && s.LeaseUntil.After(now):
		return DriftPending
	case s.PostedID == 0 || seen.ID != 0 && (seen.ID < s.PostedID || seen.ID <= s.ObservedID):
		return DriftOlder
	case seen.State.colour() == s.State.colour() && bare(seen.Description) == bare(Truncate(s.Description)):
		return DriftEqual
	case seen.ID == 0:
		return DriftUnknown
	}
	return DriftForeign
}

// colour is the state as platforms show it: they have fewer states than Scanhook.
func (s StatusState) colour() StatusState {
	switch s {
	case StatusError, StatusCancelled:
		return StatusFailure
	}
	return s
}

// bare is a text without the characters that platforms, or Scanhook for their sake, may change.
func bare(text string) string {
	text = OnlyBMP(text)
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// HasContext tells whether a status of the context name replaces s on the platform. GitHub ignores the case.
func (s Status) HasContext(name string) bool { return strings.EqualFold(OnlyBMP(s.Context), name) }

const (
	firstRestorePause = 10 * time.Second // before ours is posted again that was replaced a second time
	lastRestorePause  = time.Hour        // GitHub takes 1,000 statuses of a name for a commit, those of the other program among them
	contestedFrom     = 2                // replacements, from which on people are told
)

// RestorePause is how long after another program replaced our status ours is posted again. The first time it is at once. Then the
// pauses grow, so that two programs that insist use up no limit of the platform.
func (s Status) RestorePause() time.Duration {
	pause := time.Duration(0)
	for range s.Overwrites {
		pause = min(max(2*pause, firstRestorePause), lastRestorePause)
		if pause == lastRestorePause {
			break
		}
	}
	return pause
}

// Restores tells whether what is to be posted, or was posted last, puts ours in the place of another program's.
func (s Status) Restores() bool { return s.RestoredRevision != 0 && s.RestoredRevision == s.Revision }

// Contested tells whether another program has replaced our status more than once.
func (s Status) Contested() bool { return s.Overwrites >= contestedFrom }

// CreatorName names who posted the status.
func (s ObservedStatus) CreatorName() string {
	if s.Creator == "" {
		return "somebody else"
	}
	return s.Creator
}

// DriftText is the sentence that is stored about a status that replaced ours.
func (s Status) DriftText(seen ObservedStatus) string {
	text := fmt.Sprintf("%s posted it in the place of %s; ours is posted again", seen.CreatorName(), s.State)
	if pause := s.RestorePause(); pause > 0 {
		text += fmt.Sprintf(" after a pause of %s", pause)
	}
	return text
}

// Hold pauses the posting of a project's statuses, because the token may not post them. They stay stored. A probe
// posts one of them now and then, and all others follow as soon as one succeeds.
type Hold struct {
	ID             int64     `db:"id"`
	ProjectID      int64     `db:"project_id"`
	SourcePlatform string    `db:"source_platform"`
	ProjectName    string    `db:"project_name,computed"`
	Branch         string    `db:"branch"` // the only branch that is on hold; empty: the whole project
	Code           int       `db:"code"`   // HTTP status of the platform's answer; 0 where nothing was sent
	Reason         string    `db:"reason"` // what is missing and where to change it, without secrets
	Since          time.Time `db:"since"`
	Probes         int       `db:"probes"` // posts that failed for the same reason
	NextProbeAt    time.Time `db:"next_probe_at"`
}

// Scope names what is on hold.
func (t Hold) Scope() string {
	if t.Branch == "" {
		return t.ProjectName
	}
	return fmt.Sprintf("%s, branch %s", t.ProjectName, t.Branch)
}

// Covers tells whether a status waits because of the hold.
func (t Hold) Covers(s Status) bool {
	here := t.SourcePlatform == s.SourcePlatform && t.ProjectName == s.ProjectName
	return here && (t.Branch == "" || t.Branch == s.Branch) && s.PostedRevision < s.Revision && !s.GivenUp
}
