package formats

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Semgrep is the format of semgrep --json.
var Semgrep = collect.Format{Name: "semgrep JSON", Recognizes: looksLikeSemgrep, Parse: parseSemgrep}

// needsLogin is the value of fields that semgrep fills in for registered users only.
const needsLogin = "requires login"

func looksLikeSemgrep(seen jsonscan.Sniff) bool {
	results, errors := seen.Member("results"), seen.Member("errors")
	switch {
	case !seen.IsObject() || seen.HasAny("generated_at", "runs"):
		return false
	case results.Array && results.Has("check_id"):
		return true
	case results.IsNothing() || !seen.Has("results"):
		return errors.Array && (seen.Has("results") || errors.Has("level", "type"))
	}
	return false
}

func parseSemgrep(c *collect.Collector) ([]core.Report, error) {
	err := c.Object(jsonscan.Members{
		"results": func() error {
			return collect.Results(c, func(wire *semgrepResult) { c.Add(wire.finding(c)) })
		},
		"errors": func() error { return readSemgrepErrors(c) },
		"paths":  func() error { return readSemgrepPaths(c) },
	})
	return c.Finish("semgrep"), err
}

// readSemgrepErrors notes the files that semgrep could not read. Errors of no file fail the report: what then is missing, nobody
// knows.
func readSemgrepErrors(c *collect.Collector) error {
	return c.Array(func() error {
		var wire collect.Lenient[semgrepError]
		if err := c.Decode(&wire); err != nil {
			return err
		}
		file, failed := wire.Value.file(), wire.Value.Level == "error"
		reason := "semgrep: " + cmp.Or(wire.Value.Message, "an error that the report does not explain")
		switch {
		case failed && file == "":
			c.Fail(reason)
		case failed:
			c.Complain(reason)
		}
		c.FailFile(file)
		return nil
	})
}

// semgrepError is a parse error, a timeout or another mishap, as several versions of semgrep write it.
type semgrepError struct {
	Level    string `json:"level"`
	Message  string `json:"message"`
	Path     string `json:"path"`
	Location collect.Lenient[struct {
		Path string `json:"path"`
	}] `json:"location"`
	Spans collect.Lenient[[]struct {
		File string `json:"file"`
	}] `json:"spans"`
}

func (e semgrepError) file() string {
	for _, span := range e.Spans.Value {
		return cmp.Or(e.Path, e.Location.Value.Path, span.File)
	}
	return cmp.Or(e.Path, e.Location.Value.Path)
}

// semgrepSkips are why semgrep skips files. Rules that a file is not for, and files of other languages, leave nothing out.
var semgrepSkips = map[string]core.LeftOut{
	"too_big": core.LeftSize, "exceeded_size_limit": core.LeftSize, "minified": core.LeftSize, "binary": core.LeftBinary,
	"always_skipped": core.LeftSkipped, "semgrepignore_patterns_match": core.LeftSkipped, "gitignore_patterns_match": core.LeftSkipped,
	"cli_include_flags_do_not_match": core.LeftSkipped, "cli_exclude_flags_match": core.LeftSkipped,
	"excluded_by_config": core.LeftSkipped, "dotfile": core.LeftSkipped,
	"insufficient_permissions": core.LeftError, "too_many_matches": core.LeftError,
}

// readSemgrepPaths notes the files that semgrep skipped, which it lists with --verbose.
func readSemgrepPaths(c *collect.Collector) error {
	return c.Object(jsonscan.Members{"skipped": func() error {
		return c.Array(func() error {
			var wire collect.Lenient[struct {
				Path   string `json:"path"`
				Reason string `json:"reason"`
			}]
			err := c.Decode(&wire)
			why, known := semgrepSkips[wire.Value.Reason]
			if strings.Contains(wire.Value.Reason, "analysis_failed") || strings.Contains(wire.Value.Reason, "timeout") {
				why, known = core.LeftError, true
			}
			if known {
				c.SkipFile(why, wire.Value.Path)
			}
			return err
		})
	}})
}

