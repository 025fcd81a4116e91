// Package particulars keeps what reports say of findings besides what is compared, and of their rules. It lies beside the findings, by
// their job and fingerprint, so that lists and verdicts read nothing of it. It goes with the jobs.
package particulars

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/store/sqldb"
)

// key names what is kept of a job: of a finding by its fingerprint, or of a rule.
type key struct{ fingerprint, tool, rule string }

// Batch is what a report says, ready to be stored.
type Batch struct {
	details map[int][]byte // by the number of the finding in the report
	help    map[core.RuleName][]byte
}

// maxRuleName bounds the names of a tool and its rule together, in bytes: PostgreSQL takes keys of 2,704 bytes. Longer ones, which no
// scanner is known to have, go without help.
const maxRuleName = 2000

// NewBatch gets ready what a report says, before a transaction begins.
func NewBatch(report core.Report) Batch {
	b := Batch{details: make(map[int][]byte), help: make(map[core.RuleName][]byte, len(report.Help))}
	report.EachDetailed(func(i int, packed string) { b.details[i] = details.Compress(packed) })
	for rule, packed := range report.Help {
		if len(rule.Tool)+len(rule.Rule) <= maxRuleName {
			b.help[rule] = details.Compress(packed)
		}
	}
	return b
}

// Put replaces what is kept for a job. finding returns the i-th finding of the report as it is stored. kept are findings of earlier jobs
// that the job has too, with what was said of them there. What is the same already is not written.
func (b Batch) Put(
	ctx context.Context, db *sqldb.DB, tx *sqlx.Tx, job core.Job, finding func(int) *core.Finding, kept []core.Finding,
) error {
	wanted, err := earlier(ctx, tx, kept)
	if err != nil {
		return fmt.Errorf("reading details of earlier findings: %w", err)
	}
	for i, packed := range b.details {
		wanted[key{fingerprint: finding(i).Fingerprint}] = packed
	}
	for name, packed := range b.help {
		wanted[key{tool: cmp.Or(name.Tool, core.ScannerOf(job.Scanner)), rule: name.Rule}] = packed
	}
	stored, err := of(ctx, tx, job.ID)
	if err == nil && !maps.EqualFunc(wanted, stored, bytes.Equal) {
		err = replace(ctx, db, tx, job.ID, stored, wanted)
	}
	if err != nil {
		return fmt.Errorf("keeping details: %w", err)
	}
	return nil
}

// earlier is what is kept of findings of other jobs, and of their rules.
func earlier(ctx context.Context, tx *sqlx.Tx, kept []core.Finding) (map[key][]byte, error) {
	all, jobs := make(map[key][]byte), make(map[int64][]core.Finding)
	for _, f := range kept {
		jobs[f.JobID] = append(jobs[f.JobID], f)
	}
	for job, findings := range jobs {
		stored, err := of(ctx, tx, job)
		if err != nil {
			return nil, err
		}
		for _, f := range findings {
			for _, k := range []key{{fingerprint: f.Fingerprint}, {tool: f.Tool, rule: f.RuleID}} {
				if packed, known := stored[k]; known {
					all[k] = packed
				}
			}
		}
	}
	return all, nil
}

// row is one of finding_details or of rule_help.
type row struct {
	Fingerprint string `db:"fingerprint"`
	Tool        string `db:"tool"`
	Rule        string `db:"rule_id"`
	Packed      []byte `db:"packed"`
}

// of is all that is kept for a job.
func of(ctx context.Context, q sqlx.ExtContext, job int64) (map[key][]byte, error) {
	var rows []row
	err := sqlx.SelectContext(ctx, q, &rows, q.Rebind(`
		SELECT fingerprint, '' AS tool, '' AS rule_id, details AS packed FROM finding_details WHERE job_id = ?
		UNION ALL SELECT '', tool, rule_id, help FROM rule_help WHERE job_id = ?`), job, job)
	all := make(map[key][]byte, len(rows))
	for _, r := range rows {
		all[key{r.Fingerprint, r.Tool, r.Rule}] = r.Packed
	}
	return all, err
}

