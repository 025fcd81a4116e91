package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/naming"
	"github.com/scanhook/scanhook/store/removal"
	"github.com/scanhook/scanhook/store/sqldb"
)

var projectColumns = sqldb.ColumnsOf[core.KeptProject]()

// fromProject are the columns that a row with a project_id has from its project: its present name, and the id by which the
// platform knows it. row is the name of the row, or empty.
func fromProject(row string) string {
	return ofProject(row, `name`) + ` AS project_name, ` + ofProject(row, `platform_ref`) + ` AS project_ref`
}

// ofProject is a column of the project of a row.
func ofProject(row, column string) string {
	if row != "" {
		row += "."
	}
	return `(SELECT p.` + column + ` FROM projects p WHERE p.id = ` + row + `project_id)`
}

// latestNamed is the project that has a name, or the last one that had it.
var latestNamed = `SELECT ` + projectColumns + ` FROM projects WHERE platform = ? AND name_key = ?
	ORDER BY CASE WHEN gone_at IS NULL THEN 0 ELSE 1 END, seen_at DESC, id DESC LIMIT 1`

// GetProject finds the project that has a name, or the last one that had it; core.ErrNotFound when none has.
func (s *Store) GetProject(ctx context.Context, platform, name string) (core.KeptProject, error) {
	return s.projectNamed(ctx, s.db.DB, platform, name)
}

func (s *Store) projectNamed(ctx context.Context, db *sqlx.DB, platform, name string) (core.KeptProject, error) {
	seen := naming.Sighting{Platform: platform, Project: core.Project{Name: name}}
	if project, known := s.recall(seen); known {
		return project, nil
	}
	var project core.KeptProject
	err := db.GetContext(ctx, &project, db.Rebind(latestNamed), platform, core.ProjectKey(name))
	if err != nil {
		return core.KeptProject{}, fmt.Errorf("project %s: %w", name, sqldb.Classify(err))
	}
	s.remember(project)
	return project, nil
}

// FindProject is GetProject for those who look at a project: they may know it by the name that it had before it was renamed. One
// that they must not know of is not found.
func (s *Store) FindProject(ctx context.Context, platform, name string) (core.KeptProject, error) {
	project, err := s.findProject(ctx, platform, name)
	actor, asked := access.Of(ctx)
	if err == nil && asked && !actor.Sees(access.Project{Platform: project.Platform, Name: project.Name}) {
		return core.KeptProject{}, fmt.Errorf("project %s: %w", name, core.ErrNotFound)
	}
	return project, err
}

func (s *Store) findProject(ctx context.Context, platform, name string) (core.KeptProject, error) {
	project, err := s.GetProject(ctx, platform, name)
	if err == nil && bears(project) || err != nil && !errors.Is(err, core.ErrNotFound) {
		return project, err
	}
	var renamed []core.KeptProject
	failed := s.db.SelectContext(ctx, &renamed, s.db.Rebind(`
		SELECT `+projectColumns+` FROM projects WHERE id = (
			SELECT project_id FROM former_names WHERE platform = ? AND name_key = ?)`), platform, core.ProjectKey(name))
	switch {
	case failed != nil:
		return project, fmt.Errorf("project %s: %w", name, sqldb.Classify(failed))
	case len(renamed) > 0:
		return renamed[0], nil
	}
	return project, err
}

// bears tells whether a call, a job or a person has named the project by its name, and no other project has the name now.
func bears(p core.KeptProject) bool { return p.GoneAt == nil && !naming.OnlyConfigured(p) }

// Removal are the projects that are deleted.
func (s *Store) Removal() *removal.Removals { return removal.New(s.db, s.clock.Timestamp) }

// RemoveProject has a project deleted with everything, and audits who asked for it; core.ErrNotFound when there is none, core.ErrConflict
// where the name has just passed to another. Nobody finds it from now on; Removal().Step deletes what it has.
func (s *Store) RemoveProject(ctx context.Context, platform, name, by string) error {
	found, err := s.FindProject(ctx, platform, name)
	if err != nil {
		return fmt.Errorf("deleting a project: %w", err)
	}
	defer s.forget([]core.KeptProject{found})
	err = s.write(ctx, func(tx *sqlx.Tx) error {
		project, err := s.stillNamed(ctx, tx, found)
		if err != nil {
			return err
		}
		if err := s.Removal().Ask(ctx, tx, project, by); err != nil {
			return err
		}
		return s.audit(ctx, tx, core.AuditEvent{
			Actor: by, Action: core.AuditProjectDeleted, ProjectID: &project.ID, SourcePlatform: project.Platform, ProjectName: project.Name, Subject: "project " + project.Name,
			Detail: "with its scans, findings, alerts, decisions, statuses and calls",
		})
	})
	if err != nil {
		return fmt.Errorf("deleting a project: %w", err)
	}
	return nil
}

