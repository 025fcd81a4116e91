package store

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// headChunk is how many heads one statement or transaction takes, so that none delays a webhook.
const headChunk = 500

// ListHeads returns where the branches and tags of a tracked project stood at the last sync.
func (s *Store) ListHeads(ctx context.Context, project int64) (list []core.Head, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT ref, sha, seen_at FROM ref_heads WHERE tracked_id = ?`), project)
	if err != nil {
		return nil, fmt.Errorf("listing heads: %w", sqldb.Classify(err))
	}
	return list, nil
}

// ListOrphanedRefs returns the refs of a tracked project that stood, at the last sync, at a commit whose scan was
// superseded by a newer push.
func (s *Store) ListOrphanedRefs(ctx context.Context, w TrackedProject) (refs []string, err error) {
	err = s.db.SelectContext(ctx, &refs, s.db.Rebind(`
		SELECT h.ref FROM ref_heads h
		JOIN scans s ON s.source_platform = ? AND s.project_name = ? AND s.commit_sha = h.sha
		WHERE h.tracked_id = ? AND s.superseded_by <> ''`), w.SourcePlatform, w.ProjectName, w.ID)
	if err != nil {
		return nil, fmt.Errorf("listing orphaned refs: %w", sqldb.Classify(err))
	}
	return refs, nil
}

// PutHeads keeps where refs of a tracked project stand now; forget are refs that are gone.
func (s *Store) PutHeads(ctx context.Context, project int64, heads []core.Head, forget []string) error {
	for chunk := range slices.Chunk(heads, headChunk) {
		if err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.putHeads(ctx, tx, project, chunk) }); err != nil {
			return fmt.Errorf("putting heads: %w", err)
		}
	}
	for chunk := range slices.Chunk(forget, headChunk) {
		err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
			_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM ref_heads WHERE tracked_id = ? AND ref IN (?)`, project, chunk)
			return err
		})
		if err != nil {
			return fmt.Errorf("forgetting heads: %w", err)
		}
	}
	return nil
}

func (s *Store) putHeads(ctx context.Context, tx *sqlx.Tx, project int64, heads []core.Head) error {
	now := s.clock.Timestamp()
	var args []any
	for _, h := range heads {
		args = append(args, project, h.Ref, h.SHA, now)
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO ref_heads (tracked_id, ref, sha, seen_at) VALUES `+sqldb.Tuples(len(heads), 4)+`
		ON CONFLICT (tracked_id, ref) DO UPDATE SET sha = excluded.sha, seen_at = excluded.seen_at`), args...)
	if err != nil {
		return err
	}
	return clearStale(ctx, tx, project, heads)
}

// clearStale corrects marks that pushes in an unforeseen order may have left: a branch that is seen at a commit stands
// there.
func clearStale(ctx context.Context, tx *sqlx.Tx, project int64, heads []core.Head) error {
	var args []any
	for _, h := range heads {
		args = append(args, h.Name(), h.SHA)
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		WITH heads (branch, commit_sha) AS (VALUES `+sqldb.Tuples(len(heads), 2)+`)
		UPDATE scans SET stale = FALSE WHERE stale AND id IN (
			SELECT s.id FROM heads
			JOIN tracked_projects w ON w.id = ?
			JOIN scans s ON s.commit_sha = heads.commit_sha AND s.source_platform = w.source_platform
				AND s.project_name = w.project_name AND s.branch = heads.branch)`), append(args, project)...)
	return err
}

// maxOutOfOrder is how many of a branch's scans are examined for those that belong to a late push.
const maxOutOfOrder = 1000

