package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// semgrepResult is one result of semgrep --json.
type semgrepResult struct {
	CheckID string                 `json:"check_id"`
	Path    string                 `json:"path"`
	Start   struct{ Line float64 } `json:"start"`
	End     struct{ Line float64 } `json:"end"`
	Extra   struct {
		Message     string                   `json:"message"`
		Severity    any                      `json:"severity"`
		Lines       string                   `json:"lines"`
		Fingerprint string                   `json:"fingerprint"`
		IsIgnored   bool                     `json:"is_ignored"`
		Metadata    lenient[semgrepMetadata] `json:"metadata"`
		SCA         lenient[semgrepSCA]      `json:"sca_info"`
	} `json:"extra"`
}

// semgrepMetadata is what rules say about themselves, by convention only.
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

// needsLogin stands in fields that semgrep fills in for registered users only.
const needsLogin = "requires login"

func looksLikeSemgrep(seen shape) bool {
	results, errors := seen.member("results"), seen.member("errors")
	switch {
	case !seen.object() || seen.hasAny("generated_at", "runs"):
		return false
	case results.array && results.has("check_id"):
		return true
	case results.bare() || !seen.has("results"):
		return errors.array && (seen.has("results") || errors.has("level", "type"))
	}
	return false
}

func parseSemgrep(c *cursor) (core.Report, error) {
	s := &collector{cursor: c}
	err := s.object(members{
		"results": func() error {
			return results(s, func(wire *semgrepResult) { s.add(s.semgrepFinding(wire)) })
		},
		"errors": s.semgrepErrors,
	})
	return s.finish("semgrep"), err
}

func (c *collector) semgrepFinding(wire *semgrepResult) core.Finding {
	extra, about := &wire.Extra, wire.Extra.Metadata.value
	found := extra.SCA.value.Match.Found
	pkg := dependency{found.Package, found.Version}
	f := core.Finding{
		RuleID:             wire.CheckID,
		File:               wire.Path,
		Line:               toLine(wire.Start.Line),
		EndLine:            toLine(wire.End.Line),
		Severity:           stated(extra.Severity),
		Title:              pkg.title(lastPart(wire.CheckID)),
		Message:            c.withAdvice(extra.Message, fixedIn(fixVersions(about.Fixes)...)),
		CVEID:              cveIn(words(about.CVE)...),
		CWE:                cweNamed(words(about.CWE)...),
		HelpURI:            first(append(words(about.Source), words(about.ShortLink)...)...),
		Snippet:            unlessLogin(extra.Lines),
		PartialFingerprint: first(unlessLogin(extra.Fingerprint), pkg.name),
	}
	if extra.IsIgnored {
		f.Suppressed = because("nosemgrep")
	}
	return f
}

// semgrepErrors lets the errors fail the report that are more than warnings about single files.
func (c *collector) semgrepErrors() error {
	return c.array(func() error {
		var wire lenient[struct {
			Level   string `json:"level"`
			Message string `json:"message"`
		}]
		if err := c.decode(&wire); err != nil {
			return err
		}
		if wire.value.Level == "error" {
			c.fail("semgrep: " + first(wire.value.Message, "an error that the report does not explain"))
		}
		return nil
	})
}

func unlessLogin(text string) string {
	if strings.TrimSpace(text) == needsLogin {
		return ""
	}
	return text
}

// lastPart is the name of a rule without the path of the file that defines it.
func lastPart(rule string) string { return rule[strings.LastIndexByte(rule, '.')+1:] }

// fixVersions reads [{"package": "version"}], as metadata has it.
func fixVersions(value any) []string {
	var versions []string
	list, _ := value.([]any)
	for _, element := range list {
		fix, _ := element.(map[string]any)
		for _, version := range fix {
			versions = append(versions, words(version)...)
		}
	}
	return versions
}
