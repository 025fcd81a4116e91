package formats

import (
	"cmp"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// GitLab is the format of GitLab's security reports, which is one for all kinds of scans.
var GitLab = collect.Format{Name: "GitLab security reports", Recognizes: looksLikeGitLab, Parse: parseGitLab}

func looksLikeGitLab(seen jsonscan.Sniff) bool {
	vulnerabilities := seen.Member("vulnerabilities")
	switch {
	case !seen.IsObject() || seen.HasAny("bomFormat", "auditReportVersion", "runs", "results", "packageManager"):
		return false
	case vulnerabilities.Array && !vulnerabilities.Empty:
		return vulnerabilities.Has("identifiers") && vulnerabilities.HasAny("location", "scanner", "category", "cve") &&
			!vulnerabilities.HasAny("semver", "packageManager")
	case seen.Has("vulnerabilities") && !vulnerabilities.IsNothing():
		return false // an object, as other tools write it
	}
	return seen.Has("version") && seen.HasAny("remediations", "scan", "dependency_files") ||
		seen.Has("vulnerabilities", "scan")
}

// gitlab reads GitLab's security reports, which are one format for all kinds of scans.
type gitlab struct {
	*collect.Collector
	complete bool // the report has a list of vulnerabilities, though perhaps an empty one
	byID     map[string]*core.Finding
	fixes    map[string]details.Fix // by the id of the vulnerability
}

// gitlabRemediation is a diff that ends vulnerabilities.
type gitlabRemediation struct {
	Fixes   []struct{ ID string } `json:"fixes"`
	Summary string                `json:"summary"`
	Diff    []byte                `json:"diff"` // in base64
}

func parseGitLab(c *collect.Collector) ([]core.Report, error) {
	g := &gitlab{Collector: c, byID: make(map[string]*core.Finding), fixes: make(map[string]details.Fix)}
	var scan collect.Lenient[gitlabScan]
	err := g.Object(jsonscan.Members{
		"vulnerabilities": g.readVulnerabilities,
		"remediations":    g.readRemediations,
		"scan":            func() error { return g.Decode(&scan) },
	})
	switch {
	case err != nil:
		return nil, err
	case !g.complete:
		return nil, g.InvalidIn("vulnerabilities",
			"is missing; a GitLab report without findings has an empty list")
	}
	g.addFixes()
	g.judge(scan.Value)
	scanner := scan.Value.Scanner
	return g.Finish(cmp.Or(scanner.Name, scanner.ID, strings.TrimSpace("gitlab "+scan.Value.Type))), nil
}

func (g *gitlab) readVulnerabilities() (err error) {
	g.complete, err = collect.ResultsOrNull(g.Collector, func(wire *gitlabVulnerability) {
		f := g.Add(g.vulnerability(wire))
		if id := wire.ID.Value; id != "" {
			g.byID[id] = f
		}
	})
	return err
}

// readRemediations keeps one for each vulnerability. What is no remediation is passed.
func (g *gitlab) readRemediations() error {
	return g.ArrayIfAny(func() error {
		var wire collect.Lenient[gitlabRemediation]
		err := g.Decode(&wire)
		fix := details.Fix{Message: core.Printable(details.Clip(wire.Value.Summary, details.MaxNote)), Diff: core.Printable(string(wire.Value.Diff))}
		if fix.Diff == "" || len(fix.Diff) > details.MaxText {
			return err
		}
		for _, of := range wire.Value.Fixes {
			if of.ID != "" && len(g.fixes) < maxRemediations {
				g.fixes[of.ID] = fix
			}
		}
		return err
	})
}

const maxRemediations = 1000

// addFixes adds remediations to the findings that they are for; either list may come first.
func (g *gitlab) addFixes() {
	for id, fix := range g.fixes {
		if f := g.byID[id]; f != nil {
			d, _ := details.Unpack(f.Details) // packed just now
			d.Fixes = append(d.Fixes, fix)
			f.Details = details.Pack(d)
		}
	}
}

// gitlabScan is what a report says about the scan that made it.
type gitlabScan struct {
	Type     string `json:"type"`
	Status   string `json:"status"`
	Scanner  struct{ Name, ID string }
	Messages []struct{ Level, Value string }
}

// judge fails the report of a scan that says that it failed. Errors of one that succeeded leave something out, and so do warnings
// that something was not read.
func (g *gitlab) judge(scan gitlabScan) {
	failed := scan.Status == "failure"
	for _, message := range scan.Messages {
		switch grave := message.Level == "fatal" || message.Level == "error"; {
		case grave && failed:
			g.Fail(message.Value)
		case grave:
			g.Complain(message.Value)
			g.FailFile(collect.FileIn(message.Value))
		case collect.SaysUnread(message.Value):
			g.FailFile(collect.FileIn(message.Value))
		}
	}
	if failed && g.Report.Failure == "" {
		g.Fail("the scan failed and its report does not say why")
	}
}

// gitlabVulnerability has the members of versions 2 to 15 of GitLab's format. What it quotes of the code
// (raw_source_code_extract) is the secret where secrets are reported: it is read only to tell that from others.
type gitlabVulnerability struct {
	ID          collect.Lenient[string]         `json:"id"`
	Name        string                          `json:"name"`
	Message     string                          `json:"message"`
	Description string                          `json:"description"`
	Solution    string                          `json:"solution"`
	Severity    any                             `json:"severity"`
	Scanner     struct{ Name string }           `json:"scanner"`
	Location    gitlabLocation                  `json:"location"`
	Identifiers []gitlabIdentifier              `json:"identifiers"`
	Links       []struct{ URL string }          `json:"links"`
	Tracking    collect.Lenient[gitlabTracking] `json:"tracking"`
	Extract     collect.Lenient[string]         `json:"raw_source_code_extract"`
}

type gitlabLocation struct {
	File       string  `json:"file"`
	StartLine  float64 `json:"start_line"`
	EndLine    float64 `json:"end_line"`
	Image      string  `json:"image"`
	Dependency struct {
		Package struct{ Name string } `json:"package"`
		Version string                `json:"version"`
	} `json:"dependency"`
	Hostname, Method, Path, Param string
}

type gitlabIdentifier struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value any    `json:"value"`
	URL   string `json:"url"`
}

