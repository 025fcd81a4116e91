package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/naming"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Session is a login to the pages. The key is not what the browser holds, so that nobody who reads the database can log
// in with it.
type Session struct {
	Key     string `db:"key"`
	Person  string `db:"person"`  // who it is, as the pages show it; empty when the key determines it
	Subject string `db:"subject"` // whose it is, by what never changes of them; empty when the release before opened it
	Name    string `db:"name"`    // of whose it is, for people
	Address string `db:"address"` // from which it was opened

	OpenedAt  *time.Time `db:"opened_at"`  // set by the store
	ExpiresAt time.Time  `db:"expires_at"` // set by the store
}

var sessionColumns = sqldb.ColumnsOf[Session]()

// PutSession keeps a session for the given time; sessions that are over are cleared away.
func (s *Store) PutSession(ctx context.Context, session Session, lasts time.Duration) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE expires_at <= ?`), now); err != nil {
			return err
		}
		session.OpenedAt, session.ExpiresAt = &now, now.Add(lasts)
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO sessions (key, person, subject, name, address, opened_at, expires_at)
			VALUES (:key, :person, :subject, :name, :address, :opened_at, :expires_at)`, session)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping session: %w", err)
	}
	return nil
}

// FindSession returns the session under one of the keys that is not over; core.ErrNotFound when none has.
func (s *Store) FindSession(ctx context.Context, keys []string) (Session, error) {
	if len(keys) == 0 {
		return Session{}, fmt.Errorf("finding session: %w", core.ErrNotFound)
	}
	query, args, err := sqlx.In(`SELECT `+sessionColumns+` FROM sessions WHERE key IN (?) AND expires_at > ? LIMIT 1`, keys, s.clock.Timestamp())
	if err != nil {
		return Session{}, fmt.Errorf("finding session: %w", err)
	}
	var session Session
	if err := s.db.GetContext(ctx, &session, s.db.Rebind(query), args...); err != nil {
		return Session{}, fmt.Errorf("finding session: %w", sqldb.Classify(err))
	}
	return session, nil
}

// ExtendSession has a session that is not over last for the given time from now on.
func (s *Store) ExtendSession(ctx context.Context, key string, lasts time.Duration) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE sessions SET expires_at = ? WHERE key = ? AND expires_at > ?`), now.Add(lasts), key, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("extending session: %w", err)
	}
	return nil
}

// DeleteSession ends a session; one that does not exist has ended already.
func (s *Store) DeleteSession(ctx context.Context, key string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE key = ?`), key)
		return err
	})
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	return nil
}

// ListSessions returns the sessions of a subject that are not over, or of all, with those of one person together, the newest first.
func (s *Store) ListSessions(ctx context.Context, subject string, limit int) (list []Session, err error) {
	var where sqldb.Conditions
	where.Add(true, `expires_at > ?`, s.clock.Timestamp())
	where.Add(subject != "", `subject = ?`, subject)
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`SELECT `+sessionColumns+` FROM sessions `+where.SQL()+`
		ORDER BY name, subject, opened_at DESC LIMIT ?`), append(where.Args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", sqldb.Classify(err))
	}
	return list, nil
}

// Object is what a request names: a scan by its reference_id, a finding, a run or a delivery by its id, or a project by its name.
type Object struct {
	Kind    ObjectKind
	Key     string         // of any other than a project
	Project access.Project // of a project
}

// ObjectKind is the kind of an Object.
type ObjectKind string

// The kinds.
const (
	ScanObject     ObjectKind = "scan"
	FindingObject  ObjectKind = "finding"
	RunObject      ObjectKind = "run"
	DeliveryObject ObjectKind = "delivery"
	ProjectObject  ObjectKind = "project"
)

