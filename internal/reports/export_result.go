package reports

import (
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// sourceRoot is the usual name of the repository's root.
const sourceRoot = "%SRCROOT%"

// falsePositive justifies the suppression of a finding that was dismissed.
const falsePositive = "Marked as a false positive in Scanhook."

// describe is a run without its results.
func (e *Export) describe(run *exportRun) sarifRun {
	described := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: run.name(), Rules: make([]sarifRule, 0, len(run.rules))}},
		Invocations:       run.invocation(),
		AutomationDetails: sarifAutomation{ID: "scanhook/" + run.name() + "/", GUID: e.scan.ReferenceID},
		Bases:             map[string]sarifBaseLocation{sourceRoot: {sarifMessage{"The root of the repository."}}},
	}
	if e.scan.RepoURL != "" {
		described.VersionControl = []sarifVersionControl{{
			RepositoryURI: e.scan.RepoURL, RevisionID: e.scan.CommitSHA, Branch: e.scan.Branch,
			MappedTo: sarifArtifact{URIBaseID: sourceRoot},
		}}
	}
	for _, rule := range run.rules {
		described.Tool.Driver.Rules = append(described.Tool.Driver.Rules, rule.describe())
	}
	return described
}

func (rule *exportRule) describe() sarifRule {
	tags := []string{"security"}
	if rule.cwe != "" {
		tags = append(tags, "external/cwe/"+strings.ToLower(rule.cwe))
	}
	return sarifRule{
		ID: rule.id, Name: rule.id, ShortDescription: sarifMessage{rule.title}, HelpURI: rule.help,
		Configuration: sarifConfiguration{levelOf(rule.severity)},
		Properties:    sarifRuleProperties{Tags: tags, SecuritySeverity: securitySeverity(rule.severity)},
	}
}

func (r *exportRun) result(f core.Finding) sarifResult {
	result := sarifResult{
		RuleID: f.RuleID, Level: levelOf(f.Severity), Message: sarifMessage{first(f.Message, f.Title, f.RuleID)},
		PartialFingerprints: fingerprintOf(f), BaselineState: string(f.BaselineState), Suppressions: suppressions(f),
		Properties: sarifResultProperties{SecuritySeverity: securitySeverity(f.Severity), CVE: f.CVEID, CWE: f.CWE},
	}
	if f.File != "" {
		result.Locations = []sarifLocation{locationOf(f)}
	}
	if rule := r.byID[f.RuleID]; rule != nil { // nil for findings that were delivered while we write
		result.RuleIndex = &rule.index
		result.Properties.Own = rule.unlike(f)
	}
	return result
}

// unlike is what a reader would not get right by the rule and the usual members alone.
func (rule *exportRule) unlike(f core.Finding) *ownProperties {
	var own ownProperties
	if f.Title != rule.title {
		own.Title = &f.Title
	}
	if f.HelpURI != rule.help {
		own.HelpURI = &f.HelpURI
	}
	if f.Snippet != "" && !hasRegion(f) {
		own.Snippet = &f.Snippet
	}
	if f.CVEID != first(cveIn(f.RuleID), f.CVEID, cveIn(f.Message)) {
		own.CVEID = &f.CVEID
	}
	if own == (ownProperties{}) {
		return nil
	}
	return &own
}

// hasRegion tells whether the finding is at a line: no region goes without one.
func hasRegion(f core.Finding) bool { return f.File != "" && f.Line > 0 }

func locationOf(f core.Finding) (location sarifLocation) {
	location.Physical.Artifact = sarifArtifact{URI: (&url.URL{Path: f.File}).String(), URIBaseID: sourceRoot}
	if !hasRegion(f) {
		return location
	}
	location.Physical.Region = &sarifRegion{StartLine: f.Line, EndLine: f.EndLine}
	if f.Snippet != "" {
		location.Physical.Region.Snippet = &sarifMessage{f.Snippet}
	}
	return location
}

// suppressions are the scanner's own, whose reason may be nothing but a kind, and that of a person or machine since.
func suppressions(f core.Finding) (all []sarifSuppression) {
	if f.Suppressed != nil {
		own := sarifSuppression{Kind: "inSource", Status: "accepted", Justification: *f.Suppressed}
		if *f.Suppressed == "inSource" || *f.Suppressed == "external" {
			own.Kind, own.Justification = *f.Suppressed, ""
		}
		all = append(all, own)
	}
	if f.TriageDecision != nil && *f.TriageDecision == core.FalsePositive {
		all = append(all, sarifSuppression{Kind: "external", Status: "accepted", Justification: falsePositive})
	}
	return all
}

// fingerprintOf names the fingerprint by the version in front of it: scanhook/v1.
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

// securitySeverity is the middle of the scores that stand for a severity.
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
