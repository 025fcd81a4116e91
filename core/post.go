package core

import (
	"fmt"
	"time"
)

// PostOutcome is how an attempt to post a status ended.
type PostOutcome string

// The outcomes. PostOverwritten is no attempt of ours: a stranger posted in its place.
const (
	Posted          PostOutcome = "posted"
	PostRetry       PostOutcome = "retry"
	PostWaiting     PostOutcome = "waiting" // the platform asked for a pause, or a person has to mend something
	PostGivenUp     PostOutcome = "given_up"
	PostOverwritten PostOutcome = "overwritten"
)

// StatusPost is an attempt to post a status with the platform's answer, or several equal ones.
type StatusPost struct {
	ID             int64       `db:"id"`
	StatusID       int64       `db:"status_id"`
	ScanID         int64       `db:"scan_id"`
	Context        string      `db:"context"`
	Revision       int64       `db:"revision"`
	State          StatusState `db:"state"`
	Description    string      `db:"description"`
	Outcome        PostOutcome `db:"outcome"`
	Code           int         `db:"code"`   // HTTP status of the answer; 0 where none came
	Answer         string      `db:"answer"` // a sentence without secrets, empty when all went well
	Times          int         `db:"times"`  // equal attempts, at least 1
	At             time.Time   `db:"at"`     // end of the first attempt
	LastAt         time.Time   `db:"last_at"`
	Milliseconds   int64       `db:"took_ms"`                  // of the last attempt
	SourcePlatform string      `db:"source_platform,computed"` // only read
}

func (p StatusPost) story() Step {
	step := Step{At: p.At, Hop: "status", Detail: p.Answer, Trouble: p.Outcome != Posted}
	what := fmt.Sprintf("%s %s: %s", p.Context, p.State, p.Description)
	switch p.Outcome {
	case Posted:
		step.Text = fmt.Sprintf("%s %s; it shows %s %s", p.SourcePlatform, p.answered(), p.Context, p.State)
	case PostOverwritten:
		step.Text = fmt.Sprintf("A status that is not ours stands on %s: %s", p.SourcePlatform, what)
	case PostGivenUp:
		step.Text = fmt.Sprintf("%s %s; posting was given up: %s", p.SourcePlatform, p.answered(), what)
	default:
		step.Text = fmt.Sprintf("%s %s; not posted: %s", p.SourcePlatform, p.answered(), what)
	}
	if p.Outcome == PostWaiting && p.Code == 0 {
		step.Text = fmt.Sprintf("Not posted to %s yet: %s", p.SourcePlatform, what)
	}
	if p.Times > 1 {
		step.Text += fmt.Sprintf(" (%d times, last %s)", p.Times, p.LastAt.UTC().Format(time.TimeOnly))
	}
	return step
}

func (p StatusPost) answered() string {
	if p.Code == 0 {
		return "gave no answer"
	}
	return fmt.Sprintf("answered %d after %s", p.Code, time.Duration(p.Milliseconds)*time.Millisecond)
}