// ofObject are the statements that find the project of an object, in the order in which they are tried. A scan may be promised
// by a call that is derived while they are, or may have been removed.
var ofObject = map[ObjectKind][]string{
	ScanObject: {scanProject, `
		SELECT platform, project_name, '', '' FROM deliveries WHERE promised = ? AND state = 'failed' LIMIT 1`, `
		SELECT platform, project_name, '', '' FROM deliveries WHERE promised = ? AND state = 'kept' LIMIT 1`, scanProject, `
		SELECT source_platform, project_name, '', '' FROM removed_scans WHERE reference_id = ?`},
	FindingObject: {`
		SELECT p.platform, p.name, p.platform_ref, s.commit_sha FROM findings f JOIN scans s ON s.id = f.scan_id JOIN projects p ON p.id = s.project_id WHERE f.id = ?`},
	RunObject: {`
		SELECT p.platform, p.name, p.platform_ref, '' FROM pipeline_metrics m JOIN projects p ON p.id = m.project_id WHERE m.id = ?`},
	DeliveryObject: {`
		SELECT d.platform, COALESCE(p.name, d.project_name), '', '' FROM deliveries d LEFT JOIN projects p ON p.id = d.project_id WHERE d.id = ?`},
}

const scanProject = `
	SELECT p.platform, p.name, p.platform_ref, s.commit_sha FROM scans s JOIN projects p ON p.id = s.project_id WHERE s.reference_id = ?`

// ProjectOf finds the project of an object, by its present name, and the commit that the object is of; core.ErrNotFound where there is no
// such object. A project that is not known is itself: somebody may be about to make it known.
func (s *Store) ProjectOf(ctx context.Context, o Object) (p access.Project, err error) {
	if o.Kind == ProjectObject {
		found, err := s.FindProject(ctx, o.Project.Platform, o.Project.Name)
		if errors.Is(err, core.ErrNotFound) {
			return o.Project, nil
		}
		return access.Project{Platform: found.Platform, Name: found.Name}, err
	}
	var key any
	if o.Kind == ScanObject {
		parsed, err := uuid.Parse(o.Key)
		if err != nil {
			return p, access.ErrUnseen
		}
		key = parsed.String()
	} else if key, err = strconv.ParseInt(o.Key, 10, 64); err != nil {
		return p, access.ErrUnseen
	}
	for _, statement := range ofObject[o.Kind] {
		err := sqldb.Classify(s.db.QueryRowxContext(ctx, s.db.Rebind(statement), key).Scan(&p.Platform, &p.Name, &p.Ref, &p.Commit))
		if !errors.Is(err, core.ErrNotFound) {
			return p, err
		}
	}
	return p, access.ErrUnseen
}

// sight is what lists show to those who ask: the projects in which they may do an act.
type sight struct {
	all   bool // also those that are not known yet
	actor access.Actor
	act   access.Act

	commit string // of which the list is, where it is of one: a CI job sees no more
}

// seenBy tells in which projects whoever asks may do an act. Scanhook itself sees all.
func seenBy(ctx context.Context, act access.Act) sight {
	actor, somebody := access.Of(ctx)
	return sight{all: !somebody || actor.Everywhere(act), actor: actor, act: act}
}

// has tells whether a project is among them.
func (v sight) has(p core.KeptProject) bool {
	return v.all || v.actor.MayIn(v.act, access.Project{Platform: p.Platform, Name: p.Name, Commit: v.commit})
}

// shownProjects are the projects of a sight.
type shownProjects struct {
	all      bool
	projects []core.KeptProject
}

// shownTo finds the projects of a sight, which takes the names of all that there are: for lists that name none.
func (s *Store) shownTo(ctx context.Context, sees sight) (shown shownProjects, err error) {
	if shown.all = sees.all; shown.all || !sees.actor.May(sees.act) {
		return shown, nil
	}
	if err := s.db.SelectContext(ctx, &shown.projects, `SELECT id, platform, name FROM projects ORDER BY id`); err != nil {
		return shown, sqldb.Classify(err)
	}
	shown.projects = slices.DeleteFunc(shown.projects, func(p core.KeptProject) bool { return !sees.has(p) })
	return shown, nil
}