// stillNamed reads a project again and keeps others from renaming it until the transaction ends; core.ErrConflict where its name means another
// one by now, or none: it may have been found as it was a minute ago.
func (s *Store) stillNamed(ctx context.Context, tx *sqlx.Tx, project core.KeptProject) (now core.KeptProject, err error) {
	if err := s.db.LockTable(ctx, tx, "projects"); err != nil {
		return now, err
	}
	err = tx.GetContext(ctx, &now, tx.Rebind(latestNamed), project.Platform, project.NameKey)
	if err = sqldb.Classify(err); err == nil && now.ID == project.ID {
		return now, nil
	}
	if err == nil || errors.Is(err, core.ErrNotFound) {
		err = fmt.Errorf("%w: %s was renamed, replaced or deleted meanwhile; look at it again first", core.ErrConflict, project.Name)
	}
	return now, err
}

// ProjectName is the present name of the project that has or had a name; the name as it is where there is none.
func (s *Store) ProjectName(ctx context.Context, platform, name string) (string, error) {
	if name == "" {
		return name, nil
	}
	project, err := s.FindProject(ctx, platform, name)
	if errors.Is(err, core.ErrNotFound) {
		return name, nil
	}
	return project.Name, err
}

// meant finds the project that is meant, and keeps nothing; core.ErrNotFound where there is none.
func (s *Store) meant(ctx context.Context, seen naming.Sighting) (core.KeptProject, error) {
	if project, known := s.recall(seen); known && seen.Ref != "" {
		return project, nil
	}
	known, err := candidates(ctx, s.db, seen)
	if err != nil {
		return core.KeptProject{}, sqldb.Classify(err)
	}
	at := seen.Find(known)
	if at < 0 {
		return core.KeptProject{}, fmt.Errorf("project %s: %w", seen.Name, core.ErrNotFound)
	}
	return known[at], nil
}

// sightingOf is what a call says of a project. It may be derived long after it came.
func (s *Store) sightingOf(d core.Delivery, project core.Project) naming.Sighting {
	seen := naming.Sighting{Project: project, Platform: d.Platform, At: project.AsOf, Undated: project.AsOf.IsZero()}
	if came := s.cameAt(d); seen.Undated || seen.At.After(came) {
		seen.At = came
	}
	return seen
}

// cameAt is when a call came, now for one that is made here.
func (s *Store) cameAt(d core.Delivery) time.Time {
	if now := s.clock.Timestamp(); d.ReceivedAt.IsZero() || d.ReceivedAt.After(now) {
		return now
	}
	return d.ReceivedAt
}

// noteChange keeps what a change says of a project that is known.
func (s *Store) noteChange(ctx context.Context, d core.Delivery, change core.ProjectChange) error {
	seen := s.sightingOf(d, change.Project)
	if seen.Deleted = change.Deleted; seen.Deleted { // platforms do not state when
		seen.At = s.cameAt(d)
	}
	_, configured := s.policies.For(d.Platform, change.Project.Name)
	_, err := s.meant(ctx, seen)
	if err == nil || configured && !change.Deleted && errors.Is(err, core.ErrNotFound) {
		_, err = s.settleProject(ctx, seen)
	}
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return fmt.Errorf("noting a change of %s: %w", change.Project.Name, err)
	}
	return nil
}

// projectOfScan finds the project of a scan that a job or a person asks for: that of its number, or the one that they name. They
// may make its name known by stating an id, but neither rename it nor take a name from another. The id itself is not kept before a
// call of the platform states it: a wrong one would lead our statuses to another project. core.ErrNotFound for a name without an
// id that no call has brought yet, core.ErrConflict where a call of the platform is needed to tell.
func (s *Store) projectOfScan(ctx context.Context, scan core.Scan) (project core.KeptProject, err error) {
	if scan.ProjectID != 0 {
		err = s.db.Urgent().GetContext(ctx, &project, s.db.Rebind(`SELECT `+projectColumns+` FROM projects WHERE id = ?`), scan.ProjectID)
		return project, sqldb.Classify(err)
	}
	named := naming.Sighting{Platform: scan.SourcePlatform, Project: core.Project{Name: scan.ProjectName, Ref: scan.ProjectRef}}
	known, err := candidates(ctx, s.db.Urgent(), named)
	if err != nil {
		return project, sqldb.Classify(err)
	}
	at, err := named.Admit(known)
	if err != nil {
		return project, err
	}
	if at >= 0 && !naming.OnlyConfigured(known[at]) {
		return known[at], nil
	}
	if at >= 0 {
		named.ID, named.Name = known[at].ID, known[at].Name
	}
	named.Ref, named.At = "", s.clock.Timestamp()
	return s.settleProject(ctx, named)
}

