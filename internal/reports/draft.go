package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// draft is what a finding still lacks when its result has been read. There is one for each result, so it is small.
type draft struct {
	finding    *core.Finding // nil where it is packed
	packed     int           // its number among the packed ones
	rule       *reference
	message    *wireMessage // nil where the result states its text
	own        *ownProperties
	base       string // uriBaseId of the finding's file
	artifact   int32  // index of the finding's file among the artifacts, or -1
	invocation int32  // index of the invocation that made the result, or -1
	scored     bool   // the severity comes from the result's own security-severity and is final
}

// add turns a result into a finding and its draft.
func (r *run) add(result *wireResult) error {
	severity, err := r.level(result.Level, "level")
	if err != nil {
		return err
	}
	if !isProblem(result) || result.BaselineState == string(core.Absent) {
		r.report.Skipped++
		return nil
	}
	result.RuleID = clean(first(result.RuleID, result.Rule.ID), r.limits.name())
	finding := core.Finding{
		RuleID:             result.RuleID,
		Severity:           severity,
		Suppressed:         r.suppression(result.Suppressions),
		PartialFingerprint: clean(result.Fingerprints.join(result.PartialFingerprints), r.limits.message()),
	}
	d := draft{rule: r.reference(result), artifact: -1, invocation: toIndex(result.Provenance.InvocationIndex)}
	r.applyMessage(&finding, &d, &result.Message)
	r.applyProperties(&finding, &d, result)
	r.applyLocation(&finding, &d, result.Locations)
	if r.report.Packed != nil {
		d.packed = r.report.Packed.Len()
		r.report.Packed.Add(&finding)
	} else {
		d.finding = r.findings.add(finding)
	}
	r.drafts.add(d)
	return nil
}

// isProblem tells failed checks from passed and undecided ones. Those have no level (3.27.10); where a tool states one
// all the same, the careful reading counts.
func isProblem(result *wireResult) bool {
	return result.Kind == "" || result.Kind == "fail" || result.Level != "" && result.Level != "none"
}

func (r *run) applyProperties(finding *core.Finding, d *draft, result *wireResult) {
	bag := result.Properties.value
	tags := words(bag.Tags)
	if score, ok := scoreOf(bag.SecuritySeverity); ok {
		finding.Severity, d.scored = core.SeverityFromScore(score), true
	}
	finding.CVEID = first(cveIn(tags...), cveIn(words(bag.CVE)...))
	finding.CWE = first(cweOfTaxa(result.Taxa), cweIn(tags...), cweNamed(words(bag.CWE)...), cweOfSecret(tags))
	d.own = bag.Own.value
}

// applyLocation takes the first place that is a file; logical locations alone leave the finding without one.
func (r *run) applyLocation(finding *core.Finding, d *draft, locations []wireLocation) {
	for _, location := range locations {
		place := location.PhysicalLocation
		if place == nil {
			continue
		}
		finding.File = clip(place.ArtifactLocation.URI, maxURI)
		d.base = place.ArtifactLocation.URIBaseID
		d.artifact = toIndex(place.ArtifactLocation.Index)
		finding.Line = toLine(place.Region.StartLine)
		finding.EndLine = endLine(finding.Line, toLine(place.Region.EndLine))
		snippet := first(place.Region.Snippet.Text, place.ContextRegion.Snippet.Text)
		finding.Snippet = clean(snippet, r.limits.snippet())
		return
	}
}

// suppression is why the scanner hides a result. One accepted suppression is enough (3.35.3: accepted is the default).
func (r *run) suppression(suppressions []wireSuppression) *string {
	for _, suppression := range suppressions {
		if suppression.Status == "" || suppression.Status == "accepted" {
			reason := strings.TrimSpace(first(suppression.Justification, suppression.Kind))
			reason = clean(first(reason, "suppressed by the scanner"), r.limits.message())
			return &reason
		}
	}
	return nil
}

// toIndex reads an index into one of the run's arrays; -1 is none, as in SARIF.
func toIndex(number *float64) int32 {
	const maxIndex = 1<<31 - 1
	if number == nil || *number < 0 || *number > maxIndex {
		return -1
	}
	return int32(*number)
}
