package core

import (
	"fmt"
	"time"
)

// Trouble says that the statuses of a project wait because the token may not post them. They are kept, one of them is
// tried now and then, and all are posted as soon as that succeeds.
type Trouble struct {
	ID             int64     `db:"id"`
	SourcePlatform string    `db:"source_platform"`
	ProjectName    string    `db:"project_name"`
	Branch         string    `db:"branch"` // the only one that is concerned; empty: the whole project
	Code           int       `db:"code"`   // HTTP status of the platform's answer; 0 where nothing was sent
	Reason         string    `db:"reason"` // what is missing and where to mend it, without secrets
	Since          time.Time `db:"since"`
	Probes         int       `db:"probes"` // attempts that found it unmended
	NextProbeAt    time.Time `db:"next_probe_at"`
}

// Where names what is concerned.
func (t Trouble) Where() string {
	if t.Branch == "" {
		return t.ProjectName
	}
	return fmt.Sprintf("%s, branch %s", t.ProjectName, t.Branch)
}

// Concerns tells whether a status waits because of the trouble.
func (t Trouble) Concerns(s Status) bool {
	here := t.SourcePlatform == s.SourcePlatform && t.ProjectName == s.ProjectName
	return here && (t.Branch == "" || t.Branch == s.Branch) && s.PostedRevision < s.Revision && !s.GivenUp
}

func (t Trouble) story() Step {
	return Step{At: t.Since, Hop: "status", Detail: t.Reason, Trouble: true,
		Text: fmt.Sprintf("%s takes no statuses of %s from us; they are kept, next attempt %s",
			t.SourcePlatform, t.Where(), t.NextProbeAt.UTC().Format(time.DateTime))}
}
