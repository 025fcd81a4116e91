package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// holdLimit is how long a status waits for somebody to fix the token. Statuses of older commits help nobody.
const holdLimit = 7 * 24 * time.Hour

// holdCount is how many holds keep a row due of commit_statuses from being posted: of the project, or of its branch.
const holdCount = `(SELECT COUNT(*) FROM status_holds t
	WHERE t.source_platform = due.source_platform AND t.project_name = due.project_name AND t.branch IN ('', due.branch))`

// waitingForNamed selects the statuses that a hold of a platform, project and branch keeps from being posted. It uses the
// expression of commit_statuses_waiting, the one index that fits.
const waitingForNamed = `source_platform || '/' || project_name = CAST(:platform AS TEXT) || '/' || CAST(:project AS TEXT)
	AND (:branch = '' OR branch = :branch) AND posted_revision < revision AND NOT given_up`

// waitingFor is the same for platform, project, and twice the branch.
var waitingFor = strings.NewReplacer(`:platform`, `?`, `:project`, `?`, `:branch`, `?`).Replace(waitingForNamed)

// ProbeHolds has one status of each project with a hold posted at once, because the credential may have changed.
func (s *Store) ProbeHolds(ctx context.Context) error {
	now := s.clock.Timestamp()
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE status_holds SET next_probe_at = ?, probes = 1 WHERE next_probe_at > ?`), now, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("probing holds: %w", err)
	}
	return nil
}

// ListHolds returns the holds of a project, or those of all where platform is empty, the oldest first.
func (s *Store) ListHolds(ctx context.Context, platform, project string) ([]core.Hold, error) {
	var where sqldb.Conditions
	where.Add(platform != "", `source_platform = ?`, platform)
	where.Add(platform != "", `project_name = ?`, project)
	var list []core.Hold
	query := s.db.Rebind(`SELECT ` + holdColumns + ` FROM status_holds ` + where.SQL() + ` ORDER BY since, id`)
	if err := s.db.SelectContext(ctx, &list, query, where.Args...); err != nil {
		return nil, fmt.Errorf("listing holds: %w", sqldb.Classify(err))
	}
	return list, nil
}

// Holds lists the holds in the database at url, and has them probed at once by the process that serves it. The schema
// is not touched; the error is core.ErrNotFound where there is no database yet.
func Holds(ctx context.Context, url string) ([]core.Hold, error) {
	s, err := Attach(ctx, Config{URL: url})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	list, err := s.ListHolds(ctx, "", "")
	if sqldb.IsUndefined(err) {
		return nil, fmt.Errorf("%w: there are no tables yet", core.ErrNotFound)
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list, s.ProbeHolds(ctx)
}

var holdColumns = sqldb.ColumnsOf[core.Hold]()
