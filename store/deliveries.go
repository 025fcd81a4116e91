package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxExplained bounds what is told of one commit: scans, and of each its latest deliveries and words on findings.
const maxExplained = 20

// ExplainCommit returns all that is kept of the scans of a commit, the newest first. The id may be cut to its first
// seven characters or more; core.ErrNotFound when no commit begins with it.
func (s *Store) ExplainCommit(ctx context.Context, sha string) ([]core.Facts, error) {
	sha = strings.ToLower(sha)
	if len(sha) < 7 || len(sha) > 64 || strings.Trim(sha, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("explaining commit: %w: %.64q is not a commit id of at least seven characters", core.ErrInvalid, sha)
	}
	var scans []core.Scan
	err := s.db.SelectContext(ctx, &scans, s.db.Rebind(`
		SELECT `+scanColumns+` FROM scans
		WHERE commit_sha >= ? AND commit_sha < ? ORDER BY id DESC LIMIT ?`), sha, sha+"g", maxExplained)
	if err == nil && len(scans) == 0 {
		err = fmt.Errorf("%w: no commit that begins with %s has been announced or scanned", core.ErrNotFound, sha)
	}
	facts := make([]core.Facts, len(scans))
	for i, scan := range scans {
		if err == nil {
			facts[i], err = s.factsOf(ctx, scan)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("explaining commit: %w", classify(err))
	}
	return facts, nil
}

func (s *Store) factsOf(ctx context.Context, scan core.Scan) (facts core.Facts, err error) {
	facts.Scan = scan
	if facts.Deliveries, err = s.ListDeliveries(ctx, DeliveryFilter{ScanID: scan.ID, Limit: maxExplained}); err != nil {
		return facts, err
	}
	if facts.Jobs, err = s.ListJobs(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Statuses, err = s.ListStatuses(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Posts, err = s.ListPosts(ctx, scan); err != nil {
		return facts, err
	}
	if facts.Troubles, err = s.ListTroubles(ctx, scan.SourcePlatform, scan.ProjectName); err != nil {
		return facts, err
	}
	err = s.db.SelectContext(ctx, &facts.Triage, s.db.Rebind(`
		SELECT `+of("e", eventColumns)+` FROM triage_events e JOIN findings f ON f.id = e.finding_id
		WHERE f.scan_id = ? AND e.source <> 'carried' ORDER BY e.id DESC LIMIT ?`), scan.ID, maxExplained)
	if err != nil {
		return facts, err
	}
	err = s.db.SelectContext(ctx, &facts.Audit, s.db.Rebind(`
		SELECT `+auditColumns+` FROM audit_events WHERE reference_id = ? AND action <> ? ORDER BY id DESC LIMIT ?`),
		scan.ReferenceID, core.AuditTriage, maxExplained)
	return facts, err
}

// TrendPoint is what one completed scan of a project's default branch found, dismissed findings left out.
type TrendPoint struct {
	ReferenceID string `db:"reference_id"`
	CommitSHA   string `db:"commit_sha"`
	New         int    `db:"fresh"`
	Open        int    `db:"open"` // the new ones included
	Fixed       int    `db:"fixed"`
}

// ListTrend returns the completed scans of a project's default branch, the oldest of the newest limit first; of a
// project whose default branch is not known, those of all branches.
func (s *Store) ListTrend(ctx context.Context, platform, project string, limit int) ([]TrendPoint, error) {
	var list []TrendPoint
	branch, err := defaultBranch(ctx, s.db, core.Scan{SourcePlatform: platform, ProjectName: project})
	if err == nil {
		var ways *walks
		ways, err = s.waysTo(ctx, ScanFilter{
			Platform: platform, Project: project, Branch: branch, Status: core.ScanCompleted, Limit: limit,
		})
		if err == nil {
			list, err = s.trendOf(ctx, ways)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing trend: %w", classify(err))
	}
	return list, nil
}

func (s *Store) trendOf(ctx context.Context, ways *walks) (list []TrendPoint, err error) {
	picked, args := ways.picked()
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
		SELECT s.reference_id, s.commit_sha,
			`+countOpen(`baseline_state = 'new'`)+` AS fresh,
			`+countOpen(`TRUE`)+` AS open,
			(SELECT COALESCE(SUM(num_absent), 0) FROM scan_jobs WHERE scan_id = s.id) AS fixed
		FROM picked JOIN scans s ON s.id = picked.id
		ORDER BY s.id`), args...)
	return list, err
}

// maxAsked is how many delivery keys one statement asks about.
const maxAsked = 500

// KnownDeliveries tells which of the keys were received from a platform, whatever became of them.
func (s *Store) KnownDeliveries(ctx context.Context, platform string, keys []string) (map[string]bool, error) {
	known := map[string]bool{}
	for chunk := range slices.Chunk(keys, maxAsked) {
		query, args, err := sqlx.In(`
			SELECT delivery_key FROM deliveries WHERE platform = ? AND delivery_key IN (?)`, platform, chunk)
		var found []string
		if err == nil {
			err = s.db.SelectContext(ctx, &found, s.db.Rebind(query), args...)
		}
		if err != nil {
			return nil, fmt.Errorf("looking for deliveries: %w", classify(err))
		}
		for _, key := range found {
			known[key] = true
		}
	}
	return known, nil
}