// semgrepResult is one result of semgrep --json.
type semgrepResult struct {
	CheckID string       `json:"check_id"`
	Path    string       `json:"path"`
	Start   semgrepPoint `json:"start"`
	End     semgrepPoint `json:"end"`
	Extra   struct {
		Message     string                           `json:"message"`
		Severity    any                              `json:"severity"`
		Lines       string                           `json:"lines"`
		Fingerprint string                           `json:"fingerprint"`
		IsIgnored   bool                             `json:"is_ignored"`
		Metadata    collect.Lenient[semgrepMetadata] `json:"metadata"`
		SCA         collect.Lenient[semgrepSCA]      `json:"sca_info"`
		Fix         collect.Lenient[*string]         `json:"fix"` // the text that should stand there
		Trace       collect.Lenient[semgrepTrace]    `json:"dataflow_trace"`
	} `json:"extra"`
}

type semgrepPoint struct{ Line, Col float64 }

// semgrepTrace is the way of data from a source to a sink. Both are ["CliLoc", place], or ["CliCall", [place of the call, steps, where it
// leads to]].
type semgrepTrace struct {
	Source json.RawMessage `json:"taint_source"`
	Steps  json.RawMessage `json:"intermediate_vars"`
	Sink   json.RawMessage `json:"taint_sink"`
}

// semgrepPlace is a place in the code.
type semgrepPlace struct {
	Path  string       `json:"path"`
	Start semgrepPoint `json:"start"`
	End   semgrepPoint `json:"end"`
}

func (p semgrepPlace) step(code string, depth int) details.Place {
	return details.Place{
		File: p.Path, Line: collect.Line(p.Start.Line), EndLine: collect.EndLine(collect.Line(p.Start.Line), collect.Line(p.End.Line)),
		Code: details.Clip(code, details.MaxNote), Level: depth,
	}
}

const maxSemgrepCalls = 20 // calls in calls that a trace is followed through

// way collects the steps of a trace.
type way struct{ steps []details.Place }

// follow adds one end of a trace, with the calls on the way to it.
func (w *way) follow(end json.RawMessage, depth int) {
	kind, value := pair(end)
	var name string
	if json.Unmarshal(kind, &name) != nil || depth > maxSemgrepCalls {
		return
	}
	if name != "CliCall" {
		w.add(value, depth)
		return
	}
	for i, part := range parts(value, 3) {
		switch i {
		case 0:
			w.add(part, depth)
		case 1:
			w.through(part, depth+1)
		case 2:
			w.follow(part, depth+1)
		}
	}
}

// add adds [place, code].
func (w *way) add(value json.RawMessage, depth int) {
	where, text := pair(value)
	var place semgrepPlace
	var code string
	_ = json.Unmarshal(text, &code) // or no code
	if json.Unmarshal(where, &place) == nil && len(w.steps) < details.MaxSteps {
		w.steps = append(w.steps, place.step(unlessLogin(code), depth))
	}
}

// through adds variables that the data goes through.
func (w *way) through(list json.RawMessage, depth int) {
	for _, element := range parts(list, details.MaxSteps) {
		var variable struct {
			Location semgrepPlace `json:"location"`
			Content  string       `json:"content"`
		}
		if json.Unmarshal(element, &variable) == nil && len(w.steps) < details.MaxSteps {
			w.steps = append(w.steps, variable.Location.step(unlessLogin(variable.Content), depth))
		}
	}
}

// parts are the first elements of a list.
func parts(list json.RawMessage, most int) (some []json.RawMessage) {
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	for element := range jsonscan.Elements(list) {
		if len(some) == most {
			break
		}
		some = append(some, element)
	}
	return some
}

// pair are the two elements of a list; the second may be missing.
func pair(list json.RawMessage) (first, second json.RawMessage) {
	two := append(parts(list, 2), nil, nil)
	return two[0], two[1]
}

// details are the way of the data, and the fix.
func (wire *semgrepResult) details() string {
	var d details.Details
	var w way
	trace := wire.Extra.Trace.Value
	w.follow(trace.Source, 0)
	w.through(trace.Steps, 0)
	w.follow(trace.Sink, 0)
	if len(w.steps) > 0 {
		d.Flows = []details.Flow{{Steps: w.steps}}
	}
	if fix := wire.Extra.Fix.Value; fix != nil && len(*fix) <= details.MaxText {
		d.Fixes = []details.Fix{{Changes: []details.Change{{
			File: wire.Path, Line: collect.Line(wire.Start.Line), EndLine: collect.Line(wire.End.Line),
			Column: collect.Line(wire.Start.Col), EndColumn: collect.Line(wire.End.Col), Text: *fix,
		}}}}
	}
	return details.Pack(d)
}

