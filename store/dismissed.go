package store

// dismissed is true for a row of findings that counts as neither new nor known.
const dismissed = `(findings.suppressed IS NOT NULL
	OR COALESCE(findings.triage_decision, '') = 'FP' AND NOT (` + beyondAI + ` AND ` + byAI + `))`

// beyondAI is core.MayAIDismiss, negated. It is asked at each verdict, because a vulnerability can become known to be
// exploited after an AI dismissed it, and because decisions are carried to other scans.
const beyondAI = `(findings.severity = 'Critical' OR COALESCE(findings.red_team_success, FALSE)
	OR EXISTS (SELECT 1 FROM epss_data exploited WHERE exploited.cve_id = findings.cve_id AND exploited.kev))`

// byAI is true where nobody but an AI says FP.
const byAI = `COALESCE((SELECT MAX(CASE w.source WHEN 'ai' THEN 1 ELSE 2 END)
	FROM triage_words w
	JOIN scans own ON own.source_platform = w.source_platform AND own.project_name = w.project_name
	WHERE own.id = findings.scan_id AND w.fingerprint = findings.fingerprint AND w.decision = 'FP'), 0) = 1`

// falsePositives finds those of a scan by the index of its findings, in which the decision is the fourth column.
const falsePositives = `findings.baseline_state IN ('new', 'unchanged', 'absent')
	AND findings.severity IN ('Critical', 'High', 'Medium', 'Low') AND findings.triage_decision = 'FP'`

// countOpen is how many findings of scan s meet a condition and are not dismissed: what dismissed does row by row, by
// indexes only.
func countOpen(condition string) string {
	const count = `(SELECT COUNT(*) FROM findings WHERE scan_id = s.id AND `
	return count + condition + `)
		- ` + count + condition + ` AND suppressed IS NOT NULL)
		- ` + count + condition + ` AND ` + falsePositives + ` AND suppressed IS NULL AND NOT (` + beyondAI + ` AND ` + byAI + `))`
}