// on are those of a platform, or of all where it is empty.
func (n shownProjects) on(platform string) (ids []int64) {
	for _, p := range n.projects {
		if platform == "" || p.Platform == platform {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// filter are all of them as filters have them: nil is whatever there is.
func (n shownProjects) filter() []int64 {
	if n.all {
		return nil
	}
	return append([]int64{}, n.on("")...)
}

// limit makes them a condition on a column with the project's number.
func (n shownProjects) limit(where *sqldb.Conditions, column string) {
	where.Add(!n.all, column+` IN (`+sqldb.IDs(n.on(""))+`)`)
}

// admitTo is nil where whoever asks may do an act to a scan.
func admitTo(ctx context.Context, act access.Act, scan core.Scan) error {
	actor, somebody := access.Of(ctx)
	if !somebody {
		return nil
	}
	return actor.Admit(access.Wish{Act: act}, func() (access.Project, error) {
		return access.Project{Platform: scan.SourcePlatform, Name: scan.ProjectName}, nil
	})
}

// projectsPerUnion is how many projects one union reads lists of: engines take some hundred parts.
const projectsPerUnion = 100

// pageOf joins the pages of several unions to one, the newest first.
func pageOf[T any](list []T, id func(T) int64, after int64, limit int) []T {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(id(b), id(a)) })
	if over := len(list) - limit; over > 0 && after > 0 { // those that come directly before it
		return list[over:]
	}
	return list[:min(len(list), limit)]
}

// OfJob completes what a CI job's token says by what is known here: the present name of its project, and the only commit that the job
// may bring reports for. Only a project that calls of the platform have made known has any: the issuers of such tokens give them to
// everybody. core.ErrForbidden with what to do where there is none.
func (s *Store) OfJob(ctx context.Context, job access.Job) (access.Job, error) {
	project, err := s.meant(ctx, naming.Sighting{Platform: job.Platform, Project: core.Project{Name: job.Project, Ref: job.Ref}})
	switch unknown := errors.Is(err, core.ErrNotFound) || err == nil && project.Ref != job.Ref; {
	case unknown:
		return job, fmt.Errorf("%w: no webhook of %s (id %s) came yet, and only projects that have sent one take reports with the tokens of their "+
			"CI jobs: push to it once its webhook is there", core.ErrForbidden, job.Project, job.Ref)
	case err != nil:
		return job, fmt.Errorf("finding the project of a CI job: %w", err)
	case project.GoneAt != nil || !core.SameProject(project.Name, job.Project):
		return job, fmt.Errorf("%w: the project with the id %s is %s here; the next webhook call will tell that it is %s now", core.ErrForbidden,
			job.Ref, project.Name, job.Project)
	case !job.OfRequest && !job.Fork:
		job.Commit = job.SHA
		return job, nil
	}
	request, err := s.requestOfJob(ctx, project.ID, job)
	if err != nil {
		return job, err
	}
	return job.Of(request)
}

// requestOfJob finds the request that a job is of. One that the token gives no number of is found by its branch, where the commit was not
// pushed. Without a number, it is none where the job's commit was pushed.
func (s *Store) requestOfJob(ctx context.Context, project int64, job access.Job) (request core.KeptRequest, err error) {
	switch {
	case job.Fork:
		return core.KeptRequest{Fork: true}, nil
	case job.Request != 0:
		err = s.db.GetContext(ctx, &request, s.db.Rebind(`SELECT `+requestColumns+` FROM requests WHERE project_id = ? AND number = ?`),
			project, job.Request)
	default:
		var pushed int
		err = s.db.GetContext(ctx, &pushed, s.db.Rebind(`SELECT COUNT(*) FROM scans s WHERE `+ofCommit), commitKey{project, job.SHA}.args()...)
		if err == nil && pushed > 0 {
			return core.KeptRequest{HeadSHA: job.SHA, Branch: job.Branch}, nil
		}
		if err == nil {
			err = s.db.GetContext(ctx, &request, s.db.Rebind(`SELECT `+requestColumns+` FROM requests
				WHERE project_id = ? AND branch = ? AND is_open AND NOT fork ORDER BY updated_at DESC LIMIT 1`), project, job.Branch)
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return request, fmt.Errorf("%w: no webhook told of the request that this CI job is of, so its head is not known: have the webhook send "+
			"the events of pull or merge requests (scanhook hooks sync does), or send a token from api.tokens", core.ErrForbidden)
	}
	if err != nil {
		return request, fmt.Errorf("finding the request of a CI job: %w", sqldb.Classify(err))
	}
	return request, nil
}
