package sarif

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// maxURI bounds the bytes of a URI before it is decoded; what is stored of it is shorter.
const maxURI = 64 << 10

// pendingResult is what a finding still lacks when its result has been read. There is one for each result, so it is small.
type pendingResult struct {
	finding    *core.Finding // nil where it is packed
	packed     int           // its number among the packed ones
	rule       *reference
	message    *Message // nil where the result states its text
	own        *OwnProperties
	base       string // uriBaseId of the finding's file
	artifact   int32  // index of the finding's file among the artifacts, or -1
	invocation int32  // index of the invocation that made the result, or -1
	scored     bool   // the severity comes from the result's own security-severity and is final
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
		PartialFingerprint: collect.Clean(result.Fingerprints.join(result.PartialFingerprints), r.Limits.Message()),
	}
	p := pendingResult{rule: r.references.of(result), artifact: -1, invocation: toIndex(result.Provenance.InvocationIndex)}
	p.applyMessage(&finding, &result.Message, r.Limits)
	p.applyProperties(&finding, result)
	p.applyLocation(&finding, result.Locations, r.Limits)
	if r.Report.Packed != nil {
		p.packed = r.Report.Packed.Len()
		r.Report.Packed.Add(&finding)
	} else {
		p.finding = r.Keep(finding)
	}
	r.pending.Add(p)
	return nil
}

// isProblem tells failed checks from passed and undecided ones. Those have no level (3.27.10); where a tool states one
// all the same, it counts: a finding too many is better than a lost one.
func isProblem(result *Result) bool {
	return result.Kind == "" || result.Kind == "fail" || result.Level != "" && result.Level != "none"
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

func (p *pendingResult) applyProperties(finding *core.Finding, result *Result) {
	bag := result.Properties.Value
	tags := collect.Texts(bag.Tags)
	if score, ok := bag.score(); ok {
		finding.Severity, p.scored = core.SeverityFromScore(score), true
	}
	finding.CVEID = cmp.Or(collect.CVE(tags...), collect.CVE(collect.Texts(bag.CVE)...))
	finding.CWE = cmp.Or(cweOfTaxa(result.Taxa), collect.CWE(tags...), collect.CWENamed(collect.Texts(bag.CWE)...), cweOfSecret(tags))
	p.own = bag.Own.Value
}

// applyLocation takes the first place that is a file; logical locations alone leave the finding without one.
func (p *pendingResult) applyLocation(finding *core.Finding, locations []Location, limits collect.Limits) {
	for _, location := range locations {
		place := location.PhysicalLocation
		if place == nil {
			continue
		}
		finding.File = core.Clip(place.ArtifactLocation.URI, maxURI)
		p.base = place.ArtifactLocation.URIBaseID
		p.artifact = toIndex(place.ArtifactLocation.Index)
		finding.Line = collect.Line(place.Region.StartLine)
		finding.EndLine = collect.EndLine(finding.Line, collect.Line(place.Region.EndLine))
		snippet := cmp.Or(place.Region.Snippet.Text, place.ContextRegion.Snippet.Text)
		finding.Snippet = collect.Clean(snippet, limits.Snippet())
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
	finding.Message = plainText(cmp.Or(message.Text, message.Markdown), message.Arguments, limits.Message())
}

// embeddedLink is SARIF's link from a message to a related location, by its number: [user input](1).
var embeddedLink = regexp.MustCompile(`\[([^\[\]]*)\]\(\d+\)`)

// plainText is a message as it is stored: arguments in their places, links reduced to their words.
func plainText(text string, arguments []string, limit int) string {
	text = core.Clip(text, 2*limit) // an argument may be repeated without end
	if len(arguments) > 0 {         // without any, many tools quote code and do not escape its braces
		text = substitute(text, arguments, limit)
	}
	if strings.Contains(text, "](") {
		text = embeddedLink.ReplaceAllString(text, "$1")
	}
	return collect.Clean(strings.TrimSpace(text), limit)
}

// substitute replaces {0}, {1}… by arguments and the escapes {{ and }} by braces (3.11.5), up to about limit bytes.
func substitute(text string, arguments []string, limit int) string {
	var out strings.Builder
	for len(text) > 0 && out.Len() <= limit {
		brace := strings.IndexAny(text, "{}")
		if brace < 0 {
			break
		}
		out.WriteString(text[:brace])
		text = text[brace:]
		end := strings.IndexByte(text, '}')
		switch {
		case len(text) > 1 && text[1] == text[0]:
			out.WriteByte(text[0])
			text = text[2:]
		case end > 0 && argument(text[1:end], arguments) != nil:
			out.WriteString(core.Clip(*argument(text[1:end], arguments), limit))
			text = text[end+1:]
		default:
			out.WriteByte(text[0])
			text = text[1:]
		}
	}
	out.WriteString(text)
	return out.String()
}

func argument(index string, arguments []string) *string {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(arguments) {
		return nil
	}
	return &arguments[i]
}