// semgrepMetadata is what rules say about themselves, by convention.
type semgrepMetadata struct {
	CWE       any `json:"cwe"`
	CVE       any `json:"sca-vuln-database-identifier"`
	Source    any `json:"source"`
	ShortLink any `json:"shortlink"`
	Fixes     any `json:"sca-fix-versions"`
}

// semgrepSCA names the dependency that a supply-chain rule found.
type semgrepSCA struct {
	Match struct {
		Found struct {
			Package string `json:"package"`
			Version string `json:"version"`
		} `json:"found_dependency"`
	} `json:"dependency_match"`
}

func (wire *semgrepResult) finding(c *collect.Collector) core.Finding {
	extra, about := &wire.Extra, wire.Extra.Metadata.Value
	found := extra.SCA.Value.Match.Found
	pkg := collect.Dependency{Name: found.Package, Version: found.Version}
	f := core.Finding{
		RuleID:             wire.CheckID,
		File:               wire.Path,
		Line:               collect.Line(wire.Start.Line),
		EndLine:            collect.Line(wire.End.Line),
		Severity:           collect.Severity(extra.Severity),
		Title:              pkg.Title(lastPart(wire.CheckID)),
		Message:            c.WithAdvice(extra.Message, collect.FixedIn(fixVersions(about.Fixes)...)),
		CVEID:              collect.CVE(collect.Texts(about.CVE)...),
		CWE:                collect.CWENamed(collect.Texts(about.CWE)...),
		HelpURI:            cmp.Or(append(collect.Texts(about.Source), collect.Texts(about.ShortLink)...)...),
		Snippet:            unlessLogin(extra.Lines),
		PartialFingerprint: cmp.Or(unlessLogin(extra.Fingerprint), pkg.Name),
		About:              pkg.About(collect.Texts(about.CVE)...),
		Details:            wire.details(),
	}
	if extra.IsIgnored {
		f.Suppressed = new("nosemgrep")
	}
	return f
}

// fixVersions reads [{"package": "version"}], as metadata has it.
func fixVersions(value any) []string {
	var versions []string
	list, _ := value.([]any)
	for _, element := range list {
		fix, _ := element.(map[string]any)
		for _, version := range fix {
			versions = append(versions, collect.Texts(version)...)
		}
	}
	return versions
}

func unlessLogin(text string) string {
	if strings.TrimSpace(text) == needsLogin {
		return ""
	}
	return text
}

// lastPart is the name of a rule without the path of the file that defines it.
func lastPart(rule string) string { return rule[strings.LastIndexByte(rule, '.')+1:] }

// SemgrepPlatform is what semgrep ci sends to its platform, and what the API of the platform answers.
var SemgrepPlatform = collect.Format{
	Name:       "the findings of semgrep ci and of Semgrep's API",
	Recognizes: looksLikeSemgrepPlatform,
	Parse:      parseSemgrepPlatform,
}

func looksLikeSemgrepPlatform(seen jsonscan.Sniff) bool {
	findings, vulns := seen.Member("findings"), seen.Member("vulns")
	return seen.IsObject() && (findings.Array && findings.HasAny("check_id", "rule_name", "match_based_id") ||
		vulns.Array && (vulns.Empty || vulns.HasAny("advisory", "dependencyFileLocation")))
}

func parseSemgrepPlatform(c *collect.Collector) ([]core.Report, error) {
	err := c.Object(jsonscan.Members{
		"findings": func() error {
			return collect.Results(c, func(wire *semgrepFinding) { addSemgrepFinding(c, wire) })
		},
		"vulns": func() error {
			return collect.Results(c, func(wire *semgrepVulnerability) { c.Add(wire.finding(c)) })
		},
	})
	return c.Finish("semgrep"), err
}

// semgrepFinding is one finding as semgrep ci sends it, or as the API lists it.
type semgrepFinding struct {
	CheckID      string                           `json:"check_id"`
	Path         string                           `json:"path"`
	Line         any                              `json:"line"`
	EndLine      any                              `json:"end_line"`
	Message      string                           `json:"message"`
	Severity     any                              `json:"severity"` // a number from semgrep ci, a word from the API
	MatchBasedID string                           `json:"match_based_id"`
	Metadata     collect.Lenient[semgrepMetadata] `json:"metadata"`

	RuleName     string `json:"rule_name"`
	RuleMessage  string `json:"rule_message"`
	State        string `json:"status"`
	TriageReason string `json:"triage_reason"`
	Rule         struct {
		CWENames any `json:"cwe_names"`
	} `json:"rule"`
	Location struct {
		FilePath string `json:"file_path"`
		Line     any    `json:"line"`
		EndLine  any    `json:"end_line"`
	} `json:"location"`
}

