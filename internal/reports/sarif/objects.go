package sarif

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// The types below are the parts of SARIF 2.1.0 that findings are made of, by the names of the standard. Lengths, lines and
// indexes are floats because some writers spell 12 as 12.0. encoding/json matches members in any case and takes the last
// of duplicates, which does no harm inside a result: a scanner can only mislead about itself.

// Result is one finding of a tool (3.27).
type Result struct {
	RuleID        string                         `json:"ruleId"`
	RuleIndex     *float64                       `json:"ruleIndex"`
	Rule          ReportingDescriptorReference   `json:"rule"`
	Kind          string                         `json:"kind"`
	Level         string                         `json:"level"`
	Message       Message                        `json:"message"`
	Locations     []Location                     `json:"locations"`
	Suppressions  []Suppression                  `json:"suppressions"`
	BaselineState string                         `json:"baselineState"`
	Taxa          []ReportingDescriptorReference `json:"taxa"`
	Properties    collect.Lenient[PropertyBag]   `json:"properties"`
	Provenance    struct {
		InvocationIndex *float64 `json:"invocationIndex"`
	} `json:"provenance"`

	PartialFingerprints Fingerprints `json:"partialFingerprints"`
	Fingerprints        Fingerprints `json:"fingerprints"`

	// What is read by readDetails, a part at a time.
	CodeFlows        json.RawMessage `json:"codeFlows"`
	RelatedLocations json.RawMessage `json:"relatedLocations"`
	Fixes            json.RawMessage `json:"fixes"`
}

// ReportingDescriptorReference points at a rule or a taxon (3.52).
type ReportingDescriptorReference struct {
	ID            string                 `json:"id"`
	GUID          string                 `json:"guid"`
	Index         *float64               `json:"index"`
	ToolComponent ToolComponentReference `json:"toolComponent"`
}

// ToolComponentReference points at the driver or an extension of a tool (3.54).
type ToolComponentReference struct {
	Name  string   `json:"name"`
	GUID  string   `json:"guid"`
	Index *float64 `json:"index"`
}

