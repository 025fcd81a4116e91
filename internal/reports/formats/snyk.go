package formats

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Snyk is the format of snyk test, snyk container test and snyk iac test. Snyk Code writes SARIF.
var Snyk = collect.Format{Name: "Snyk JSON", Recognizes: looksLikeSnyk, Parse: parseSnyk}

func looksLikeSnyk(seen jsonscan.Sniff) bool {
	vulnerabilities := seen.Member("vulnerabilities")
	switch {
	case !seen.OfObjects() || seen.HasAny("bomFormat", "auditReportVersion"):
		return false
	case vulnerabilities.Array && vulnerabilities.HasAny("semver", "upgradePath", "isUpgradable"):
		return true
	case vulnerabilities.IsNothing():
		return seen.HasAny("packageManager", "projectName", "dependencyCount", "licensesPolicy")
	}
	return seen.Has("infrastructureAsCodeIssues") || seen.Has("ok", "error")
}

// snyk reads one project, or an array of them.
type snyk struct {
	*collect.Collector
}

func parseSnyk(c *collect.Collector) ([]core.Report, error) {
	s := &snyk{Collector: c}
	err := s.OneOrMany(s.readProject)
	return s.Finish("snyk"), err
}

// snykProject is what the findings of a project take from it. In the report it may come after them.
type snykProject struct {
	target, shown, path, failure string
	ok                           *bool
	findings                     []*core.Finding
	dependencies                 []*snykDependency // in the order of the report
	known                        map[snykKey]*snykDependency
}

// snykKey is what makes a vulnerability of a project the same on another path.
type snykKey struct{ id, pkg string }

// snykDependency is a vulnerability of a project, with all paths on which it comes into it. The report says everything else again for
// each path, and that is not kept.
type snykDependency struct {
	finding      core.Finding // without its message
	text, advice string
	paths        []string // empty for a direct dependency
}

// gather joins the paths of a vulnerability, which the report lists one by one. It is ignored where all of them are.
func (s *snyk) gather(project *snykProject, wire *snykVulnerability, ignored *string) {
	key := snykKey{wire.ID, cmp.Or(wire.Name, wire.PackageName)}
	joined := project.known[key]
	switch {
	case joined == nil:
		if project.known == nil {
			project.known = make(map[snykKey]*snykDependency)
		}
		joined = wire.dependency()
		joined.finding.Suppressed = ignored
		project.known[key], project.dependencies = joined, append(project.dependencies, joined)
	default:
		s.LeaveOut()
		if ignored == nil {
			joined.finding.Suppressed = nil
		}
	}
	joined.paths = append(joined.paths, wire.way())
}

// readProject reads one project. One that Snyk failed on leaves out its manifest, or files that nobody names.
func (s *snyk) readProject() error {
	var project snykProject
	err := s.Object(jsonscan.Members{
		"vulnerabilities": func() error {
			return collect.Results(s.Collector, func(wire *snykVulnerability) { s.gather(&project, wire, nil) })
		},
		"infrastructureAsCodeIssues": func() error {
			return collect.Results(s.Collector, func(wire *snykIssue) { s.keep(&project, s.issue(wire)) })
		},
		"filtered":          func() error { return s.readFiltered(&project) },
		"applications":      func() error { return s.Array(s.readProject) },
		"targetFile":        s.Text(&project.target),
		"displayTargetFile": s.Text(&project.shown),
		"path":              s.Text(&project.path),
		"error":             s.Text(&project.failure),
		"ok":                func() error { return s.Decode(&project.ok) },
	})
	for _, dependency := range project.dependencies {
		s.keep(&project, s.vulnerability(dependency))
	}
	for _, finding := range project.findings {
		finding.File = s.Place(cmp.Or(project.shown, project.target))
	}
	if project.failure != "" && project.ok != nil && !*project.ok {
		s.Complain(strings.Trim("snyk: "+project.path+": "+project.failure, ": "))
		s.FailFile(cmp.Or(project.shown, project.target))
	}
	return err
}