// markStale marks scans that are newer than that of the commit at which their branch stands: of pushes that are
// announced late, after what was pushed onto them, and of commits behind which the branch was set back. They are
// scanned like all others, but later scans are not compared with them.
func (s *Store) markStale(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	if len(items) == 0 {
		return nil
	}
	moves := make([]*branchMove, len(items))
	for n, item := range items {
		moves[n] = &branchMove{Scan: item.Scan, created: item.Created}
	}
	if err := loadBranchStates(ctx, tx, moves); err != nil {
		return err
	}
	for _, m := range moves {
		if err := m.place(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// branchMove is a push's step of a branch to the scan's commit from the one before it.
type branchMove struct {
	*core.Scan
	branchState
	created bool // the push made the scan
}

// branchState is what earlier scans of the branch say of a move. The ids are 0 where there are none.
type branchState struct {
	N        int    `db:"n"`
	Tip      string `db:"tip"`      // where the branch stood as far as we knew
	Followed int64  `db:"followed"` // what was pushed onto the commit
	Within   int64  `db:"within"`   // where the branch was found, having left the same commit as this move
	Behind   int64  `db:"behind"`   // what the move begins with, where the branch stood beyond that already
}

// ahead is the first scan of a commit that the branch reached after the move, or 0.
func (m *branchMove) ahead() int64 {
	ahead := []int64{m.Followed}
	if m.Tip != m.BeforeSHA {
		ahead = append(ahead, m.Within, m.Behind)
	}
	ahead = slices.DeleteFunc(ahead, func(id int64) bool { return id == 0 })
	if len(ahead) == 0 {
		return 0
	}
	return slices.Min(ahead)
}

// pushedOnto omits the scans of uploads and of new branches, which have nothing or zeros before them, as the index on
// before_sha does.
const pushedOnto = `s.before_sha > '0000000000000000000000000000000000000000000000000000000000000000'`

// loadBranchStates finds where the branches stood before the moves, and what lies ahead of these.
func loadBranchStates(ctx context.Context, tx *sqlx.Tx, moves []*branchMove) error {
	var args []any
	for n, m := range moves {
		upTo := m.ID // which is new
		if !m.created {
			upTo = math.MaxInt64
		}
		args = append(args, n, m.SourcePlatform, m.ProjectName, m.Branch, upTo, m.CommitSHA, m.BeforeSHA)
	}
	// Each question is about rows that one index leads to, whatever an engine knows or believes of the tables: for the tip,
	// no other one has the project first; elsewhere the branch is an expression, so that only the commit can be looked for.
	const ofBranch = `s.source_platform || '/' || s.project_name || '/' || s.branch
		= m.source_platform || '/' || m.project_name || '/' || m.branch AND s.id + 0 < CAST(m.up_to AS BIGINT)`
	var list []branchState
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		WITH moves (n, source_platform, project_name, branch, up_to, commit_sha, before_sha)
			AS (VALUES `+sqldb.Tuples(len(moves), 7)+`)
		SELECT n,
			COALESCE((SELECT s.commit_sha FROM scans s
				WHERE s.source_platform = m.source_platform AND s.project_name = m.project_name AND s.branch >= m.branch
					AND (s.branch, s.id) < (m.branch, CAST(m.up_to AS BIGINT)) AND NOT s.stale
				ORDER BY s.branch DESC, s.id DESC LIMIT 1), '') AS tip,
			COALESCE((SELECT MIN(s.id + 0) FROM scans s WHERE s.before_sha = m.commit_sha AND `+pushedOnto+` AND `+ofBranch+`
				AND s.commit_sha NOT IN (m.commit_sha, m.before_sha)), 0) AS followed,
			COALESCE((SELECT MIN(s.id + 0) FROM scans s WHERE s.before_sha = m.before_sha AND s.origin = 'recover' AND `+ofBranch+`
				AND s.commit_sha <> m.commit_sha), 0) AS within,
			COALESCE((SELECT MIN(s.id + 0) FROM scans s WHERE s.commit_sha = m.before_sha AND s.stale AND `+ofBranch+`), 0) AS behind
		FROM moves m`), args...)
	for _, k := range list {
		moves[k.N].branchState = k
	}
	return err
}

// place does nothing for the usual push, which moves the branch on from where it stood.
func (m *branchMove) place(ctx context.Context, tx *sqlx.Tx) error {
	ahead := m.ahead()
	switch {
	case !m.created:
		return m.setTip(ctx, tx)
	case m.Origin == core.OriginReconcile || m.Tip == "" || ahead == 0: // recover saw the branch stand there
		return nil
	}
	return m.mark(ctx, tx, m.CommitSHA, ahead)
}

// setTip is for a push to a commit that has a scan: the commit that it left is behind, however new its scan is.
func (m *branchMove) setTip(ctx context.Context, tx *sqlx.Tx) error {
	if m.Tip == m.BeforeSHA {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET stale = FALSE WHERE id = ? AND stale`), m.ID)
		if err != nil {
			return err
		}
	}
	var left []int64
	before := commitKey{m.SourcePlatform, m.ProjectName, m.BeforeSHA}
	err := tx.SelectContext(ctx, &left, tx.Rebind(`
		SELECT s.id FROM scans s WHERE `+ofCommit+` AND s.branch || '' = ? AND s.id + 0 > ? AND NOT s.stale`),
		append(before.args(), m.Branch, m.ID)...)
	if err != nil || len(left) == 0 {
		return err
	}
	return m.mark(ctx, tx, m.BeforeSHA, m.ID)
}

// mark marks the scans of a commit that are newer than the one ahead, with those of the branch's commits before and
// after it that are.
func (m *branchMove) mark(ctx context.Context, tx *sqlx.Tx, commit string, ahead int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		WITH RECURSIVE newer AS (
			SELECT id, commit_sha, before_sha, origin FROM scans
			WHERE source_platform = ? AND project_name = ? AND branch = ? AND id > ?
				AND commit_sha <> (SELECT commit_sha FROM scans WHERE id = ?)
			ORDER BY id LIMIT ?),
		late (id, commit_sha, before_sha) AS (
			SELECT id, commit_sha, before_sha FROM newer WHERE commit_sha = ?
			UNION
			SELECT newer.id, newer.commit_sha, newer.before_sha FROM late JOIN newer
				ON newer.commit_sha = late.before_sha OR newer.before_sha = late.commit_sha AND newer.origin <> ?)
		UPDATE scans SET stale = TRUE WHERE id IN (SELECT id FROM late)`),
		m.SourcePlatform, m.ProjectName, m.Branch, ahead, ahead, maxOutOfOrder, commit, core.OriginReconcile)
	return err
}