// Message is a text for people (3.11).
type Message struct {
	Text      string   `json:"text"`
	Markdown  string   `json:"markdown"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

// anyText is what the message states itself.
func (m *Message) anyText() string { return cmp.Or(m.Text, m.Markdown) }

// embeddedLink is SARIF's link from a message to a related location, by its number: [user input](1).
var embeddedLink = regexp.MustCompile(`\[([^\[\]]*)\]\(\d+\)`)

// plainText is a message as it is stored: arguments in their places, links reduced to their words.
func plainText(text string, arguments []string, limit int) string {
	text = withArguments(text, arguments, limit)
	if strings.Contains(text, "](") {
		text = embeddedLink.ReplaceAllString(text, "$1")
	}
	return collect.Clean(strings.TrimSpace(text), limit)
}

func withArguments(text string, arguments []string, limit int) string {
	text = core.Clip(text, 2*limit) // an argument may be repeated without end
	if len(arguments) > 0 {         // without any, many tools quote code and do not escape its braces
		text = substitute(text, arguments, limit)
	}
	return text
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

// Location is a place that a result is about (3.28).
type Location struct {
	PhysicalLocation *PhysicalLocation         `json:"physicalLocation"`
	ID               collect.Lenient[*float64] `json:"id"`
	Message          collect.Lenient[Message]  `json:"message"`
}

// PhysicalLocation is a place in a file (3.29).
type PhysicalLocation struct {
	ArtifactLocation ArtifactLocation `json:"artifactLocation"`
	Region           Region           `json:"region"`
	ContextRegion    Region           `json:"contextRegion"`
}

// code is the code of the region, and the lines around it as far as the report has them.
func (p *PhysicalLocation) code() (snippet string, around core.Surroundings) {
	context, first := p.ContextRegion.Snippet.Text, int(p.Region.StartLine-p.ContextRegion.StartLine)
	snippet = p.Region.Snippet.Text
	if context == "" {
		return snippet, around
	}
	lines := strings.Split(context, "\n")
	if p.ContextRegion.StartLine < 1 || first < 0 || first >= len(lines) || len(lines) > maxContext {
		return cmp.Or(snippet, context), around
	}
	last := min(first+1+max(int(p.Region.EndLine-p.Region.StartLine), 0), len(lines))
	around = match.SurroundingsOf(digests(lines[:first]), digests(lines[last:]))
	return cmp.Or(snippet, strings.Join(lines[first:last], "\n")), around
}

const (
	maxContext = 200  // lines around a region that are looked at
	maxSkipped = 1000 // elements of a list that are looked at for some of use
)

// digests are those of lines that say something.
func digests(lines []string) (list []uint16) {
	for _, line := range lines {
		if digest := match.DigestLine(line); digest != 0 {
			list = append(list, digest)
		}
	}
	return list
}

// ArtifactLocation names a file or a directory (3.4).
type ArtifactLocation struct {
	URI       string   `json:"uri"`
	URIBaseID string   `json:"uriBaseId"`
	Index     *float64 `json:"index"`
}

// Region is a part of a file (3.30).
type Region struct {
	StartLine float64 `json:"startLine"`
	EndLine   float64 `json:"endLine"`
	Snippet   struct {
		Text string `json:"text"`
	} `json:"snippet"`
}

// Suppression says that a result is hidden (3.35).
type Suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// ReportingDescriptor describes a rule (3.49).
type ReportingDescriptor struct {
	ID                   string                    `json:"id"`
	GUID                 string                    `json:"guid"`
	Name                 string                    `json:"name"`
	ShortDescription     Message                   `json:"shortDescription"`
	FullDescription      Message                   `json:"fullDescription"`
	HelpURI              string                    `json:"helpUri"`
	Help                 collect.Lenient[Message]  `json:"help"`
	DeprecatedIDs        collect.Lenient[[]string] `json:"deprecatedIds"`
	MessageStrings       map[string]Message        `json:"messageStrings"`
	DefaultConfiguration struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Relationships []struct {
		Target ReportingDescriptorReference `json:"target"`
	} `json:"relationships"`
	Properties collect.Lenient[PropertyBag] `json:"properties"`
}

// PropertyBag has the members of property bags that tools agree on without a standard, so in any type.
type PropertyBag struct {
	Tags             any `json:"tags"`
	SecuritySeverity any `json:"security-severity"`
	CVE              any `json:"cve"`
	CWE              any `json:"cwe"`
	PURL             any `json:"purl"`

	Own collect.Lenient[*OwnProperties] `json:"scanhook"`
}

// Severity reads a security-severity: a number from 0 to 10 that some write as a string, as GitHub asks, and some not, or a word
// for a severity. Other words, such as undefined, say nothing.
func (b PropertyBag) Severity() (severity core.Severity, ok bool) {
	for _, text := range collect.Texts(b.SecuritySeverity) {
		switch word := strings.ToLower(strings.TrimSpace(text)); word {
		case "unknown", "none", "error", "warning", "note":
			return "", false
		default:
			return core.SeverityFromWord(word)
		}
	}
	return "", false
}

// OwnProperties are what our own exports say of a finding where SARIF has no place for it: how it differs from its rule, and
// code whose line is not known.
type OwnProperties struct {
	Title   *string `json:"title,omitempty"`
	HelpURI *string `json:"help_uri,omitempty"`
	CVEID   *string `json:"cve_id,omitempty"`
	Snippet *string `json:"snippet,omitempty"`
	Commit  *string `json:"commit_sha,omitempty"` // of a finding in history

	Links []details.Link `json:"links,omitempty"` // pages about the finding
	Fixes []details.Fix  `json:"fixes,omitempty"` // diffs
}

// Fingerprints are what a tool says identifies a result, as name=value. Values that are not strings, against the
// standard, do not count.
type Fingerprints []string

// UnmarshalJSON implements json.Unmarshaler. Nearly all results of large reports have fingerprints and nearly all of
// them are plain, so those are split without a decoder.
func (f *Fingerprints) UnmarshalJSON(data []byte) error {
	if plain, ok := plainPairs(string(data)); ok {
		*f = plain
		return nil
	}
	var values collect.Lenient[map[string]any]
	_ = values.UnmarshalJSON(data) // never fails
	for name, value := range values.Value {
		if text, ok := value.(string); ok {
			*f = append(*f, name+"="+text)
		}
	}
	return nil
}

// plainPairs splits a valid JSON object whose values are all strings without escapes.
func plainPairs(object string) (pairs []string, ok bool) {
	if strings.Contains(object, `\`) {
		return nil, false
	}
	rest := object
	for {
		_, name, found := nextString(&rest)
		if !found {
			return pairs, true
		}
		between, value, found := nextString(&rest)
		if !found || strings.TrimSpace(between) != ":" {
			return nil, false
		}
		pairs = append(pairs, name+"="+value)
	}
}

// nextString cuts the next quoted string, and the text before it, off the text.
func nextString(text *string) (before, quoted string, found bool) {
	before, rest, found := strings.Cut(*text, `"`)
	if !found {
		return before, "", false
	}
	quoted, *text, found = strings.Cut(rest, `"`)
	return before, quoted, found
}

// Join writes fingerprints in an order that does not change between runs of a tool.
func (f Fingerprints) Join(others Fingerprints) string {
	if len(f) == 0 && len(others) == 1 {
		return others[0]
	}
	all := slices.Concat(f, others)
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// severityOf translates SARIF's level, or another word that a tool writes there; empty stays empty.
func severityOf(c *collect.Collector, level, field string) (core.Severity, error) {
	switch level {
	case "":
		return "", nil
	case "error", "warning", "note", "none":
		return core.SeverityFromLevel(level), nil
	}
	if severity, ok := core.SeverityFromWord(level); ok {
		return severity, nil
	}
	return "", c.InvalidIn(field, "%.40q is not one of error, warning, note, none", level)
}

// toIndex reads an index into one of the run's arrays; -1 is none, as in SARIF.
func toIndex(number *float64) int32 {
	const maxIndex = 1<<31 - 1
	if number == nil || *number < 0 || *number > maxIndex {
		return -1
	}
	return int32(*number)
}