// resolveNamed finds the project that the configuration or a scan names, and makes it known where it is not.
func (s *Store) resolveNamed(ctx context.Context, platform, name, ref string) (core.KeptProject, error) {
	return s.settleProject(ctx, naming.Sighting{Project: core.Project{Name: name, Ref: ref}, Platform: platform})
}

func (s *Store) settleProject(ctx context.Context, seen naming.Sighting) (meant core.KeptProject, err error) {
	if meant, known := s.recall(seen); known && seen.Ref != "" { // another replica may have learned that a name changed hands
		return meant, nil
	}
	ctx, cancel := context.WithTimeout(ctx, intakeTimeout)
	defer cancel()
	known, err := candidates(ctx, s.db.Urgent(), seen)
	if err != nil {
		return meant, fmt.Errorf("project %s: %w", seen.Name, sqldb.Classify(err))
	}
	meant, changed := seen.Settle(known, s.clock.Timestamp())
	if len(changed) == 0 {
		s.remember(meant)
		return meant, nil
	}
	err = s.db.TransactUrgent(ctx, func(tx *sqlx.Tx) error {
		if err := s.db.LockTable(ctx, tx, "projects"); err != nil {
			return err
		}
		if known, err = candidates(ctx, tx, seen); err != nil {
			return err
		}
		meant, changed = seen.Settle(known, s.clock.Timestamp())
		if err := saveProjects(ctx, tx, changed, &meant); err != nil {
			return err
		}
		return saveFormerNames(ctx, tx, known, changed)
	})
	if err != nil {
		s.noteWrite(err)
		return meant, fmt.Errorf("project %s: %w", seen.Name, err)
	}
	s.forget(known)
	s.remember(append(changed, meant)...)
	return meant, nil
}

// candidates are the projects that a sighting may mean or change: those of its id and its name, and those of the name that the
// project of its id had so far.
func candidates(ctx context.Context, q sqlx.ExtContext, seen naming.Sighting) (known []core.KeptProject, err error) {
	err = sqlx.SelectContext(ctx, q, &known, q.Rebind(`
		SELECT `+projectColumns+` FROM projects WHERE platform = ? AND (name_key = ? OR name_key = (
			SELECT own.name_key FROM projects own
			WHERE own.platform = ? AND own.platform_ref = ? AND own.platform_ref <> '')
			OR name_key = (SELECT own.name_key FROM projects own WHERE own.id = ?))
		ORDER BY id`), seen.Platform, core.ProjectKey(seen.Name), seen.Platform, seen.Ref, seen.ID)
	return known, err
}

// saveProjects writes projects in their order, and gives meant its number if it is new.
func saveProjects(ctx context.Context, tx *sqlx.Tx, projects []core.KeptProject, meant *core.KeptProject) error {
	for n := range projects {
		p := &projects[n]
		if p.ID != 0 {
			_, err := tx.NamedExecContext(ctx, `
				UPDATE projects SET platform_ref = :platform_ref, name = :name, name_key = :name_key,
					default_branch = :default_branch, repo_url = :repo_url, seen_at = :seen_at, deleted_at = :deleted_at,
					gone_at = :gone_at
				WHERE id = :id`, *p)
			if err != nil {
				return err
			}
			continue
		}
		var made []core.KeptProject
		err := sqldb.SelectNamed(ctx, tx, &made, `
			INSERT INTO projects (platform, platform_ref, name, name_key, default_branch, repo_url, seen_at, deleted_at, gone_at)
			VALUES (:platform, :platform_ref, :name, :name_key, :default_branch, :repo_url, :seen_at, :deleted_at, :gone_at)
			RETURNING id`, *p)
		if err != nil {
			return err
		}
		p.ID, meant.ID = made[0].ID, made[0].ID
	}
	return nil
}