// gitlabTracking is how analyzers recognize a vulnerability whose line has moved.
type gitlabTracking struct {
	Items []struct {
		Signatures []struct{ Algorithm, Value string }
	}
}

func (g *gitlab) vulnerability(wire *gitlabVulnerability) core.Finding {
	place := &wire.Location
	pkg := collect.Dependency{Name: place.Dependency.Package.Name, Version: place.Dependency.Version}
	cve, cwe, rule := identify(wire.Identifiers)
	name := cmp.Or(wire.Name, wire.Message, cve, rule)
	help, links := g.Pages("", wire.pages()...)
	f := core.Finding{
		Tool:               wire.Scanner.Name,
		RuleID:             cmp.Or(cve, rule, name),
		File:               place.File,
		Line:               collect.Line(place.StartLine),
		EndLine:            collect.Line(place.EndLine),
		Severity:           collect.Severity(wire.Severity),
		Title:              pkg.Title(name),
		Message:            g.WithAdvice(cmp.Or(wire.Description, wire.Message, wire.Name), wire.Solution),
		CVEID:              cve,
		CWE:                cwe,
		HelpURI:            help,
		Details:            links,
		PartialFingerprint: cmp.Or(wire.Tracking.Value.join(), pkg.Name),
		About:              pkg.About(aliases(wire.Identifiers)...),
		Secret:             collect.Unmasked(wire.Extract.Value),
	}
	switch address := place.address(); {
	case place.Image != "":
		f.Title += ", in " + place.Image // not into the message: it changes with every build
	case address != "":
		f.Message = g.WithAdvice(f.Message, "At "+address+".")
	}
	return f
}

// identify takes the CVE and the CWE from any of the identifiers, and the rule from the first one, by which GitLab
// distinguishes vulnerabilities. A few analyzers write a sentence as its value; its name counts then.
func identify(identifiers []gitlabIdentifier) (cve, cwe, rule string) {
	for i, id := range identifiers {
		value := strings.Join(collect.Texts(id.Value), " ")
		switch strings.ToLower(id.Type) {
		case "cve":
			cve = cmp.Or(cve, collect.CVE(value, id.Name))
		case "cwe":
			cwe = cmp.Or(cwe, collect.CWE(id.Name), collect.CWENamed(value))
		}
		if i == 0 {
			rule = cmp.Or(value, id.Name)
			if strings.Contains(value, " ") {
				rule = cmp.Or(id.Name, value)
			}
		}
	}
	return cve, cwe, rule
}

// aliases are the ids of the vulnerability itself. The others are classes of weaknesses, or an analyzer's own rules.
func aliases(identifiers []gitlabIdentifier) (ids []string) {
	for _, id := range identifiers {
		ids = append(ids, strings.Join(collect.Texts(id.Value), " "), id.Name)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return core.VulnerabilityID(id) == "" })
}

// pages are about the vulnerability, those of its identifiers first.
func (wire *gitlabVulnerability) pages() (addresses []string) {
	for _, id := range wire.Identifiers {
		addresses = append(addresses, id.URL)
	}
	for _, link := range wire.Links {
		addresses = append(addresses, link.URL)
	}
	return addresses
}

func (t gitlabTracking) join() string {
	var signatures []string
	for _, item := range t.Items {
		for _, signature := range item.Signatures {
			signatures = append(signatures, signature.Algorithm+"="+signature.Value)
		}
	}
	slices.Sort(signatures)
	return strings.Join(signatures, "\n")
}

// address is the place of a vulnerability of a running application.
func (l *gitlabLocation) address() string {
	address := strings.TrimSpace(l.Method + " " + l.Hostname + l.Path)
	if l.Param != "" {
		address += ", parameter " + l.Param
	}
	return address
}
