package core

import "time"

// Feedback is a person's word on a finding. Its db tags are the columns of the table feedbacks.
type Feedback struct {
	ID          int64     `db:"id"`
	FindingID   int64     `db:"finding_id"`
	UserVerdict Triage    `db:"user_verdict"`
	Comments    string    `db:"comments"`
	Author      string    `db:"author"`
	Timestamp   time.Time `db:"timestamp"`
}