// saveFormerNames keeps the names that projects have left, and drops those that another project has now: all are kept first, as
// two projects may have exchanged theirs.
func saveFormerNames(ctx context.Context, tx *sqlx.Tx, before, after []core.KeptProject) error {
	was := map[int64]core.KeptProject{}
	for _, p := range before {
		was[p.ID] = p
	}
	for _, p := range after {
		old := was[p.ID]
		if old.ID == 0 || old.NameKey == p.NameKey {
			continue
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO former_names (platform, name_key, project_id) VALUES (?, ?, ?)
			ON CONFLICT (platform, name_key) DO UPDATE SET project_id = excluded.project_id`), p.Platform, old.NameKey, p.ID)
		if err != nil {
			return err
		}
	}
	for _, p := range after {
		if old := was[p.ID]; !bears(p) || old.NameKey == p.NameKey && bears(old) {
			continue
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			DELETE FROM former_names WHERE platform = ? AND name_key = ?`), p.Platform, p.NameKey)
		if err != nil {
			return err
		}
	}
	return nil
}

// recalledFor is how long a project that another process may have changed is not read again.
const recalledFor = time.Minute

// recalled is a project as it was read at a time.
type recalled struct {
	core.KeptProject
	at time.Time
}

// recallKey identifies a project by its id on its platform, or by its name.
type recallKey struct{ platform, ref, name string }

// recall returns the project that a sighting means if it was read lately and the sighting says nothing new of it.
func (s *Store) recall(seen naming.Sighting) (core.KeptProject, bool) {
	key := recallKey{platform: seen.Platform, ref: seen.Ref}
	if seen.Ref == "" {
		key.name = core.ProjectKey(seen.Name)
	}
	found, known := s.projects.get(key)
	if !known || seen.ID != 0 || s.Now().Sub(found.at) > recalledFor || seen.Deleted || seen.IsNews(found.KeptProject) {
		return core.KeptProject{}, false
	}
	return found.KeptProject, true
}

func (s *Store) remember(projects ...core.KeptProject) {
	for _, p := range projects {
		if p.Ref != "" {
			s.projects.put(recallKey{platform: p.Platform, ref: p.Ref}, recalled{p, s.Now()})
		}
		if p.GoneAt == nil {
			s.projects.put(recallKey{platform: p.Platform, name: p.NameKey}, recalled{p, s.Now()})
		}
	}
}

// forget drops what names meant.
func (s *Store) forget(projects []core.KeptProject) {
	for _, p := range projects {
		s.projects.drop(recallKey{platform: p.Platform, name: p.NameKey})
		if p.Ref != "" {
			s.projects.drop(recallKey{platform: p.Platform, ref: p.Ref})
		}
	}
}

// projectsNamed are the projects that a filter means by a name, on one platform or on all where none is chosen: those that
// have it or had it last, and the one that had it before it was renamed.
func (s *Store) projectsNamed(ctx context.Context, platform, name string) (named namedProjects, err error) {
	named.given = name
	platforms := []string{platform}
	if name == "" {
		return named, nil
	}
	if platform == "" {
		if platforms, err = s.db.DistinctValues(ctx, `projects`, `platform`); err != nil || len(platforms) == 0 {
			return named, err
		}
	}
	err = sqldb.SelectIn(ctx, s.db, &named.members, `
		SELECT id, platform, name FROM projects WHERE platform IN (?) AND name_key = ?
		UNION
		SELECT id, platform, name FROM projects WHERE id IN (
			SELECT project_id FROM former_names WHERE platform IN (?) AND name_key = ?)
		ORDER BY id`, platforms, core.ProjectKey(name), platforms, core.ProjectKey(name))
	return named, sqldb.Classify(err)
}

// namedProjects are the projects that a filter names.
type namedProjects struct {
	given   string
	members []core.KeptProject
}

// idsTo makes the filter one of the conditions on rows that have the project's number.
func (n namedProjects) idsTo(where *sqldb.Conditions) {
	ids := make([]int64, len(n.members))
	for i, project := range n.members {
		ids[i] = project.ID
	}
	where.Add(n.given != "", `project_id IN (`+sqldb.IDs(ids)+`)`)
}

// projectOfCall finds the project by the name in a call, which is kept under the project's spelling. A call from which nothing
// follows makes a configured project known, so that it counts as one that its webhook has called.
func (s *Store) projectOfCall(ctx context.Context, d *core.Delivery, idle bool) (project core.KeptProject, err error) {
	if d.Project == "" {
		return project, nil
	}
	project, err = s.projectNamed(ctx, s.db.Urgent(), d.Platform, d.Project)
	if errors.Is(err, core.ErrNotFound) {
		if _, configured := s.policies.For(d.Platform, d.Project); !idle || !configured {
			return project, nil
		}
		project, err = s.settleProject(ctx, s.sightingOf(*d, core.Project{Name: d.Project}))
	}
	if err != nil {
		return project, err
	}
	d.Project = project.Name
	if ref := d.Subject().Ref; project.GoneAt == nil && (ref == "" || ref == project.Ref) {
		d.ProjectID = project.ID
	}
	return project, nil
}