func replace(ctx context.Context, db *sqldb.DB, tx *sqlx.Tx, job int64, stored, wanted map[key][]byte) error {
	for _, table := range []string{`finding_details`, `rule_help`} {
		if len(stored) > 0 {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM `+table+` WHERE job_id = ?`, job); err != nil {
				return err
			}
		}
	}
	var findings, rules []key
	for k := range wanted {
		if k.fingerprint != "" {
			findings = append(findings, k)
		} else {
			rules = append(rules, k)
		}
	}
	err := db.Load(ctx, tx, sqldb.Bulk{
		Table: "finding_details", Columns: []string{"job_id", "fingerprint", "details"}, Rows: len(findings),
		Row: func(i int, values []any) []any {
			return append(values, job, findings[i].fingerprint, wanted[findings[i]])
		},
	})
	if err != nil {
		return err
	}
	return db.Load(ctx, tx, sqldb.Bulk{
		Table: "rule_help", Columns: []string{"job_id", "tool", "rule_id", "help"}, Rows: len(rules),
		Row: func(i int, values []any) []any {
			return append(values, job, rules[i].tool, rules[i].rule, wanted[rules[i]])
		},
	})
}

// Copy lets a job have what is kept of findings of another job, which are given by their ids, and of their rules.
func Copy(ctx context.Context, tx *sqlx.Tx, job int64, ids []int64) error {
	for _, copied := range []string{`
		INSERT INTO finding_details (job_id, fingerprint, details)
		SELECT ?, d.fingerprint, d.details FROM findings f JOIN finding_details d ON d.job_id = f.job_id AND d.fingerprint = f.fingerprint
		WHERE f.id IN (?) ON CONFLICT DO NOTHING`, `
		INSERT INTO rule_help (job_id, tool, rule_id, help)
		SELECT DISTINCT CAST(? AS BIGINT), h.tool, h.rule_id, h.help
		FROM findings f JOIN rule_help h ON h.job_id = f.job_id AND h.tool = f.tool AND h.rule_id = f.rule_id
		WHERE f.id IN (?) ON CONFLICT DO NOTHING`} {
		if _, err := sqldb.ExecIn(ctx, tx, copied, job, ids); err != nil {
			return fmt.Errorf("copying details: %w", err)
		}
	}
	return nil
}

// Rename lets what is kept of findings of a job be that of other fingerprints, which are given by those that the findings had.
func Rename(ctx context.Context, db *sqldb.DB, tx *sqlx.Tx, job int64, prints map[string]string) error {
	var rows []row
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(prints)), sqldb.RowsPerStatement) {
		var some []row
		err := sqldb.SelectIn(ctx, tx, &some, `
			SELECT fingerprint, details AS packed FROM finding_details WHERE job_id = ? AND fingerprint IN (?)`, job, chunk)
		if err != nil {
			return fmt.Errorf("renaming details: %w", err)
		}
		rows = append(rows, some...)
	}
	stale := slices.AppendSeq(slices.Collect(maps.Keys(prints)), maps.Values(prints))
	for chunk := range slices.Chunk(stale, sqldb.RowsPerStatement) {
		if _, err := sqldb.ExecIn(ctx, tx, `DELETE FROM finding_details WHERE job_id = ? AND fingerprint IN (?)`, job, chunk); err != nil {
			return fmt.Errorf("renaming details: %w", err)
		}
	}
	return db.Load(ctx, tx, sqldb.Bulk{
		Table: "finding_details", Columns: []string{"job_id", "fingerprint", "details"}, Rows: len(rows),
		Row: func(i int, values []any) []any {
			return append(values, job, prints[rows[i].Fingerprint], rows[i].Packed)
		},
	})
}

// Add adds what is kept of findings to them, as it is kept.
func Add(ctx context.Context, q sqlx.ExtContext, findings []core.Finding) error {
	jobs := make(map[int64]map[string]int) // numbers in the list by job and fingerprint
	for i, f := range findings {
		if jobs[f.JobID] == nil {
			jobs[f.JobID] = make(map[string]int)
		}
		jobs[f.JobID][f.Fingerprint] = i
	}
	for job, numbers := range jobs {
		for some := range slices.Chunk(slices.Collect(maps.Keys(numbers)), sqldb.RowsPerStatement) {
			var rows []row
			err := sqldb.SelectIn(ctx, q, &rows, `
				SELECT fingerprint, details AS packed FROM finding_details WHERE job_id = ? AND fingerprint IN (?)`, job, some)
			if err != nil {
				return fmt.Errorf("reading details of findings: %w", sqldb.Classify(err))
			}
			for _, r := range rows {
				findings[numbers[r.Fingerprint]].Details = string(r.Packed)
			}
		}
	}
	return nil
}

// List returns what is kept of findings, by their ids. Those of which nothing is kept are not in it.
func List(ctx context.Context, q sqlx.ExtContext, findings []core.Finding) (map[int64]details.Details, error) {
	findings, all := slices.Clone(findings), make(map[int64]details.Details)
	if err := Add(ctx, q, findings); err != nil {
		return nil, err
	}
	for _, f := range findings {
		if f.Details == "" {
			continue
		}
		d, err := details.Unpack(f.Details)
		if err != nil {
			return nil, err
		}
		all[f.ID] = d
	}
	return all, nil
}

// Help is what rules are about, by job.
type Help map[int64]map[core.RuleName]details.Help

// Of is what the rule of a finding is about.
func (h Help) Of(f core.Finding) details.Help {
	return h[f.JobID][core.RuleName{Tool: f.Tool, Rule: f.RuleID}]
}

// ListHelp returns what the rules of findings are about.
func ListHelp(ctx context.Context, q sqlx.ExtContext, findings []core.Finding) (Help, error) {
	all, rules := make(Help), make(map[int64][]string)
	for _, f := range findings {
		if !slices.Contains(rules[f.JobID], f.RuleID) {
			rules[f.JobID] = append(rules[f.JobID], f.RuleID)
		}
	}
	for job, ids := range rules {
		var rows []row
		err := sqldb.SelectIn(ctx, q, &rows, `
			SELECT tool, rule_id, help AS packed FROM rule_help WHERE job_id = ? AND rule_id IN (?)`, job, ids)
		all[job] = make(map[core.RuleName]details.Help)
		for i := 0; err == nil && i < len(rows); i++ {
			r := rows[i]
			all[job][core.RuleName{Tool: r.Tool, Rule: r.Rule}], err = details.UnpackHelp(string(r.Packed))
		}
		if err != nil {
			return nil, fmt.Errorf("reading what rules are about: %w", sqldb.Classify(err))
		}
	}
	return all, nil
}

// HelpOf returns what rules of jobs are about.
func HelpOf(ctx context.Context, q sqlx.ExtContext, jobs []core.Job) (map[core.RuleName]details.Help, error) {
	all := make(map[core.RuleName]details.Help)
	for _, job := range jobs {
		var rows []row
		err := sqlx.SelectContext(ctx, q, &rows, q.Rebind(`SELECT tool, rule_id, help AS packed FROM rule_help WHERE job_id = ?`), job.ID)
		for i := 0; err == nil && i < len(rows); i++ {
			all[core.RuleName{Tool: rows[i].Tool, Rule: rows[i].Rule}], err = details.UnpackHelp(string(rows[i].Packed))
		}
		if err != nil {
			return nil, fmt.Errorf("reading what rules are about: %w", sqldb.Classify(err))
		}
	}
	return all, nil
}
