package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// gitlab reads GitLab's security reports, which are one format for all kinds of scans.
type gitlab struct {
	*collector
	complete bool // the report has a list of vulnerabilities, though perhaps an empty one
}

// gitlabScan is what a report says about how it came to be.
type gitlabScan struct {
	Type     string `json:"type"`
	Status   string `json:"status"`
	Scanner  struct{ Name, ID string }
	Messages []struct{ Level, Value string }
}

func looksLikeGitLab(seen shape) bool {
	vulnerabilities := seen.member("vulnerabilities")
	switch {
	case !seen.object() || seen.hasAny("bomFormat", "auditReportVersion", "runs", "results", "packageManager"):
		return false
	case vulnerabilities.array && !vulnerabilities.empty:
		return vulnerabilities.has("identifiers") && vulnerabilities.hasAny("location", "scanner", "category", "cve") &&
			!vulnerabilities.hasAny("semver", "packageManager")
	case seen.has("vulnerabilities") && !vulnerabilities.bare():
		return false // an object: somebody else's
	}
	return seen.has("version") && seen.hasAny("remediations", "scan", "dependency_files") ||
		seen.has("vulnerabilities", "scan")
}

func parseGitLab(c *cursor) (core.Report, error) {
	g := &gitlab{collector: &collector{cursor: c}}
	var scan lenient[gitlabScan]
	err := g.object(members{
		"vulnerabilities": g.readVulnerabilities,
		"scan":            func() error { return g.decode(&scan) },
	})
	switch {
	case err != nil:
		return core.Report{}, err
	case !g.complete:
		return core.Report{}, g.invalidIn("vulnerabilities",
			"is missing; a GitLab report without findings has an empty list")
	}
	g.judge(scan.value)
	scanner := scan.value.Scanner
	return g.finish(first(scanner.Name, scanner.ID, strings.TrimSpace("gitlab "+scan.value.Type))), nil
}

func (g *gitlab) readVulnerabilities() (err error) {
	g.complete, err = resultsOrNull(g.collector, func(wire *gitlabVulnerability) { g.add(g.vulnerability(wire)) })
	return err
}

// judge lets a scan that says that it failed fail the report.
func (g *gitlab) judge(scan gitlabScan) {
	if scan.Status != "failure" {
		return
	}
	for _, message := range scan.Messages {
		if message.Level == "fatal" || message.Level == "error" {
			g.fail(message.Value)
		}
	}
	if g.report.Failure == "" {
		g.fail("the scan failed and its report does not say why")
	}
}
