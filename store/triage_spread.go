package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxSpread is in how many scans, the newest, a decision reaches the same finding.
const maxSpread = 200

// spread takes the decision on a finding to the same finding in the other scans that commits show, and judges all of
// them and its own scan again. before is the word that held until now: whoever takes an AI's word over gives it more
// weight, and whoever withdraws that takes it away.
func (s *Store) spread(
	ctx context.Context, tx *sqlx.Tx, found Triaged, before *core.Word, event core.TriageEvent,
) error {
	finding, scan := found.Finding, found.Scan
	weighed := before != nil && found.Word != nil && (before.Source == core.ByAI) != (found.Word.Source == core.ByAI)
	var moved []core.Finding
	err := tx.SelectContext(ctx, &moved, tx.Rebind(`
		SELECT f.id, f.scan_id FROM findings f
		WHERE f.fingerprint = ? AND (COALESCE(f.triage_decision, '') <> COALESCE(?, '') OR ?)
			AND f.scan_id IN (SELECT s.id FROM scans s
				WHERE s.source_platform = ? AND s.project_name = ? AND (s.id = ? OR `+latestAttempt+`)
					AND EXISTS (SELECT 1 FROM findings same WHERE same.scan_id = s.id AND same.fingerprint = ?)
				ORDER BY CASE WHEN s.id = ? THEN 0 ELSE 1 END, s.id DESC
				LIMIT ?)`),
		finding.Fingerprint, finding.TriageDecision, weighed, scan.SourcePlatform, scan.ProjectName, scan.ID,
		finding.Fingerprint, scan.ID, maxSpread)
	if err != nil {
		return err
	}
	scans, ids := []int64{scan.ID}, []int64{}
	var events []core.TriageEvent
	for _, f := range moved {
		scans, ids = append(scans, f.ScanID), append(ids, f.ID)
		if f.ID != finding.ID {
			events = append(events, carried(event, f.ID))
		}
	}
	if err := decideFindings(ctx, tx, ids, finding.TriageDecision); err != nil {
		return err
	}
	if err := recordEvents(ctx, tx, events); err != nil {
		return err
	}
	return s.judgeAll(ctx, tx, scans, scan.ID)
}

// latestAttempt is true for a scan whose commit was not scanned once more.
var latestAttempt = `(SELECT COUNT(*) FROM scans later WHERE ` + sameCommit("later", "s") + ` AND later.attempt > s.attempt) = 0`

// branchHead is true for the newest scan of a branch.
const branchHead = `COALESCE((SELECT newer.id FROM scans newer
	WHERE newer.source_platform = s.source_platform AND newer.project_name = s.project_name
		AND newer.branch >= s.branch AND newer.branch <= s.branch AND NOT newer.overtaken
	ORDER BY newer.branch DESC, newer.id DESC LIMIT 1), 0) <= s.id`

func decideFindings(ctx context.Context, tx *sqlx.Tx, ids []int64, decision *core.Triage) error {
	if len(ids) == 0 {
		return nil
	}
	query, args, err := sqlx.In(`UPDATE findings SET triage_decision = ? WHERE id IN (?)`, decision, ids)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(query), args...)
	return err
}

// judged is a scan to judge again.
type judged struct {
	core.Scan
	Latest bool `db:"latest"`
	Head   bool `db:"head"`
}

// judgeAll asks the gate again about scans that have ended, which it locks in one order for everybody. The commit of
// the first one hears of it first.
func (s *Store) judgeAll(ctx context.Context, tx *sqlx.Tx, ids []int64, first int64) error {
	query, args, err := sqlx.In(`
		SELECT `+of("s", scanColumns)+`, `+latestAttempt+` AS latest, `+branchHead+` AS head
		FROM scans s WHERE s.id IN (?)
		ORDER BY s.id `+s.dialect.forUpdate, ids)
	if err != nil {
		return err
	}
	var scans []judged
	if err := tx.SelectContext(ctx, &scans, tx.Rebind(query), args...); err != nil {
		return err
	}
	var own, others []core.Scan
	for _, scan := range scans {
		changed, err := s.judgeOnce(ctx, tx, &scan.Scan)
		switch {
		case err != nil:
			return err
		case scan.Latest && scan.ID == first:
			own = append(own, scan.Scan)
		case scan.Latest && (scan.Head || changed):
			others = append(others, scan.Scan)
		}
	}
	if err := s.wantStatuses(ctx, tx, own); err != nil {
		return err
	}
	return s.wantStatuses(ctx, tx, others)
}

// judgeOnce tells whether the verdict of a scan changed. A scan that has not ended is left to its jobs.
func (s *Store) judgeOnce(ctx context.Context, tx *sqlx.Tx, scan *core.Scan) (changed bool, err error) {
	if !scan.Status.Ended() {
		return false, nil
	}
	var jobs []core.Job
	err = tx.SelectContext(ctx, &jobs, tx.Rebind(`
		SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id = ? ORDER BY id`), scan.ID)
	if err != nil {
		return false, err
	}
	before := scan.Verdict
	if err := s.judge(ctx, tx, scan, jobs, nil); err != nil {
		return false, err
	}
	changed = before != nil && scan.Verdict != nil && *before != *scan.Verdict
	return changed, keepVerdict(ctx, tx, *scan)
}
