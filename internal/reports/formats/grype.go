package formats

import (
	"cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Grype is the format of grype -o json.
var Grype = collect.Format{Name: "Grype JSON", Recognizes: looksLikeGrype, Parse: parseGrype}

func looksLikeGrype(seen jsonscan.Sniff) bool {
	matches := seen.Member("matches")
	switch {
	case !seen.IsObject():
		return false
	case matches.IsNothing():
		return seen.HasAny("descriptor", "source", "distro")
	}
	return matches.Array && matches.HasAny("vulnerability", "artifact")
}

func parseGrype(c *collect.Collector) ([]core.Report, error) {
	err := c.Object(jsonscan.Members{"matches": func() error {
		return collect.Results(c, func(wire *grypeMatch) { c.Add(wire.finding(c)) })
	}})
	return c.Finish("grype"), err
}

// grypeMatch is a vulnerable package. Those that an ignore rule takes out are in another list (ignoredMatches), which is not
// read: most of these rules are grype's own, against noise.
type grypeMatch struct {
	Vulnerability struct {
		ID          string `json:"id"`
		DataSource  string `json:"dataSource"`
		Severity    any    `json:"severity"`
		Description string `json:"description"`
		Fix         struct {
			Versions any `json:"versions"`
		} `json:"fix"`
		CVSS collect.Lenient[[]grypeScore] `json:"cvss"`
		EPSS collect.Lenient[[]struct {
			CVE string `json:"cve"`
		}] `json:"epss"`
		CWEs collect.Lenient[[]struct {
			CWE string `json:"cwe"`
		}] `json:"cwes"`
	} `json:"vulnerability"`
	Related []struct {
		ID          string                        `json:"id"`
		Description string                        `json:"description"`
		CVSS        collect.Lenient[[]grypeScore] `json:"cvss"`
	} `json:"relatedVulnerabilities"`
	Artifact struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		PURL      string `json:"purl"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifact"`
}

// grypeScore is a score of a vulnerability; there are several, of authors and of versions of CVSS.
type grypeScore struct {
	Metrics struct {
		BaseScore float64 `json:"baseScore"`
	} `json:"metrics"`
}

// scores are those of the vulnerability and those under its other ids.
func (wire *grypeMatch) scores() (list []float64) {
	for _, score := range wire.Vulnerability.CVSS.Value {
		list = append(list, score.Metrics.BaseScore)
	}
	for _, related := range wire.Related {
		for _, score := range related.CVSS.Value {
			list = append(list, score.Metrics.BaseScore)
		}
	}
	return list
}

func (wire *grypeMatch) finding(c *collect.Collector) core.Finding {
	vulnerability, artifact := &wire.Vulnerability, &wire.Artifact
	pkg := collect.Dependency{Name: artifact.Name, Version: artifact.Version, URL: artifact.PURL}
	ids, description := []string{vulnerability.ID}, vulnerability.Description
	for _, related := range wire.Related {
		ids, description = append(ids, related.ID), cmp.Or(description, related.Description)
	}
	for _, score := range vulnerability.EPSS.Value {
		ids = append(ids, score.CVE)
	}
	f := core.Finding{
		RuleID:             vulnerability.ID,
		Severity:           collect.SeverityOrScore(vulnerability.Severity, wire.scores()...),
		Title:              pkg.Title(vulnerability.ID),
		Message:            c.WithAdvice(description, collect.FixedIn(collect.Texts(vulnerability.Fix.Versions)...)),
		CVEID:              collect.CVE(ids...),
		HelpURI:            vulnerability.DataSource,
		PartialFingerprint: pkg.Name,
		About:              pkg.About(ids...),
	}
	if len(artifact.Locations) > 0 {
		f.File = artifact.Locations[0].Path
	}
	for _, weakness := range vulnerability.CWEs.Value {
		f.CWE = cmp.Or(f.CWE, collect.CWENamed(weakness.CWE))
	}
	return f
}
