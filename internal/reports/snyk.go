package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// snyk reads the JSON of snyk test, snyk container test and snyk iac test: one project, or an array of them. Snyk Code
// writes SARIF.
type snyk struct {
	*collector
}

// snykProject is what its findings need to know of a project; it stands behind them.
type snykProject struct {
	target, shown, path, failure string
	ok                           *bool
	findings                     []*core.Finding
}

func looksLikeSnyk(seen shape) bool {
	vulnerabilities := seen.member("vulnerabilities")
	switch {
	case seen.members == nil || seen.hasAny("bomFormat", "auditReportVersion"):
		return false
	case vulnerabilities.array && vulnerabilities.hasAny("semver", "upgradePath", "isUpgradable"):
		return true
	case vulnerabilities.bare():
		return seen.hasAny("packageManager", "projectName", "dependencyCount", "licensesPolicy")
	}
	return seen.has("infrastructureAsCodeIssues") || seen.has("ok", "error")
}

func parseSnyk(c *cursor) (core.Report, error) {
	s := &snyk{collector: &collector{cursor: c}}
	err := s.oneOrMany(s.readProject)
	return s.finish("snyk"), err
}

func (s *snyk) readProject(walk func(members) error) error {
	var project snykProject
	err := walk(members{
		"vulnerabilities": func() error {
			return results(s.collector, func(wire *snykVulnerability) { s.keep(&project, s.vulnerability(wire)) })
		},
		"infrastructureAsCodeIssues": func() error {
			return results(s.collector, func(wire *snykIssue) { s.keep(&project, s.issue(wire)) })
		},
		"filtered":          func() error { return s.readFiltered(&project) },
		"applications":      func() error { return s.array(func() error { return s.readProject(s.object) }) },
		"targetFile":        s.text(&project.target),
		"displayTargetFile": s.text(&project.shown),
		"path":              s.text(&project.path),
		"error":             s.text(&project.failure),
		"ok":                func() error { return s.decode(&project.ok) },
	})
	for _, finding := range project.findings {
		finding.File = s.place(first(project.shown, project.target))
	}
	if project.failure != "" && project.ok != nil && !*project.ok {
		s.fail(strings.Trim("snyk: "+project.path+": "+project.failure, ": "))
	}
	return err
}

// readFiltered reads the vulnerabilities that the project's policy ignores.
func (s *snyk) readFiltered(project *snykProject) error {
	return s.object(members{"ignore": func() error {
		return results(s.collector, func(wire *snykVulnerability) {
			f := s.vulnerability(wire)
			f.Suppressed = because("ignored by the Snyk policy")
			for _, ignored := range wire.Filtered.value.Ignored {
				f.Suppressed = because(first(ignored.Reason, *f.Suppressed))
			}
			s.keep(project, f)
		})
	}})
}

func (s *snyk) keep(project *snykProject, f core.Finding) {
	project.findings = append(project.findings, s.add(f))
}
