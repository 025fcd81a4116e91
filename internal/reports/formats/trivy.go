package formats

import (
	"cmp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Trivy is the format of trivy -f json.
var Trivy = collect.Format{Name: "Trivy JSON", Recognizes: looksLikeTrivy, Parse: parseTrivy}

func looksLikeTrivy(seen jsonscan.Sniff) bool {
	switch {
	case seen.Array:
		return seen.Has("Target") && seen.HasAny("Vulnerabilities", "Type", "Class", "Misconfigurations")
	case seen.Has("ClusterName"):
		return seen.HasAny("Resources", "Findings", "Vulnerabilities", "Misconfigurations") || len(seen.Keys) == 1
	}
	return seen.Has("SchemaVersion") && seen.HasAny("ArtifactName", "ArtifactType", "Results") ||
		seen.Has("Results", "ArtifactName") || seen.Member("Results").Array && seen.Member("Results").Has("Target")
}

// trivy reads the JSON of Trivy: an object with Results (schema 2), the bare list of results that came before it, or
// the resources of a Kubernetes cluster with the results of each.
type trivy struct {
	*collect.Collector
	owner string // the cluster's resource that results belong to, or empty
}

func parseTrivy(c *collect.Collector) ([]core.Report, error) {
	t := &trivy{Collector: c}
	err := t.read()
	return t.Finish("trivy"), err
}

func (t *trivy) read() error {
	results := func() error { return t.Array(t.readResult) }
	resources := func() error { return t.Array(t.readResource) }
	alone, err := t.IsArray()
	switch {
	case err != nil:
		return err
	case alone:
		return results()
	}
	return t.Object(jsonscan.Members{
		"Results":           results,
		"Resources":         resources,
		"Findings":          resources,
		"Vulnerabilities":   resources,
		"Misconfigurations": resources,
	})
}

// readResource reads what was found in a resource. One that Trivy failed on leaves out files that nobody names.
func (t *trivy) readResource() error {
	var namespace, kind, name, failure string
	t.owner = ""
	err := t.Object(jsonscan.Members{
		"Namespace": t.Text(&namespace),
		"Kind":      t.Text(&kind),
		"Name":      t.Text(&name),
		"Error":     t.Text(&failure),
		"Results": func() error {
			t.owner = strings.Trim(namespace+"/"+kind+"/"+name, "/")
			return t.Array(t.readResult)
		},
	})
	if failure != "" {
		t.Complain("trivy: " + kind + " " + name + ": " + failure)
		t.FailSomewhere(1)
	}
	return err
}

// trivyTarget is what a result is about.
type trivyTarget struct {
	name, class string
	unplaced    []*core.Finding // findings whose file depends on name and class, which may come later
}

func (t *trivy) readResult() error {
	var target trivyTarget
	kind := func(toFinding func(*trivyFinding) core.Finding) func() error {
		return func() error {
			return collect.Results(t.Collector, func(wire *trivyFinding) { t.keep(&target, wire, toFinding(wire)) })
		}
	}
	err := t.Object(jsonscan.Members{
		"Target":                       t.Text(&target.name),
		"Class":                        t.Text(&target.class),
		"Vulnerabilities":              kind(t.vulnerability),
		"Misconfigurations":            kind(t.misconfiguration),
		"Secrets":                      kind(t.secret),
		"Licenses":                     kind(t.license),
		"ExperimentalModifiedFindings": func() error { return t.readModified(&target) },
	})
	t.settle(target)
	return err
}

// readModified reads the findings that a VEX document or an ignore file takes out of the lists.
func (t *trivy) readModified(target *trivyTarget) error {
	kinds := map[string]func(*trivyFinding) core.Finding{
		"vulnerability":    t.vulnerability,
		"misconfiguration": t.misconfiguration,
		"secret":           t.secret,
		"license":          t.license,
	}
	return collect.Results(t.Collector, func(wire *trivyModified) {
		toFinding := kinds[wire.Type]
		if toFinding == nil {
			t.LeaveOut()
			return
		}
		f := toFinding(&wire.Finding)
		f.Suppressed = new(strings.Trim(wire.Status+": "+wire.Statement, ": "))
		t.keep(target, &wire.Finding, f)
	})
}

// keep leaves out the checks that passed. Vulnerabilities have a status too, but of their fix.
func (t *trivy) keep(target *trivyTarget, wire *trivyFinding, f core.Finding) {
	if wire.Status == "PASS" || wire.Status == "EXCEPTION" {
		t.LeaveOut()
		return
	}
	if t.owner != "" {
		f.Message = t.WithAdvice(f.Message, "In "+t.owner+".")
	}
	added := t.Add(f)
	if added.File == "" {
		target.unplaced = append(target.unplaced, added)
	}
}

// settle gives the findings that name no file the target's, where that is one. An image goes into the title, because its
// name changes with every build and messages are a part of fingerprints.
func (t *trivy) settle(target trivyTarget) {
	image := target.class == "os-pkgs" || strings.Contains(target.name, " (")
	for _, f := range target.unplaced {
		switch {
		case image:
			f.Title = collect.Clean(f.Title+", in "+target.name, t.Limits.Name())
		case target.class != "license" && !isEcosystem(target.name):
			f.File = t.Place(target.name)
		}
	}
}

// isEcosystem recognizes the names under which Trivy lists packages that no lock file names.
func isEcosystem(target string) bool {
	switch target {
	case "Conda", "Java", "Kubernetes", "Node.js", "Python", "Ruby":
		return true
	}
	return false
}

// trivyFinding has the members of all four kinds of Trivy's findings.
type trivyFinding struct {
	VulnerabilityID, PkgName, PkgPath, InstalledVersion, FixedVersion string

	PkgIdentifier collect.Lenient[struct{ PURL string }]

	Title, Description, Status, PrimaryURL string
	Severity, CweIDs, VendorIDs            any
	CVSS                                   collect.Lenient[map[string]struct{ V2Score, V3Score, V40Score float64 }]
	References                             any

	ID, AVDID, Message, Resolution string
	CauseMetadata                  struct {
		Resource           string
		StartLine, EndLine float64
		Code               struct {
			Lines []struct {
				Content string
				IsCause bool
			}
		}
	}

	RuleID, Category, Match string
	StartLine, EndLine      float64

	FilePath, Name, Link string
}

// trivyModified is a finding that was taken out, and why.
type trivyModified struct {
	Type, Status, Statement string
	Finding                 trivyFinding
}

func (t *trivy) vulnerability(wire *trivyFinding) core.Finding {
	pkg := collect.Dependency{Name: wire.PkgName, Version: wire.InstalledVersion, URL: wire.PkgIdentifier.Value.PURL}
	var scores []float64
	for _, by := range wire.CVSS.Value {
		scores = append(scores, cmp.Or(by.V40Score, by.V3Score, by.V2Score))
	}
	help, links := t.Pages(wire.PrimaryURL, collect.Texts(wire.References)...)
	return core.Finding{
		Details:            links,
		RuleID:             wire.VulnerabilityID,
		File:               wire.PkgPath,
		Severity:           collect.SeverityOrScore(wire.Severity, scores...),
		Title:              pkg.Title(cmp.Or(wire.Title, wire.VulnerabilityID)),
		Message:            t.WithAdvice(cmp.Or(wire.Description, wire.Title), collect.FixedIn(wire.FixedVersion)),
		CVEID:              collect.CVE(collect.Texts(wire.VendorIDs)...),
		CWE:                collect.CWENamed(collect.Texts(wire.CweIDs)...),
		HelpURI:            help,
		PartialFingerprint: wire.PkgName,
		About:              pkg.About(collect.Texts(wire.VendorIDs)...),
	}
}

func (t *trivy) misconfiguration(wire *trivyFinding) core.Finding {
	cause := &wire.CauseMetadata
	var code []string
	for _, line := range cause.Code.Lines {
		if line.IsCause {
			code = append(code, line.Content)
		}
	}
	help, links := t.Pages(wire.PrimaryURL, collect.Texts(wire.References)...)
	return core.Finding{
		Details:  links,
		RuleID:   cmp.Or(wire.ID, wire.AVDID),
		Line:     collect.Line(cause.StartLine),
		EndLine:  collect.Line(cause.EndLine),
		Severity: collect.Severity(wire.Severity),
		Title:    wire.Title,
		Message:  t.WithAdvice(cmp.Or(wire.Message, wire.Description, wire.Title), wire.Resolution),
		HelpURI:  help,
		Snippet:  strings.Join(code, "\n"),
		About:    core.About{Resource: cause.Resource},
	}
}

// secret keeps nothing of the code, though Trivy writes asterisks in place of the secret.
func (t *trivy) secret(wire *trivyFinding) core.Finding {
	return core.Finding{
		RuleID:   wire.RuleID,
		Line:     collect.Line(wire.StartLine),
		EndLine:  collect.Line(wire.EndLine),
		Severity: collect.Severity(wire.Severity),
		Title:    wire.Title,
		Message:  strings.TrimSpace(cmp.Or(wire.Title, wire.RuleID) + " in the code."),
		CWE:      collect.SecretInCode,
		Secret:   collect.Unmasked(wire.Match),

		PartialFingerprint: collect.Unmasked(wire.Match),
	}
}

func (t *trivy) license(wire *trivyFinding) core.Finding {
	title := wire.Name + " license"
	if wire.Category != "" {
		title += " (" + wire.Category + ")"
	}
	message := title
	if wire.PkgName != "" {
		message += " of the package " + wire.PkgName
	}
	return core.Finding{
		RuleID:             wire.Name,
		File:               wire.FilePath,
		Severity:           collect.Severity(wire.Severity),
		Title:              title,
		Message:            message + ".",
		HelpURI:            wire.Link,
		PartialFingerprint: wire.PkgName,
		About:              core.About{Package: wire.PkgName},
	}
}
