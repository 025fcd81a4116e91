// Package sarif reads SARIF 2.1.0 logs, the format that large reports come in. Results are streamed one by one; their
// usual form is read by a scanner of its own (fastResult), anything else by encoding/json. A result may stand before the
// rules, artifacts and directories that it refers to, so it becomes a finding that is completed at the end of its run.
package sarif

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/collect"
	"github.com/scanhook/scanhook/internal/reports/jsonscan"
)

const (
	version     = "2.1.0" // the only one that is a standard; drafts before and after it have other members
	maxBases    = 100     // directories that every file is compared with; tools write a handful
	maxToolName = 100     // bytes of a tool's name in a message
	maxReason   = 8 << 10 // bytes of a reason for a failure
)

// Format is SARIF.
var Format = collect.Format{Name: `SARIF 2.1.0 (an object with "runs")`, Recognizes: looksLikeSARIF, Parse: parse}

// looksLikeSARIF recognizes logs, and the array of logs that Snyk Code writes for several projects.
func looksLikeSARIF(seen jsonscan.Sniff) bool {
	if seen.Array {
		return seen.Has("runs", "version")
	}
	return seen.Has("runs") || seen.Has("inlineExternalProperties") || strings.Contains(seen.Schema, "sarif")
}

func parse(c *collect.Collector) (core.Report, error) {
	if c.Pack {
		c.Report.Packed = new(core.Packed)
	}
	if err := c.OneOrMany(func() error { return readLog(c) }); err != nil {
		return core.Report{}, err
	}
	return c.Finish(""), nil
}

// readLog reads one log, run by run.
func readLog(c *collect.Collector) error {
	found, runs := "", false
	err := c.Object(jsonscan.Members{
		"version": func() error { return readVersion(c, &found) },
		"runs": func() error {
			runs = true
			return readRuns(c)
		},
		"inlineExternalProperties": func() error { return readExternal(c) },
	})
	switch {
	case err != nil:
		return err
	case found == "":
		return c.Invalid("the report has no version; it must be %q", version)
	case !runs:
		return c.Invalid("the report has no runs")
	}
	return nil
}

func readVersion(c *collect.Collector, into *string) error {
	if err := c.Decode(into); err != nil {
		return err
	}
	if *into != version {
		return c.Invalid("the report is SARIF %.40q; let the scanner write SARIF %s", *into, version)
	}
	return nil
}

func readRuns(c *collect.Collector) error {
	found, err := c.ArrayOrNull(func() error {
		r := newRun(c)
		if err := r.read(); err != nil {
			return err
		}
		r.finish()
		return nil
	})
	if err == nil && !found {
		return c.Invalid("is null, with which SARIF says that the results could not be fetched")
	}
	return err
}

// readExternal reads external property files that were put into the log. No tool is known to write results there.
func readExternal(c *collect.Collector) error {
	return c.Array(func() error {
		return c.Object(jsonscan.Members{"results": func() error {
			c.Fail("results in inlineExternalProperties are not supported; let the scanner write them into runs")
			return c.Skip()
		}})
	})
}

// run reads one run of a log.
type run struct {
	*collect.Collector
	tool        tool
	artifacts   []ArtifactLocation
	bases       map[string]ArtifactLocation
	invocations []invocation
	pending     collect.ChunkList[pendingResult]
	references  references
	result      Result // the one that is being read
	fast        fastResult
	texts       interner
	unpacked    core.Finding // the packed one that is being completed
}

// invocation is what a run of the tool says about itself.
type invocation struct {
	failure   string // why it did not do its work, or empty
	directory string // where it ran, a URI
	overrides []override
}

// override is a level that the invocation configured for a rule.
type override struct {
	rule     reference
	severity core.Severity
}

func newRun(c *collect.Collector) *run {
	r := &run{Collector: c, references: make(references)}
	r.fast.texts = &r.texts
	return r
}

func (r *run) read() error {
	return r.Object(jsonscan.Members{
		"tool":                           func() error { return r.tool.read(r.Collector) },
		"results":                        r.readResults,
		"artifacts":                      r.readArtifacts,
		"invocations":                    r.readInvocations,
		"originalUriBaseIds":             r.readBases,
		"externalPropertyFileReferences": r.readReferences,
	})
}

func (r *run) readResults() error {
	return r.Array(func() error {
		if err := r.CountResult(); err != nil {
			return err
		}
		if err := r.readResult(); err != nil {
			return err
		}
		return r.addResult(&r.result)
	})
}

func (r *run) readResult() error {
	value, err := r.Read()
	if err != nil || r.fast.read(value, &r.result) {
		return err
	}
	r.result = Result{}
	result := &r.result
	if err := r.Unmarshal(value, &result); err != nil { // null makes result nil
		return err
	}
	if result == nil {
		return r.Invalid("must be an object, not null")
	}
	return nil
}

func (r *run) readArtifacts() error {
	return r.Array(func() error {
		var artifact struct {
			Location ArtifactLocation `json:"location"`
		}
		err := r.Decode(&artifact)
		r.artifacts = append(r.artifacts, artifact.Location)
		return err
	})
}

