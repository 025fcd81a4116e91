// Package formats reads the reports of scanners, one format a file. To add a format, write its file and name it in All.
package formats

import (
	"github.com/scanhook/scanhook/internal/reports/collect"
	"github.com/scanhook/scanhook/internal/reports/sarif"
)

// All are the known formats; the first one that recognizes a report reads it.
var All = []collect.Format{
	sarif.Format,
	Native,
	Semgrep,
	SemgrepPlatform,
	Trivy,
	Gitleaks,
	Gosec,
	GitLab,
	Snyk,
	Grype,
	Checkov,
	Bandit,
}
