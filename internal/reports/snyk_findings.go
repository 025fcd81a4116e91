package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// snykVulnerability is a vulnerable dependency, once for each way on which it gets into the project.
type snykVulnerability struct {
	ID             string   `json:"id"`
	Title          string   `json:"title"`
	Severity       any      `json:"severity"`
	Name           string   `json:"name"`
	PackageName    string   `json:"packageName"`
	Version        string   `json:"version"`
	From           []string `json:"from"`
	FixedIn        any      `json:"fixedIn"`
	NearestFixedIn any      `json:"nearestFixedInVersion"`
	Identifiers    lenient[struct {
		CVE any `json:"CVE"`
		CWE any `json:"CWE"`
	}] `json:"identifiers"`
	Filtered lenient[struct {
		Ignored []struct {
			Reason string `json:"reason"`
		} `json:"ignored"`
	}] `json:"filtered"`
}

// snykIssue is a misconfiguration.
type snykIssue struct {
	ID            string  `json:"id"`
	Title         string  `json:"title"`
	Severity      any     `json:"severity"`
	Line          float64 `json:"lineNumber"`
	Issue         string  `json:"issue"`
	Resolve       string  `json:"resolve"`
	Documentation string  `json:"documentation"`
	IsIgnored     bool    `json:"isIgnored"`
	Path          any     `json:"path"`
}

func (s *snyk) vulnerability(wire *snykVulnerability) core.Finding {
	pkg := dependency{first(wire.Name, wire.PackageName), wire.Version}
	ids := wire.Identifiers.value
	text := wire.Title + " in " + pkg.name + "."
	if len(wire.From) > 2 {
		text += " It comes with " + strings.Join(names(wire.From[1:len(wire.From)-1]), " > ") + "."
	}
	fixed := words(wire.FixedIn)
	if len(fixed) == 0 {
		fixed = words(wire.NearestFixedIn)
	}
	f := core.Finding{
		RuleID:             wire.ID,
		Severity:           stated(wire.Severity),
		Title:              pkg.title(wire.Title),
		Message:            s.withAdvice(text, fixedIn(fixed...)),
		CVEID:              cveIn(words(ids.CVE)...),
		CWE:                cweNamed(words(ids.CWE)...),
		PartialFingerprint: pkg.name,
	}
	if strings.HasPrefix(wire.ID, "SNYK-") {
		f.HelpURI = "https://security.snyk.io/vuln/" + wire.ID
	}
	return f
}

func (s *snyk) issue(wire *snykIssue) core.Finding {
	f := core.Finding{
		RuleID:             wire.ID,
		Line:               toLine(wire.Line),
		Severity:           stated(wire.Severity),
		Title:              wire.Title,
		Message:            s.withAdvice(first(wire.Issue, wire.Title), wire.Resolve),
		HelpURI:            wire.Documentation,
		PartialFingerprint: strings.Join(words(wire.Path), "."),
	}
	if wire.IsIgnored {
		f.Suppressed = because("ignored by the Snyk policy")
	}
	return f
}

// names takes the versions off packages: they change more often than the way on which a vulnerability comes.
func names(packages []string) []string {
	bare := make([]string, len(packages))
	for i, pkg := range packages {
		bare[i] = pkg[:max(strings.LastIndexByte(pkg, '@'), 0)]
		if bare[i] == "" {
			bare[i] = pkg
		}
	}
	return bare
}