func addSemgrepFinding(c *collect.Collector, wire *semgrepFinding) {
	rule, about := cmp.Or(wire.CheckID, wire.RuleName), wire.Metadata.Value
	f := core.Finding{
		RuleID:             rule,
		File:               cmp.Or(wire.Path, wire.Location.FilePath),
		Line:               max(collect.LineOf(wire.Line), collect.LineOf(wire.Location.Line)),
		EndLine:            max(collect.LineOf(wire.EndLine), collect.LineOf(wire.Location.EndLine)),
		Severity:           semgrepSeverity(wire.Severity),
		Title:              lastPart(rule),
		Message:            cmp.Or(wire.Message, wire.RuleMessage),
		CWE:                cmp.Or(collect.CWENamed(collect.Texts(about.CWE)...), collect.CWENamed(collect.Texts(wire.Rule.CWENames)...)),
		HelpURI:            cmp.Or(append(collect.Texts(about.Source), collect.Texts(about.ShortLink)...)...),
		PartialFingerprint: unlessLogin(wire.MatchBasedID),
	}
	switch wire.State {
	case "fixed":
		c.LeaveOut()
		return
	case "ignored":
		f.Suppressed = new(cmp.Or(wire.TriageReason, "ignored in Semgrep"))
	}
	c.Add(f)
}

// semgrepVulnerability is one vulnerable dependency of Semgrep Supply Chain's API.
type semgrepVulnerability struct {
	Title    string `json:"title"`
	Advisory struct {
		RuleID      string `json:"ruleId"`
		Description string `json:"description"`
		Severity    any    `json:"severity"`
		References  struct {
			CVEs any `json:"cveIds"`
			CWEs any `json:"cweIds"`
			URLs any `json:"urls"`
		} `json:"references"`
	} `json:"advisory"`
	Dependency struct {
		Name    string `json:"name"`
		Version any    `json:"versionSpecifier"`
	} `json:"matchedDependency"`
	Safe struct {
		Version any `json:"versionSpecifier"`
	} `json:"closestSafeDependency"`
	Place struct {
		Path string `json:"path"`
		Line any    `json:"startLine"`
	} `json:"dependencyFileLocation"`
}

func (wire *semgrepVulnerability) finding(c *collect.Collector) core.Finding {
	advisory, references := &wire.Advisory, &wire.Advisory.References
	version := cmp.Or(collect.Texts(wire.Dependency.Version)...)
	pkg := collect.Dependency{Name: wire.Dependency.Name, Version: strings.TrimLeft(version, "= ")}
	cve := collect.CVE(collect.Texts(references.CVEs)...)
	help, links := c.Pages("", collect.Texts(references.URLs)...)
	return core.Finding{
		RuleID:             cmp.Or(cve, advisory.RuleID, wire.Title),
		File:               wire.Place.Path,
		Line:               collect.LineOf(wire.Place.Line),
		Severity:           semgrepSeverity(advisory.Severity),
		Title:              pkg.Title(wire.Title),
		Message:            c.WithAdvice(advisory.Description, collect.FixedIn(collect.Texts(wire.Safe.Version)...)),
		CVEID:              cve,
		CWE:                collect.CWENamed(collect.Texts(references.CWEs)...),
		HelpURI:            help,
		Details:            links,
		PartialFingerprint: pkg.Name,
		About:              pkg.About(append(collect.Texts(references.CVEs), advisory.RuleID)...),
	}
}

// semgrepSeverity reads semgrep's words, and the numbers that semgrep ci has in their place.
func semgrepSeverity(value any) core.Severity {
	word := cmp.Or(collect.Texts(value)...)
	switch word {
	case "0", "3", "4": // an information, an inventory or an experiment
		return core.Low
	case "1":
		return core.Medium
	case "2":
		return core.High
	}
	return collect.Severity(strings.TrimPrefix(strings.ToUpper(word), "SEVERITY_"))
}