func (r *run) readReferences() error {
	return r.Object(jsonscan.Members{"results": func() error {
		return r.Array(func() error {
			r.Fail("the results are in an external file, not in the report; let the scanner write a single file")
			return r.Skip()
		})
	}})
}

func (r *run) readBases() error {
	if err := r.Decode(&r.bases); err != nil {
		return err
	}
	if len(r.bases) > maxBases {
		return r.TooLarge("more than %d directories", maxBases)
	}
	return nil
}

func (r *run) readInvocations() error {
	return r.Array(func() error {
		var wire Invocation
		if err := r.Decode(&wire); err != nil {
			return err
		}
		invocation := invocation{directory: core.Clip(wire.WorkingDirectory.URI, r.Limits.Name())}
		if wire.ExecutionSuccessful != nil && !*wire.ExecutionSuccessful {
			invocation.failure = failureOf(wire)
		}
		for _, o := range wire.RuleConfigurationOverrides {
			severity, err := severityOf(r.Collector, o.Configuration.Level, "ruleConfigurationOverrides.configuration.level")
			if err != nil {
				return err
			}
			invocation.overrides = append(invocation.overrides, override{referenceTo(o.Descriptor), severity})
		}
		r.invocations = append(r.invocations, invocation)
		return nil
	})
}

// failureOf chooses the most telling of the places where a reason may stand.
func failureOf(wire Invocation) string {
	code := ""
	if wire.ExitCode != nil {
		code = "exit code " + strconv.FormatFloat(*wire.ExitCode, 'f', -1, 64)
	}
	return strings.TrimSpace(cmp.Or(
		textOf(wire.ExecutionNotifications, "error"),
		wire.ExitCodeDescription,
		textOf(wire.ConfigurationNotifications, "error"),
		textOf(wire.ExecutionNotifications, ""),
		textOf(wire.ConfigurationNotifications, ""),
		wire.ProcessStartFailureMessage,
		wire.ExitSignalName,
		code,
		"the execution was not successful and the report does not say why",
	))
}

// textOf is the first text among notifications of a level, or of any.
func textOf(notifications []Notification, level string) string {
	for _, notification := range notifications {
		message := notification.Message
		text := cmp.Or(message.Text, message.Markdown, notification.Exception.Value.Message,
			notification.Descriptor.ID, message.ID)
		if text != "" && (level == "" || level == notification.Level) {
			return substitute(core.Clip(text, maxReason), message.Arguments, maxReason)
		}
	}
	return ""
}

// finish completes the run's findings by what they refer to.
func (r *run) finish() {
	r.failAsInvocations()
	rules := newRuleBook(r.tool)
	directories := make([]string, 0, len(r.invocations))
	for _, invocation := range r.invocations[:min(len(r.invocations), maxBases)] {
		directories = append(directories, invocation.directory)
	}
	paths := newPaths(r.bases, r.artifacts, directories, r.Limits.Name())
	name := collect.Clean(r.tool.driver.name, r.Limits.Name())
	r.pending.Drain(func(p *pendingResult) {
		finding := p.finding
		if finding == nil {
			finding = &r.unpacked
			r.Report.Packed.Get(p.packed, finding)
		}
		finding.Tool = name
		finding.File = paths.path(location{uri: finding.File, base: p.base, artifact: p.artifact})
		r.complete(finding, p, rules)
		if p.finding == nil {
			r.Report.Packed.Put(p.packed, finding)
		}
	})
}

// failAsInvocations fails the report of a tool that failed: no findings from it do not mean that all is well.
func (r *run) failAsInvocations() {
	tool := collect.Clean(cmp.Or(r.tool.driver.name, "the scanner"), maxToolName)
	for _, invocation := range r.invocations {
		if invocation.failure != "" {
			r.Fail(fmt.Sprintf("%s: %s", tool, invocation.failure))
		}
	}
}

// complete fills in what a finding takes from its rule.
func (r *run) complete(finding *core.Finding, p *pendingResult, rules *ruleBook) {
	rule := rules.find(p.rule)
	finding.Severity = r.severity(finding.Severity, p, rule, rules)
	if p.message != nil {
		finding.Message = plainText(r.tool.message(p.message, rule), p.message.Arguments, r.Limits.Message())
	}
	rule.describe(finding)
	p.own.apply(finding, r.Limits)
}

// severity decides in the order: the result's security-severity, the rule's, the result's level, the level that the
// invocation configured for the rule, the rule's own, and last "warning" (3.27.10).
func (r *run) severity(stated core.Severity, p *pendingResult, rule *rule, rules *ruleBook) core.Severity {
	switch {
	case p.scored:
		return stated
	case rule.scored:
		return core.SeverityFromScore(rule.score)
	case stated != "":
		return stated
	}
	if p.invocation >= 0 && int(p.invocation) < len(r.invocations) {
		for _, override := range r.invocations[p.invocation].overrides {
			if rules.find(&override.rule) == rule && override.severity != "" {
				return override.severity
			}
		}
	}
	if rule.severity != "" {
		return rule.severity
	}
	return core.SeverityFromLevel("warning")
}