// readFiltered reads the vulnerabilities that the project's policy ignores.
func (s *snyk) readFiltered(project *snykProject) error {
	return s.Object(jsonscan.Members{"ignore": func() error {
		return collect.Results(s.Collector, func(wire *snykVulnerability) {
			reason := "ignored by the Snyk policy"
			for _, ignored := range wire.Filtered.Value.Ignored {
				reason = cmp.Or(ignored.Reason, reason)
			}
			s.gather(project, wire, &reason)
		})
	}})
}

func (s *snyk) keep(project *snykProject, f core.Finding) {
	project.findings = append(project.findings, s.Add(f))
}

// snykVulnerability is a vulnerable dependency, once for each path on which it comes into the project.
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
	Identifiers    collect.Lenient[struct {
		CVE  any `json:"CVE"`
		CWE  any `json:"CWE"`
		GHSA any `json:"GHSA"`
	}] `json:"identifiers"`
	Filtered collect.Lenient[struct {
		Ignored []struct {
			Reason string `json:"reason"`
		} `json:"ignored"`
	}] `json:"filtered"`
}

func (wire *snykVulnerability) dependency() *snykDependency {
	pkg := collect.Dependency{Name: cmp.Or(wire.Name, wire.PackageName), Version: wire.Version}
	ids := wire.Identifiers.Value
	fixed := collect.Texts(wire.FixedIn)
	if len(fixed) == 0 {
		fixed = collect.Texts(wire.NearestFixedIn)
	}
	f := core.Finding{
		RuleID:             wire.ID,
		Severity:           collect.Severity(wire.Severity),
		Title:              pkg.Title(wire.Title),
		CVEID:              collect.CVE(collect.Texts(ids.CVE)...),
		CWE:                collect.CWENamed(collect.Texts(ids.CWE)...),
		PartialFingerprint: pkg.Name,
		About:              pkg.About(append(collect.Texts(ids.CVE), collect.Texts(ids.GHSA)...)...),
	}
	if strings.HasPrefix(wire.ID, "SNYK-") {
		f.HelpURI = "https://security.snyk.io/vuln/" + wire.ID
	}
	return &snykDependency{finding: f, text: wire.Title + " in " + pkg.Name + ".", advice: collect.FixedIn(fixed...)}
}

func (s *snyk) vulnerability(of *snykDependency) core.Finding {
	f, text := of.finding, of.text
	if ways := of.ways(); ways != "" {
		text += " It comes with " + ways + "."
	}
	f.Message = s.WithAdvice(text, of.advice)
	return f
}

// way is the path on which the package comes into the project, without both ends; empty for a direct dependency.
func (wire *snykVulnerability) way() string {
	if len(wire.From) <= 2 {
		return ""
	}
	return strings.Join(withoutVersions(wire.From[1:len(wire.From)-1]), " > ")
}

// ways lists the paths, in an order that does not change from report to report.
func (of *snykDependency) ways() string {
	const listed = 10
	paths := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(of.paths))), func(way string) bool { return way == "" })
	more := ""
	if len(paths) > listed {
		paths, more = paths[:listed], "; and on "+strconv.Itoa(len(paths)-listed)+" other ways"
	}
	return strings.Join(paths, "; ") + more
}

// withoutVersions takes the versions off packages: they change more often than the path on which a vulnerability comes.
func withoutVersions(packages []string) []string {
	bare := make([]string, len(packages))
	for i, pkg := range packages {
		bare[i] = pkg[:max(strings.LastIndexByte(pkg, '@'), 0)]
		if bare[i] == "" {
			bare[i] = pkg
		}
	}
	return bare
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

func (s *snyk) issue(wire *snykIssue) core.Finding {
	resource := strings.Join(collect.Texts(wire.Path), ".")
	f := core.Finding{
		RuleID:             wire.ID,
		Line:               collect.Line(wire.Line),
		Severity:           collect.Severity(wire.Severity),
		Title:              wire.Title,
		Message:            s.WithAdvice(cmp.Or(wire.Issue, wire.Title), wire.Resolve),
		HelpURI:            wire.Documentation,
		PartialFingerprint: resource,
		About:              core.About{Resource: resource},
	}
	if wire.IsIgnored {
		f.Suppressed = new("ignored by the Snyk policy")
	}
	return f
}
