package export

import (
	"bufio"
	"cmp"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/reports/collect"
	"github.com/scanhook/scanhook/internal/reports/sarif"
)

// SARIF has one run for each tool; fixed findings are results with the baselineState absent.
var SARIF = Format{
	Name: "sarif", MediaType: "application/sarif+json", Extension: ".sarif",
	Says: "SARIF 2.1.0, with what is new, known and fixed, and what was dismissed", Detailed: true, catalogued: true, write: (*Export).writeSARIF,
}

// writeSARIF writes one run for each tool. It does not look at errors of the writer, which Flush returns.
func (e *Export) writeSARIF(out *bufio.Writer) error {
	_, _ = out.WriteString(`{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[`)
	for i, run := range e.runs {
		if i > 0 {
			_, _ = out.WriteString(",\n")
		}
		if err := e.writeRun(out, run); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("]}\n")
	return nil
}

// writeRun writes the description of a run, and before its closing brace the results.
func (e *Export) writeRun(out *bufio.Writer, run *toolRun) error {
	head, err := json.Marshal(e.describe(run))
	if err != nil {
		return err
	}
	_, _ = out.Write(head[:len(head)-1])
	_, _ = out.WriteString(`,"results":[`)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if run.findings > 0 {
		err = e.writeResults(out, encoder, run)
	}
	_, _ = out.WriteString("]}")
	return err
}

func (e *Export) writeResults(out *bufio.Writer, encoder *json.Encoder, run *toolRun) error {
	separator := "\n"
	for finding, err := range e.findings(run.tool, true) {
		if err != nil {
			return err
		}
		if finding.Tool != run.tool {
			continue // for a tool without a name the source hands out those of all tools
		}
		_, _ = out.WriteString(separator)
		separator = ","
		if err := encoder.Encode(run.result(finding)); err != nil {
			return err
		}
	}
	return nil
}

// catalogue collects the runs of an export: one for each tool, and one for each scanner that found nothing.
type catalogue struct {
	runs   []*toolRun
	byTool map[string]*toolRun
	byJob  map[int64][]*toolRun
}

// toolRun is one tool's part of an export.
type toolRun struct {
	tool     string
	findings int
	job      core.Job // the zero value where only the baseline has findings of the tool
	rules    []*toolRule
	byID     map[string]*toolRule
}

// toolRule is what the findings of a rule have in common.
type toolRule struct {
	id, title, help, cwe string
	index                int
	severity             core.Severity // of the most severe finding
}

func newCatalogue() *catalogue {
	return &catalogue{byTool: make(map[string]*toolRun), byJob: make(map[int64][]*toolRun)}
}

func (c *catalogue) run(tool string) *toolRun {
	run := c.byTool[tool]
	if run == nil {
		run = &toolRun{tool: tool, byID: make(map[string]*toolRule)}
		c.byTool[tool] = run
		c.runs = append(c.runs, run)
	}
	return run
}

func (c *catalogue) add(f core.Finding) {
	run := c.run(f.Tool)
	run.findings++
	run.rule(f)
	if !slices.Contains(c.byJob[f.JobID], run) {
		c.byJob[f.JobID] = append(c.byJob[f.JobID], run)
	}
}

// addJob notes in the runs of a job how it ended.
func (c *catalogue) addJob(job core.Job) {
	if job.State != core.JobCompleted && job.State != core.JobFailed {
		return
	}
	runs := c.byJob[job.ID]
	if len(runs) == 0 {
		runs = []*toolRun{c.run(job.Scanner)}
	}
	for _, run := range runs {
		if run.job.State != core.JobFailed {
			run.job = job
		}
	}
}

// rule adds the finding to its rule. The rule says only what all its findings say.
func (r *toolRun) rule(f core.Finding) {
	rule := r.byID[f.RuleID]
	if rule == nil {
		rule = &toolRule{
			id: strings.Clone(f.RuleID), title: cmp.Or(f.Title, f.RuleID), help: f.HelpURI, cwe: f.CWE,
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

// name is the tool's, or that of its scanner in the configuration where reports do not name it.
func (r *toolRun) name() string { return cmp.Or(r.tool, r.job.Scanner, "unknown") }

// invocation says how the tool ended; nil without a job.
func (r *toolRun) invocation() []sarifInvocation {
	if r.job.State == "" {
		return nil
	}
	invocation := sarifInvocation{
		Properties:          coverageOf(r.job),
		ExecutionSuccessful: r.job.State == core.JobCompleted,
		StartTimeUTC:        sarifTime(r.job.StartedAt),
		EndTimeUTC:          sarifTime(r.job.FinishedAt),
	}
	if !invocation.ExecutionSuccessful {
		reason := cmp.Or(r.job.Error, "the scanner failed")
		invocation.Notifications = []sarifNotification{{Level: "error", Message: sarifMessage{Text: reason}}}
	}
	return []sarifInvocation{invocation}
}

func coverageOf(job core.Job) *sarifInvocationProperties {
	if searched := job.Coverage(); searched != nil {
		return &sarifInvocationProperties{searched}
	}
	return nil
}

func sarifTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// justification is why a finding was dismissed.
func justification(why core.Reason) string {
	if why == core.AsFalsePositive {
		return "Marked as a false positive in Scanhook."
	}
	return "Dismissed in Scanhook: " + why.Words() + "."
}

// describe returns a run without its results.
func (e *Export) describe(run *toolRun) sarifRun {
	described := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: run.name(), Rules: make([]sarifRule, 0, len(run.rules))}},
		Invocations:       run.invocation(),
		AutomationDetails: sarifAutomation{ID: "scanhook/" + run.name() + "/", GUID: e.scan.ReferenceID},
		Bases:             map[string]sarifBaseLocation{sourceRoot: {sarifMessage{Text: "The root of the repository."}}},
	}
	if e.scan.RepoURL != "" {
		described.VersionControl = []sarifVersionControl{{
			RepositoryURI: e.scan.RepoURL, RevisionID: e.scan.CommitSHA, Branch: e.scan.Branch,
			MappedTo: sarifArtifact{URIBaseID: sourceRoot},
		}}
	}
	for _, rule := range run.rules {
		wire := rule.describe()
		wire.Help = helpMessage(e.Help[core.RuleName{Tool: run.tool, Rule: rule.id}])
		described.Tool.Driver.Rules = append(described.Tool.Driver.Rules, wire)
	}
	return described
}

func (rule *toolRule) describe() sarifRule {
	tags := []string{"security"}
	if rule.cwe != "" {
		tags = append(tags, "external/cwe/"+strings.ToLower(rule.cwe))
	}
	return sarifRule{
		ID: rule.id, Name: rule.id, ShortDescription: sarifMessage{Text: rule.title}, HelpURI: rule.help,
		Configuration: sarifConfiguration{levelOf(rule.severity)},
		Properties:    sarifRuleProperties{Tags: tags, SecuritySeverity: securitySeverity(rule.severity)},
	}
}

func (r *toolRun) result(f core.Finding) sarifResult {
	result := sarifResult{
		RuleID: f.RuleID, Level: levelOf(f.Severity), Message: sarifMessage{Text: cmp.Or(f.Message, f.Title, f.RuleID)},
		PartialFingerprints: fingerprintOf(f), BaselineState: string(f.BaselineState), Suppressions: suppressions(f),
		Properties: sarifResultProperties{SecuritySeverity: securitySeverity(f.Severity), CVE: f.CVEID, CWE: f.CWE},
	}
	if f.File != "" {
		result.Locations = []sarifLocation{locationOf(f)}
	}
	if rule := r.byID[f.RuleID]; rule != nil { // nil for findings that were uploaded while we write
		result.RuleIndex = &rule.index
		result.Properties.Own = rule.unlike(f)
	}
	result.addDetails(f.Details)
	return result
}

// unlike is what a reader could not learn from the rule and the standard's members.
func (rule *toolRule) unlike(f core.Finding) *sarif.OwnProperties {
	var own sarif.OwnProperties
	if f.Title != rule.title {
		own.Title = &f.Title
	}
	if f.HelpURI != rule.help {
		own.HelpURI = &f.HelpURI
	}
	if f.Snippet != "" && !hasRegion(f) {
		own.Snippet = &f.Snippet
	}
	if f.CVEID != cmp.Or(collect.CVE(f.RuleID), f.CVEID, collect.CVE(f.Message)) {
		own.CVEID = &f.CVEID
	}
	if f.Commit != "" {
		own.Commit = &f.Commit
	}
	if reflect.ValueOf(own).IsZero() {
		return nil
	}
	return &own
}

func locationOf(f core.Finding) (location sarifLocation) {
	location.Physical = &sarifPhysical{Artifact: artifactOf(f.File)}
	if !hasRegion(f) {
		return location
	}
	location.Physical.Region = &sarifRegion{StartLine: f.Line, EndLine: f.EndLine}
	if f.Snippet != "" {
		location.Physical.Region.Snippet = &sarifMessage{Text: f.Snippet}
	}
	return location
}

// suppressions are the scanner's own, whose reason may be just a kind, and the dismissal by a person or the AI. What was called a false
// positive and counts all the same has none.
func suppressions(f core.Finding) (all []sarifSuppression) {
	if f.Suppressed != nil {
		own := sarifSuppression{Kind: "inSource", Status: "accepted", Justification: *f.Suppressed}
		if *f.Suppressed == "inSource" || *f.Suppressed == "external" {
			own.Kind, own.Justification = *f.Suppressed, ""
		}
		all = append(all, own)
	}
	if why := f.DismissedFor(); why != "" {
		all = append(all, sarifSuppression{Kind: "external", Status: "accepted", Justification: justification(why)})
	}
	return all
}

// fingerprintOf names the fingerprint by its version: scanhook/v1.
func fingerprintOf(f core.Finding) map[string]string {
	version, _, known := strings.Cut(f.Fingerprint, ":")
	if !known {
		return nil
	}
	return map[string]string{"scanhook/" + version: f.Fingerprint}
}

func levelOf(severity core.Severity) string {
	switch severity {
	case core.Critical, core.High:
		return "error"
	case core.Medium:
		return "warning"
	}
	return "note"
}

// securitySeverity is the middle of the scores that mean a severity.
func securitySeverity(severity core.Severity) string {
	switch severity {
	case core.Critical:
		return "9.5"
	case core.High:
		return "8.0"
	case core.Medium:
		return "5.5"
	}
	return "2.0"
}

// sourceRoot is the usual name of the repository's root.
const sourceRoot = "%SRCROOT%"

func artifactOf(file string) sarifArtifact {
	return sarifArtifact{URI: (&url.URL{Path: file}).String(), URIBaseID: sourceRoot}
}

// addDetails adds what the report says of a finding besides. What cannot be read is left out: it is no part of the result.
func (r *sarifResult) addDetails(packed string) {
	d, err := details.Unpack(packed)
	if err != nil || d.IsZero() {
		return
	}
	if d.Text != "" {
		r.Message.Text = d.Text
	}
	r.Message.Markdown = d.Markdown
	for _, p := range d.Places {
		r.Locations = append(r.Locations, locationAt(p))
	}
	for _, p := range d.Related {
		r.Related = append(r.Related, locationAt(p))
	}
	for _, flow := range d.Flows {
		r.CodeFlows = append(r.CodeFlows, flowOf(flow))
	}
	var other []details.Fix
	for _, fix := range d.Fixes {
		if fix.Diff != "" {
			other = append(other, fix)
		} else {
			r.Fixes = append(r.Fixes, sarifFixOf(fix))
		}
	}
	if len(d.Links)+len(other) > 0 {
		if r.Properties.Own == nil {
			r.Properties.Own = new(sarif.OwnProperties)
		}
		r.Properties.Own.Links, r.Properties.Own.Fixes = d.Links, other
	}
}

func locationAt(p details.Place) (l sarifLocation) {
	l.ID = p.ID
	if p.Message != "" {
		l.Message = &sarifMessage{Text: p.Message}
	}
	if p.File == "" {
		return l
	}
	l.Physical = &sarifPhysical{Artifact: artifactOf(p.File)}
	if p.Line > 0 {
		l.Physical.Region = &sarifRegion{StartLine: p.Line, EndLine: p.EndLine}
		if p.Code != "" {
			l.Physical.Region.Snippet = &sarifMessage{Text: p.Code}
		}
	}
	return l
}

func flowOf(flow details.Flow) sarifCodeFlow {
	thread := sarifThreadFlow{Locations: make([]sarifStep, len(flow.Steps))}
	for i, p := range flow.Steps {
		thread.Locations[i] = sarifStep{locationAt(p), p.Level}
	}
	wire := sarifCodeFlow{ThreadFlows: []sarifThreadFlow{thread}}
	if flow.Message != "" {
		wire.Message = &sarifMessage{Text: flow.Message}
	}
	return wire
}

func sarifFixOf(fix details.Fix) (wire sarifFix) {
	if fix.Message != "" {
		wire.Description = &sarifMessage{Text: fix.Message}
	}
	for _, c := range fix.Changes {
		change := sarifReplacement{
			Deleted: sarifRegion{StartLine: c.Line, EndLine: c.EndLine, StartColumn: c.Column, EndColumn: c.EndColumn},
		}
		if c.Text != "" {
			change.Inserted = &sarifMessage{Text: c.Text}
		}
		last := len(wire.Changes) - 1
		if artifact := artifactOf(c.File); last < 0 || wire.Changes[last].Artifact != artifact {
			wire.Changes = append(wire.Changes, sarifChange{artifact, []sarifReplacement{change}})
		} else {
			wire.Changes[last].Replacements = append(wire.Changes[last].Replacements, change)
		}
	}
	return wire
}

// helpMessage is what a rule is about, which must have a plain text (SARIF 3.12.3); nil without.
func helpMessage(help details.Help) *sarifMessage {
	switch {
	case help.Markdown != "":
		return &sarifMessage{Text: help.Markdown, Markdown: help.Markdown}
	case help.Text != "":
		return &sarifMessage{Text: help.Text}
	}
	return nil
}

// The types below are the parts of SARIF 2.1.0 that exports are made of.

type sarifRun struct {
	Tool              sarifTool                    `json:"tool"`
	Invocations       []sarifInvocation            `json:"invocations,omitempty"`
	AutomationDetails sarifAutomation              `json:"automationDetails"`
	VersionControl    []sarifVersionControl        `json:"versionControlProvenance,omitempty"`
	Bases             map[string]sarifBaseLocation `json:"originalUriBaseIds"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string              `json:"id"`
	Name             string              `json:"name,omitempty"`
	ShortDescription sarifMessage        `json:"shortDescription"`
	HelpURI          string              `json:"helpUri,omitempty"`
	Help             *sarifMessage       `json:"help,omitempty"`
	Configuration    sarifConfiguration  `json:"defaultConfiguration"`
	Properties       sarifRuleProperties `json:"properties"`
}

type sarifConfiguration struct {
	Level string `json:"level"`
}

type sarifRuleProperties struct {
	Tags             []string `json:"tags"`
	SecuritySeverity string   `json:"security-severity"`
}

type sarifMessage struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool                `json:"executionSuccessful"`
	StartTimeUTC        string              `json:"startTimeUtc,omitempty"`
	EndTimeUTC          string              `json:"endTimeUtc,omitempty"`
	Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`

	Properties *sarifInvocationProperties `json:"properties,omitempty"`
}

type sarifInvocationProperties struct {
	Coverage *core.Coverage `json:"scanhook/coverage"` // what was searched and left out
}

type sarifNotification struct {
	Level   string       `json:"level"`
	Message sarifMessage `json:"message"`
}

type sarifAutomation struct {
	ID   string `json:"id"`
	GUID string `json:"guid,omitempty"`
}

type sarifVersionControl struct {
	RepositoryURI string        `json:"repositoryUri"`
	RevisionID    string        `json:"revisionId,omitempty"`
	Branch        string        `json:"branch,omitempty"`
	MappedTo      sarifArtifact `json:"mappedTo"`
}

type sarifBaseLocation struct {
	Description sarifMessage `json:"description"`
}

type sarifResult struct {
	RuleID              string                `json:"ruleId"`
	RuleIndex           *int                  `json:"ruleIndex,omitempty"`
	Level               string                `json:"level"`
	Message             sarifMessage          `json:"message"`
	Locations           []sarifLocation       `json:"locations,omitempty"`
	Related             []sarifLocation       `json:"relatedLocations,omitempty"`
	CodeFlows           []sarifCodeFlow       `json:"codeFlows,omitempty"`
	Fixes               []sarifFix            `json:"fixes,omitempty"`
	PartialFingerprints map[string]string     `json:"partialFingerprints,omitempty"`
	BaselineState       string                `json:"baselineState,omitempty"`
	Suppressions        []sarifSuppression    `json:"suppressions,omitempty"`
	Properties          sarifResultProperties `json:"properties"`
}

type sarifLocation struct {
	ID       *int           `json:"id,omitempty"`
	Message  *sarifMessage  `json:"message,omitempty"`
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI       string `json:"uri,omitempty"`
	URIBaseID string `json:"uriBaseId"`
}

type sarifRegion struct {
	StartLine   int           `json:"startLine,omitempty"`
	EndLine     int           `json:"endLine,omitempty"`
	StartColumn int           `json:"startColumn,omitempty"`
	EndColumn   int           `json:"endColumn,omitempty"`
	Snippet     *sarifMessage `json:"snippet,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
}

type sarifResultProperties struct {
	SecuritySeverity string               `json:"security-severity"`
	CVE              string               `json:"cve,omitempty"`
	CWE              string               `json:"cwe,omitempty"`
	Own              *sarif.OwnProperties `json:"scanhook,omitempty"`
}

type sarifCodeFlow struct {
	Message     *sarifMessage     `json:"message,omitempty"`
	ThreadFlows []sarifThreadFlow `json:"threadFlows"`
}

type sarifThreadFlow struct {
	Locations []sarifStep `json:"locations"`
}

type sarifStep struct {
	Location sarifLocation `json:"location"`
	Level    int           `json:"nestingLevel,omitempty"`
}

type sarifFix struct {
	Description *sarifMessage `json:"description,omitempty"`
	Changes     []sarifChange `json:"artifactChanges"`
}

type sarifChange struct {
	Artifact     sarifArtifact      `json:"artifactLocation"`
	Replacements []sarifReplacement `json:"replacements"`
}

type sarifReplacement struct {
	Deleted  sarifRegion   `json:"deletedRegion"`
	Inserted *sarifMessage `json:"insertedContent,omitempty"`
}
