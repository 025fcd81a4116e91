package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store/sqldb"
)

var auditColumns = sqldb.ColumnsOf[core.AuditEvent]()

// audit notes who changed what, in the transaction that changes it.
func (s *Store) audit(ctx context.Context, tx *sqlx.Tx, event core.AuditEvent) error {
	event = event.Bounded()
	event.Timestamp = s.clock.Timestamp()
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO audit_events (timestamp, actor, action, project_id, source_platform, project_name, reference_id, subject, detail)
		VALUES (:timestamp, :actor, :action, :project_id, :source_platform, :project_name, :reference_id, :subject, :detail)`, event)
	return err
}

// auditReport notes who brought a report, and which one it replaces: before is its job as it was.
func (s *Store) auditReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, before core.Job, report core.Report) error {
	event := core.AuditOfReport(scan, before, report)
	if before.FinishedAt == nil {
		return s.audit(ctx, tx, event)
	}
	var by []string
	err := tx.SelectContext(ctx, &by, tx.Rebind(`
		SELECT actor FROM audit_events WHERE reference_id = ? AND subject = ? ORDER BY id DESC LIMIT 1`),
		scan.ReferenceID, event.Bounded().Subject)
	if err == nil {
		err = s.audit(ctx, tx, core.AuditOfReplacement(event, before, strings.Join(by, "")))
	}
	return err
}

// ListReplacements returns by whom and when the reports of a scan were replaced, the newest first.
func (s *Store) ListReplacements(ctx context.Context, scan core.Scan, limit int) (list []core.AuditEvent, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+auditColumns+` FROM audit_events WHERE reference_id = ? AND action = ? ORDER BY id DESC LIMIT ?`),
		scan.ReferenceID, core.AuditReportReplaced, limit)
	if err != nil {
		return nil, fmt.Errorf("listing replaced reports: %w", sqldb.Classify(err))
	}
	return list, nil
}

// RecordAudit keeps an event that changes no other row.
func (s *Store) RecordAudit(ctx context.Context, event core.AuditEvent) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.audit(ctx, tx, event) })
	if err != nil {
		return fmt.Errorf("recording audit event: %w", err)
	}
	return nil
}

// PutConfiguration keeps the settings that Scanhook runs with, by key, and returns the keys that changed since the last
// start. Secrets come in a form that only shows whether they changed. The change is audited with the name of who
// started Scanhook; what a new database starts with is no change.
func (s *Store) PutConfiguration(ctx context.Context, by string, settings map[string]string) (changed []string, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		before, err := listSettings(ctx, tx)
		if err != nil {
			return err
		}
		if changed = changedSettings(before, settings); len(changed) == 0 {
			return nil
		}
		if err := putSettings(ctx, tx, changed, settings); err != nil || len(before) == 0 {
			return err
		}
		return s.audit(ctx, tx, core.AuditEvent{
			Actor: by, Action: core.AuditConfiguration, Subject: fmt.Sprintf("%d settings", len(changed)),
			Detail: strings.Join(changed, ", "),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("keeping configuration: %w", err)
	}
	return changed, nil
}

// CompareConfiguration returns the keys of settings that are not those of the last PutConfiguration; none before the first.
func (s *Store) CompareConfiguration(ctx context.Context, settings map[string]string) (differ []string, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		before, err := listSettings(ctx, tx)
		if len(before) > 0 {
			differ = changedSettings(before, settings)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("comparing configuration: %w", sqldb.Classify(err))
	}
	return differ, nil
}

// changedSettings lists the keys of settings that were added, removed or changed, in their order.
func changedSettings(before, after map[string]string) []string {
	changed := []string{}
	for key, value := range after {
		if was, known := before[key]; !known || was != value {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, kept := after[key]; !kept {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}

func listSettings(ctx context.Context, tx *sqlx.Tx) (map[string]string, error) {
	var list []struct {
		Name  string `db:"name"`
		Value string `db:"value"`
	}
	if err := tx.SelectContext(ctx, &list, `SELECT name, value FROM settings`); err != nil {
		return nil, err
	}
	settings := make(map[string]string, len(list))
	for _, row := range list {
		settings[row.Name] = row.Value
	}
	return settings, nil
}

// putSettings writes the changed ones in their order, so that two replicas that start at once do not wait for each
// other.
func putSettings(ctx context.Context, tx *sqlx.Tx, changed []string, settings map[string]string) error {
	for _, name := range changed {
		query, args := `DELETE FROM settings WHERE name = ?`, []any{name}
		if value, kept := settings[name]; kept {
			query = `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
			args = append(args, value)
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(query), args...); err != nil {
			return err
		}
	}
	return nil
}

// AuditFilter chooses audit events; empty fields choose all.
type AuditFilter struct {
	Action  core.AuditAction
	Actor   string
	Project string // present full path, on any platform
	Before  int64  // only events with a smaller id; 0 begins with the newest
	Limit   int
}

// ListAudit returns who did what, the newest first. Those who administer only some projects see the events of these.
func (s *Store) ListAudit(ctx context.Context, filter AuditFilter) ([]core.AuditEvent, error) {
	project, err := s.projectsNamed(ctx, "", filter.Project)
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", err)
	}
	var where sqldb.Conditions
	sees := seenBy(ctx, access.Administer)
	project.members = slices.DeleteFunc(project.members, func(p core.KeptProject) bool { return !sees.has(p) })
	if filter.Project == "" {
		shown, err := s.shownTo(ctx, sees)
		if err != nil {
			return nil, fmt.Errorf("listing audit events: %w", err)
		}
		shown.limit(&where, `project_id`)
	}
	where.Add(filter.Action != "", "action = ?", filter.Action)
	where.Add(filter.Actor != "", "actor = ?", filter.Actor)
	project.idsTo(&where)
	where.Add(filter.Before > 0, "id < ?", filter.Before)
	list := []core.AuditEvent{}
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+auditColumns+` FROM audit_events `+where.SQL()+`
		ORDER BY id DESC LIMIT ?`), append(where.Args, filter.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", sqldb.Classify(err))
	}
	return list, nil
}
