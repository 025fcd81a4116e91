package reports

import (
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// catalogue collects the runs of an export: one for each tool, and one for each scanner that found nothing.
type catalogue struct {
	runs   []*exportRun
	byTool map[string]*exportRun
	byJob  map[int64][]*exportRun
}

// exportRun is one tool's part of an export.
type exportRun struct {
	tool     string
	findings int
	job      core.Job // the zero value where only the baseline has findings of the tool
	rules    []*exportRule
	byID     map[string]*exportRule
}

// exportRule is what the findings of a rule have in common.
type exportRule struct {
	id, title, help, cwe string
	index                int
	severity             core.Severity // of the gravest finding
}

func newCatalogue() *catalogue {
	return &catalogue{byTool: make(map[string]*exportRun), byJob: make(map[int64][]*exportRun)}
}

func (c *catalogue) run(tool string) *exportRun {
	run := c.byTool[tool]
	if run == nil {
		run = &exportRun{tool: tool, byID: make(map[string]*exportRule)}
		c.byTool[tool] = run
		c.runs = append(c.runs, run)
	}
	return run
}

func (c *catalogue) add(f core.Finding) {
	run := c.run(f.Tool)
	run.findings++
	run.rule(f)
	for _, known := range c.byJob[f.JobID] {
		if known == run {
			return
		}
	}
	c.byJob[f.JobID] = append(c.byJob[f.JobID], run)
}

// addJob lets the runs of a job that has ended say how it ended.
func (c *catalogue) addJob(job core.Job) {
	if job.State != core.JobCompleted && job.State != core.JobFailed {
		return
	}
	runs := c.byJob[job.ID]
	if len(runs) == 0 {
		runs = []*exportRun{c.run(job.Scanner)}
	}
	for _, run := range runs {
		if run.job.State != core.JobFailed {
			run.job = job
		}
	}
}

// rule makes sure of the finding's rule. What only some of its findings say, the rule does not say.
func (r *exportRun) rule(f core.Finding) {
	rule := r.byID[f.RuleID]
	if rule == nil {
		rule = &exportRule{
			id: strings.Clone(f.RuleID), title: first(f.Title, f.RuleID), help: f.HelpURI, cwe: f.CWE,
			index: len(r.rules), severity: f.Severity,
		}
		r.byID[rule.id] = rule
		r.rules = append(r.rules, rule)
	}
	if rule.cwe != f.CWE {
		rule.cwe = ""
	}
	if f.Severity.Rank() > rule.severity.Rank() {
		rule.severity = f.Severity
	}
}

// name is the tool's, or that of its scanner in our configuration where reports do not name it.
func (r *exportRun) name() string { return first(r.tool, r.job.Scanner, "unknown") }

// invocation says how the tool ended, nil where no job tells.
func (r *exportRun) invocation() []sarifInvocation {
	if r.job.State == "" {
		return nil
	}
	invocation := sarifInvocation{
		ExecutionSuccessful: r.job.State == core.JobCompleted,
		StartTimeUTC:        sarifTime(r.job.StartedAt),
		EndTimeUTC:          sarifTime(r.job.FinishedAt),
	}
	if !invocation.ExecutionSuccessful {
		reason := first(r.job.Error, "the scanner failed")
		invocation.Notifications = []sarifNotification{{Level: "error", Message: sarifMessage{reason}}}
	}
	return []sarifInvocation{invocation}
}

func sarifTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
