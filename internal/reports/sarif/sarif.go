// Package sarif reads SARIF 2.1.0 logs, the format that large reports come in. Results are streamed one by one; their
// usual form is read by a scanner of its own (fastResult), anything else by encoding/json. A result may come before the
// rules, artifacts and directories that it refers to, so it becomes a finding that is completed at the end of its run.
package sarif

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/intern"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

const (
	version     = "2.1.0" // the only one that is a standard; drafts before and after it have other members
	maxBases    = 100     // directories that every file is compared with; tools write a handful
	maxToolName = 100     // bytes of a tool's name in a message
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

func parse(c *collect.Collector) ([]core.Report, error) {
	if c.Pack {
		c.Report.Packed = new(core.Packed)
	}
	if err := c.OneOrMany(func() error { return readLog(c) }); err != nil {
		return nil, err
	}
	return c.Finish(""), nil
}

// readLog reads one log, run by run.
func readLog(c *collect.Collector) error {
	found, runs, external := "", 0, false
	err := c.Object(jsonscan.Members{
		"version": func() error { return readVersion(c, &found) },
		"runs":    func() error { return readRuns(c, &runs) },
		"inlineExternalProperties": func() error {
			external = true
			return readExternal(c)
		},
	})
	switch {
	case err != nil:
		return err
	case found == "":
		return c.Invalid("the report has no version; it must be %q", version)
	case runs == 0 && !external:
		return c.Invalid("the report has no runs, so it does not say that anything was examined")
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

func readRuns(c *collect.Collector, runs *int) error {
	found, err := c.ArrayOrNull(func() error {
		*runs++
		return c.Part(func() (category string, err error) {
			r := newRun(c)
			if err := r.read(); err != nil {
				return "", err
			}
			r.finish()
			return r.category, nil
		})
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
	category    string
	artifacts   []ArtifactLocation
	bases       map[string]ArtifactLocation
	invocations []invocation
	pending     collect.ChunkList[pendingResult]
	references  map[reference]*reference // one copy of each: thousands of results refer to the same rule
	results     int                      // that the run lists
	result      Result                   // the one that is being read
	fast        fastResult
	texts       intern.Texts
	unpacked    core.Finding // the packed one that is being completed
}

// pendingResult is what a finding still lacks when its result has been read. There is one for each result, so it is small.
type pendingResult struct {
	finding    *core.Finding // nil where it is packed
	packed     int           // its number among the packed ones
	rule       *reference
	message    *Message // nil where the result states its text
	own        *OwnProperties
	details    *pendingDetails // nil without
	base       string          // uriBaseId of the finding's file
	artifact   int32           // index of the finding's file among the artifacts, or -1
	invocation int32           // index of the invocation that made the result, or -1
	scored     bool            // the severity comes from the result's own security-severity and is final
}

// invocation is what a run of the tool says about itself.
type invocation struct {
	failure   string // why it did not do its work, or empty
	directory string // where it ran, a URI
	overrides []override
	trouble   trouble
}

// override is a level that the invocation configured for a rule.
type override struct {
	rule     reference
	severity core.Severity
}

func newRun(c *collect.Collector) *run {
	r := &run{Collector: c, references: make(map[reference]*reference)}
	r.fast.texts = &r.texts
	return r
}

func (r *run) read() error {
	return r.Object(jsonscan.Members{
		"tool":                           func() error { return r.tool.read(r.Collector) },
		"automationDetails":              r.readAutomation,
		"results":                        r.readResults,
		"artifacts":                      r.readArtifacts,
		"invocations":                    r.readInvocations,
		"originalUriBaseIds":             r.readBases,
		"externalPropertyFileReferences": r.readReferences,
	})
}

func (r *run) readResults() error {
	_, err := r.EachResult(func(value []byte) error {
		r.results++
		if err := r.decodeResult(value); err != nil {
			return err
		}
		return r.addResult(&r.result)
	})
	return err
}

func (r *run) decodeResult(value []byte) error {
	if r.fast.decode(value, &r.result) {
		return nil
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

// addResult turns a result into a finding that is pending until the end of the run.
func (r *run) addResult(result *Result) error {
	severity, err := severityOf(r.Collector, result.Level, "level")
	if err != nil {
		return err
	}
	if !isProblem(result) || result.BaselineState == string(core.Absent) {
		r.LeaveOut()
		return nil
	}
	result.RuleID = collect.Clean(cmp.Or(result.RuleID, result.Rule.ID), r.Limits.Name())
	finding := core.Finding{
		RuleID:             result.RuleID,
		Severity:           severity,
		Suppressed:         suppression(result.Suppressions, r.Limits.Message()),
		PartialFingerprint: collect.Clean(result.Fingerprints.Join(result.PartialFingerprints), r.Limits.Message()),
	}
	p := pendingResult{rule: r.reference(result), artifact: -1, invocation: toIndex(result.Provenance.InvocationIndex)}
	p.applyMessage(&finding, &result.Message, r.Limits)
	p.applyProperties(&finding, result, r.Limits)
	p.applyLocation(&finding, result.Locations, r.Limits)
	p.details = r.readDetails(result)
	if r.Report.Packed != nil {
		p.packed = r.Report.Packed.Len()
		r.Report.Packed.Add(&finding)
	} else {
		p.finding = r.Keep(finding)
	}
	r.pending.Add(p)
	return nil
}

// reference returns the one copy of the result's reference. The properties ruleId and ruleIndex are shorthands for the same
// members of rule (3.27.5 to 3.27.7).
func (r *run) reference(result *Result) *reference {
	wanted := referenceTo(result.Rule)
	wanted.id = cmp.Or(result.RuleID, wanted.id)
	if wanted.index < 0 {
		wanted.index = toIndex(result.RuleIndex)
	}
	if known := r.references[wanted]; known != nil {
		return known
	}
	first := wanted
	r.references[wanted] = &first
	return &first
}

// isProblem tells failed checks, and those that a person has to decide, from passed ones (3.27.9), whatever level these state.
func isProblem(result *Result) bool {
	switch strings.ToLower(result.Kind) {
	case "", "fail", "open", "review":
		return true
	}
	return false
}

// suppression is why the scanner hides a result. One accepted suppression is enough (3.35.3: accepted is the default).
func suppression(suppressions []Suppression, limit int) *string {
	for _, suppression := range suppressions {
		if suppression.Status == "" || suppression.Status == "accepted" {
			reason := strings.TrimSpace(cmp.Or(suppression.Justification, suppression.Kind))
			return new(collect.Clean(cmp.Or(reason, collect.NoReason), limit))
		}
	}
	return nil
}

func (p *pendingResult) applyProperties(finding *core.Finding, result *Result, limits collect.Limits) {
	bag := result.Properties.Value
	tags := collect.Texts(bag.Tags)
	if severity, ok := bag.Severity(); ok {
		finding.Severity, p.scored = severity, true
	}
	finding.CVEID = cmp.Or(collect.CVE(tags...), collect.CVE(collect.Texts(bag.CVE)...))
	finding.CWE = cmp.Or(cweOfTaxa(result.Taxa), collect.CWE(tags...), collect.CWENamed(collect.Texts(bag.CWE)...), cweOfSecret(tags))
	finding.About.Package = collect.Clean(cmp.Or(collect.Texts(bag.PURL)...), limits.Name())
	finding.About.Aliases = collect.Aliases(append(tags, collect.Texts(bag.CVE)...)...)
	p.own = bag.Own.Value
}

// applyLocation takes the first place that is a file; logical locations alone leave the finding without one.
func (p *pendingResult) applyLocation(finding *core.Finding, locations []Location, limits collect.Limits) {
	for _, location := range locations {
		place := location.PhysicalLocation
		if place == nil {
			continue
		}
		at := place.ArtifactLocation.at()
		finding.File, p.base, p.artifact = at.uri, at.base, at.artifact
		finding.Line = collect.Line(place.Region.StartLine)
		finding.EndLine = collect.EndLine(finding.Line, collect.Line(place.Region.EndLine))
		snippet, around := place.code()
		finding.Snippet, finding.Surroundings = collect.Clean(snippet, limits.Snippet()), around
		return
	}
}

// applyMessage takes the text that the result states; one that only names a message of its rule has to wait for that.
func (p *pendingResult) applyMessage(finding *core.Finding, message *Message, limits collect.Limits) {
	if message.Text == "" && message.ID != "" {
		waiting := *message // a copy, because a pointer would keep the whole result in memory
		p.message = &waiting
		return
	}
	finding.Message = plainText(message.anyText(), message.Arguments, limits.Message())
}

// readAutomation reads the category of the run: its id up to the last slash (3.17.3). What follows tells runs of one category apart.
func (r *run) readAutomation() error {
	var details collect.Lenient[struct {
		ID string `json:"id"`
	}]
	err := r.Decode(&details)
	id := details.Value.ID
	r.category = id[:max(strings.LastIndexByte(id, '/'), 0)]
	return err
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
		invocation.trouble.add(wire.ExecutionNotifications)
		invocation.trouble.add(wire.ConfigurationNotifications)
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

// finish completes the run's findings by what they refer to.
func (r *run) finish() {
	r.failAsInvocations()
	rules := newRuleBook(r.tool)
	directories := make([]string, 0, len(r.invocations))
	for _, invocation := range r.invocations[:min(len(r.invocations), maxBases)] {
		directories = append(directories, invocation.directory)
	}
	paths := newPaths(r.bases, r.artifacts, directories, r.Limits.Name())
	r.leaveOut(paths)
	name := collect.Clean(r.tool.driver.name, r.Limits.Name())
	r.pending.Drain(func(p *pendingResult) {
		finding := p.finding
		if finding == nil {
			finding = &r.unpacked
			r.Report.Packed.Get(p.packed, finding)
		}
		finding.Tool = name
		finding.File, finding.About.Absolute = paths.path(location{uri: finding.File, base: p.base, artifact: p.artifact})
		r.complete(finding, p, rules)
		finding.Details = r.completeDetails(p.details, paths)
		if p.finding == nil {
			r.Report.Packed.Put(p.packed, finding)
		}
	})
}

// failAsInvocations fails the report of a tool that failed, or that tells of an error and of no result: no findings from it do not
// mean that all is well.
func (r *run) failAsInvocations() {
	tool := collect.Clean(cmp.Or(r.tool.driver.name, "the scanner"), maxToolName)
	for _, invocation := range r.invocations {
		reason := invocation.failure
		if r.results == 0 {
			reason = cmp.Or(reason, invocation.trouble.error)
		}
		if reason != "" {
			r.Fail(fmt.Sprintf("%s: %s", tool, reason))
		}
	}
}

// leaveOut records what the invocations could not search.
func (r *run) leaveOut(paths *paths) {
	for _, invocation := range r.invocations {
		for _, file := range invocation.trouble.files {
			name, _ := paths.path(file)
			r.FailFile(name)
		}
		r.FailSomewhere(invocation.trouble.other)
	}
}

// complete fills in what a finding takes from its rule.
func (r *run) complete(finding *core.Finding, p *pendingResult, rules *ruleBook) {
	rule := rules.find(p.rule)
	finding.Severity = r.severity(finding.Severity, p, rule, rules)
	if p.message != nil {
		text := r.tool.lookUp(p.message, rule)
		finding.Message = plainText(text, p.message.Arguments, r.Limits.Message())
		p.details.link(text, p.message.Arguments)
	}
	describe(finding, rule)
	r.KeepHelp(core.RuleName{Tool: finding.Tool, Rule: finding.RuleID}, rule.about)
	if finding.About.Package == "" && core.VulnerabilityID(finding.RuleID) != "" {
		finding.About.Package = collect.PackageIn(finding.Message)
	}
	applyOwn(finding, p.own, r.Limits)
}

// severity decides in the order: the result's security-severity, the rule's, the result's level, the level that the
// invocation configured for the rule, the rule's own, and last "warning" (3.27.10).
func (r *run) severity(stated core.Severity, p *pendingResult, rule *rule, rules *ruleBook) core.Severity {
	switch {
	case p.scored:
		return stated
	case rule.security != "":
		return rule.security
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

// describe fills in what the rule says about all its findings.
func describe(finding *core.Finding, by *rule) {
	finding.RuleID = cmp.Or(finding.RuleID, by.id)
	finding.Title = by.title
	finding.HelpURI, finding.About.FormerRules = by.help, by.former
	finding.Message = cmp.Or(finding.Message, by.text)
	finding.CVEID = cmp.Or(collect.CVE(finding.RuleID), by.cve, finding.CVEID, collect.CVE(finding.Message))
	finding.CWE = cmp.Or(finding.CWE, by.cwe, collect.CWE(finding.RuleID))
}

// applyOwn overwrites what a finding has taken from its rule by what our own exports say.
func applyOwn(finding *core.Finding, own *OwnProperties, limits collect.Limits) {
	if own == nil {
		return
	}
	if own.Title != nil {
		finding.Title = collect.Clean(*own.Title, limits.Name())
	}
	if own.HelpURI != nil {
		finding.HelpURI = collect.WebAddress(*own.HelpURI, limits.Name())
	}
	if own.CVEID != nil {
		finding.CVEID = collect.CVE(*own.CVEID)
	}
	if own.Snippet != nil {
		finding.Snippet = collect.Clean(*own.Snippet, limits.Snippet())
	}
	if own.Commit != nil && core.IsCommitSHA(*own.Commit) {
		finding.Commit = *own.Commit
	}
}

// readDetails reads what a result says besides its finding; nil without.
func (r *run) readDetails(result *Result) *pendingDetails {
	if !result.hasDetails() || !r.TakesDetails() {
		return nil
	}
	d := &detailReader{limits: r.Limits}
	d.readPlaces(result.Locations)
	d.readRelated(result.RelatedLocations)
	d.readFlows(result.CodeFlows)
	d.readFixes(result.Fixes)
	d.readMessage(&result.Message)
	if own := result.Properties.Value.Own.Value; own != nil {
		d.readOwn(own)
	}
	if d.into.IsZero() {
		return nil
	}
	r.CountDetails(d.size)
	return &d.into
}

// completeDetails resolves the files of the details.
func (r *run) completeDetails(p *pendingDetails, paths *paths) string {
	if p == nil {
		return ""
	}
	i := 0
	p.EachFile(func(file *string) {
		*file, _ = paths.path(p.files[i])
		i++
	})
	return details.Pack(p.Details)
}
