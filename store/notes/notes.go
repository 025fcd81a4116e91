// Package notes keeps what is known of the one comment that Scanhook has in the conversation of each pull or merge request: whether it is
// to be written anew, and what became of that. What it says is not kept: it is made of the request's head when it is posted, so that it
// tells the last truth however late that is.
package notes

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Note is the comment of a request, with what was posted of it so far.
type Note struct {
	ProjectID      int64      `db:"project_id"`
	Number         int64      `db:"number"` // of the request in its project
	SourcePlatform string     `db:"source_platform"`
	Marker         string     `db:"marker"`  // stands in it, unseen
	NoteID         int64      `db:"note_id"` // the platform's number of it; 0 before it is known
	Revision       int64      `db:"revision"`
	PostedRevision int64      `db:"posted_revision"`
	Digest         string     `db:"digest"` // of what was posted last; empty for nothing
	Attempts       int        `db:"attempts"`
	DesiredAt      time.Time  `db:"desired_at"`
	NextAttemptAt  time.Time  `db:"next_attempt_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
	LastError      string     `db:"last_error"`
	GivenUp        bool       `db:"given_up"` // until the request shows something else
	PostedAt       *time.Time `db:"posted_at"`
	CheckAt        *time.Time `db:"check_at"` // when to look whether it still stands
}

// Checked tells whether a claimed note is only compared with what the platform shows.
func (n Note) Checked() bool { return n.PostedRevision == n.Revision }

var columns = sqldb.ColumnsOf[Note]()

// Notes reads and writes them in a database.
type Notes struct {
	db  *sqldb.DB
	now func() time.Time
}

// New returns the notes of a database. now is in whole microseconds.
func New(db *sqldb.DB, now func() time.Time) *Notes { return &Notes{db, now} }

// Head is a commit whose open requests are to show something else.
type Head struct {
	ProjectID int64  `db:"project_id"`
	CommitSHA string `db:"commit_sha"`
	Platform  string `db:"source_platform"`
}

// wanted is a Head with the marker of notes that it brings.
type wanted struct {
	Head
	Marker    string    `db:"marker"`
	DesiredAt time.Time `db:"desired_at"`
}

// Want has the notes of the open requests with these heads written anew. Nothing else waits behind one that cannot be posted.
func (n *Notes) Want(ctx context.Context, tx *sqlx.Tx, heads []Head) error {
	if len(heads) == 0 {
		return nil
	}
	list := make([]wanted, len(heads))
	for i, head := range heads {
		list[i] = wanted{head, newMarker(), n.now()}
	}
	given := sqldb.GivenOf("wanted", "project_id BIGINT, commit_sha TEXT, source_platform TEXT, marker TEXT, desired_at TIMESTAMPTZ", list)
	_, err := n.db.ExecGiven(ctx, tx, given, `
		INSERT INTO request_notes (project_id, number, source_platform, marker, desired_at, next_attempt_at)
		SELECT r.project_id, r.number, w.source_platform, w.marker || '-' || r.number, w.desired_at, w.desired_at FROM wanted w
		JOIN requests r ON r.project_id = w.project_id AND r.number IN (`+withHead(`w.project_id`, `w.commit_sha`)+`)
		WHERE TRUE ORDER BY r.project_id, r.number
		ON CONFLICT (project_id, number) DO UPDATE SET revision = request_notes.revision + 1, attempts = 0, given_up = FALSE,
			source_platform = excluded.source_platform, desired_at = excluded.desired_at, next_attempt_at = excluded.next_attempt_at, last_error = ''`)
	if err != nil {
		return fmt.Errorf("wanting notes: %w", err)
	}
	return nil
}

// withHead selects the numbers of the open requests with a head, of which there are few. In this order an engine without statistics finds
// them by the index of heads, else it reads all requests of the project.
func withHead(project, commit string) string {
	return `SELECT q.number FROM requests q WHERE q.project_id = ` + project + ` AND q.head_sha = ` + commit + ` AND q.is_open
		ORDER BY q.updated_at DESC LIMIT 100`
}

// Finish has the note of a request that was closed written anew, if there is one: it may still tell of a scan in progress, and Want tells
// nothing of closed requests.
func (n *Notes) Finish(ctx context.Context, tx *sqlx.Tx, project, number int64) error {
	_, err := sqldb.Exec(ctx, tx, `
		UPDATE request_notes SET revision = revision + 1, attempts = 0, given_up = FALSE, desired_at = ?, next_attempt_at = ?, last_error = ''
		WHERE `+thisNote+` AND note_id <> 0`, n.now(), n.now(), project, number)
	if err != nil {
		return fmt.Errorf("finishing notes: %w", err)
	}
	return nil
}

// newMarker cannot be guessed.
func newMarker() string { return rand.Text() }

const (
	unleased = `(lease_until IS NULL OR lease_until <= ?)`
	due      = `posted_revision < revision AND NOT given_up AND source_platform = ? AND next_attempt_at <= ? AND ` + unleased
	toCheck  = `check_at IS NOT NULL AND source_platform = ? AND check_at <= ? AND ` + unleased
)

// Claim leases up to most notes of a platform that are to be posted, or else one that is to be compared with what the platform shows.
// Posts are serial for each request.
func (n *Notes) Claim(ctx context.Context, platform string, most int, lease time.Duration) (claimed []Note, err error) {
	now := n.now()
	until := now.Add(lease)
	if some, err := n.anyDue(ctx, platform, now); err != nil || !some {
		return nil, err
	}
	err = n.db.Transact(ctx, func(tx *sqlx.Tx) error {
		claimed, err = n.lease(ctx, tx, due, `next_attempt_at`, `lease_until = ?`, platform, most, now, until)
		if err == nil && len(claimed) == 0 {
			claimed, err = n.lease(ctx, tx, toCheck, `check_at`, `lease_until = ?, check_at = NULL`, platform, 1, now, until)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming notes: %w", err)
	}
	return claimed, nil
}

// anyDue spares claims without rows their transaction, which others wait for where one at a time may write.
func (n *Notes) anyDue(ctx context.Context, platform string, now time.Time) (some bool, err error) {
	err = n.db.GetContext(ctx, &some, n.db.Rebind(`
		SELECT EXISTS (SELECT 1 FROM request_notes WHERE `+due+`) OR EXISTS (SELECT 1 FROM request_notes WHERE `+toCheck+`)`),
		platform, now, now, platform, now, now)
	if err != nil {
		return false, fmt.Errorf("looking for notes: %w", sqldb.Classify(err))
	}
	return some, nil
}

// lease takes the first rows that fit. Those are locked one by one, so that no other process gets them.
func (n *Notes) lease(ctx context.Context, tx *sqlx.Tx, which, order, set, platform string, most int, now, until time.Time) ([]Note, error) {
	var list []Note
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		SELECT `+columns+` FROM request_notes WHERE `+which+` ORDER BY `+order+` LIMIT ? `+n.db.SkipLocked), platform, now, now, most)
	if err != nil {
		return nil, err
	}
	for i := range list {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE request_notes SET `+set+` WHERE `+thisNote), until, list[i].ProjectID, list[i].Number)
		if err != nil {
			return nil, err
		}
		list[i].LeaseUntil = &until
	}
	return list, nil
}

const thisNote = `project_id = ? AND number = ?`

// End is how an attempt to post a claimed note ended.
type End struct {
	Posted     bool
	NoteID     int64         // when Posted: the platform's number of it; 0 where there is no comment
	Digest     string        // when Posted: of what it says
	Written    bool          // when Posted: the platform showed something else before
	CheckAfter time.Duration // when Posted: when to look whether it still stands; 0 is never
	Gone       bool          // when not Posted: the comment was deleted; the next one gets another marker
	RetryAfter time.Duration // when not Posted
	GivenUp    bool          // when not Posted: nothing more is tried until the request shows something else
	Waiting    bool          // when not Posted: because we were asked to wait
	Error      string        // when not Posted: a sentence without secrets
}

// Settle ends the lease of a claimed note. What was wanted meanwhile stays due. core.ErrConflict when the lease was lost.
func (n *Notes) Settle(ctx context.Context, note Note, end End) error {
	err := n.db.Transact(ctx, func(tx *sqlx.Tx) error {
		settle := n.failed
		if end.Posted {
			settle = n.posted
		}
		settled, err := settle(ctx, tx, note, end)
		if err == nil && settled == 0 {
			err = fmt.Errorf("%w: the lease was lost", core.ErrConflict)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("settling note of request %d: %w", note.Number, err)
	}
	return nil
}

func (n *Notes) posted(ctx context.Context, tx *sqlx.Tx, note Note, end End) (int64, error) {
	now := n.now()
	written, check := note.PostedAt, note.CheckAt
	if note.Checked() {
		check = nil
	}
	if end.Written {
		written = &now
	}
	if end.CheckAfter > 0 {
		at := now.Add(end.CheckAfter)
		check = &at
	}
	return sqldb.Exec(ctx, tx, `
		UPDATE request_notes SET posted_revision = ?, note_id = ?, digest = ?, posted_at = ?, check_at = ?, attempts = 0, last_error = '',
			lease_until = NULL
		WHERE `+thisNote+` AND lease_until = ?`,
		note.Revision, end.NoteID, end.Digest, written, check, note.ProjectID, note.Number, note.LeaseUntil)
}

func (n *Notes) failed(ctx context.Context, tx *sqlx.Tx, note Note, end End) (int64, error) {
	failures, more := 1, 0
	if end.Waiting {
		failures = 0
	}
	if end.Gone { // its marker may have been copied
		note.Marker, note.NoteID, note.Digest, failures = fmt.Sprint(newMarker(), "-", note.Number), 0, "", 0
		if note.Checked() {
			more = 1
		}
	}
	return sqldb.Exec(ctx, tx, `
		UPDATE request_notes SET attempts = attempts + ?, next_attempt_at = ?, last_error = ?, given_up = (revision = ? AND ?),
			marker = ?, note_id = ?, digest = ?, revision = revision + ?, lease_until = NULL
		WHERE `+thisNote+` AND lease_until = ?`,
		failures, n.now().Add(end.RetryAfter), end.Error, note.Revision, end.GivenUp, note.Marker, note.NoteID, note.Digest, more,
		note.ProjectID, note.Number, note.LeaseUntil)
}

// Subject is what a note speaks of.
type Subject struct {
	ProjectName string `db:"project_name"` // the project's present name
	ProjectRef  string `db:"project_ref"`  // the project's id on its platform, or empty
	HeadSHA     string `db:"head_sha"`
	IsOpen      bool   `db:"is_open"`
	ScanID      int64  `db:"scan_id"` // the latest scan of the head; 0 where there is none yet
}

// Subject reads what the request of a note is about now.
func (n *Notes) Subject(ctx context.Context, note Note) (subject Subject, err error) {
	err = n.db.GetContext(ctx, &subject, n.db.Rebind(`
		SELECT p.name AS project_name, p.platform_ref AS project_ref, r.head_sha, r.is_open, COALESCE((SELECT MAX(s.id + 0) FROM scans s
			WHERE s.commit_sha = r.head_sha AND s.project_id + 0 = r.project_id), 0) AS scan_id
		FROM requests r JOIN projects p ON p.id = r.project_id WHERE r.project_id = ? AND r.number = ?`), note.ProjectID, note.Number)
	if err != nil {
		return subject, fmt.Errorf("reading request %d: %w", note.Number, sqldb.Classify(err))
	}
	return subject, nil
}

// Of lists the notes of the open requests whose head is a commit of a project.
func (n *Notes) Of(ctx context.Context, project int64, sha string) (list []Note, err error) {
	err = n.db.SelectContext(ctx, &list, n.db.Rebind(`
		SELECT `+columns+` FROM request_notes WHERE project_id = ? AND number IN (`+withHead(`?`, `?`)+`) ORDER BY number`), project, project, sha)
	if err != nil {
		return nil, fmt.Errorf("listing notes: %w", sqldb.Classify(err))
	}
	return slices.Clip(list), nil
}
