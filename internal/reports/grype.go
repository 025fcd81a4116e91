package reports

import (
	"github.com/scanhook/scanhook/core"
)

// grypeMatch is a vulnerable package. Those that grype's ignore rules take out stand in a list of their own
// (ignoredMatches), which is left alone: most of the rules are grype's own, against noise.
type grypeMatch struct {
	Vulnerability struct {
		ID          string `json:"id"`
		DataSource  string `json:"dataSource"`
		Severity    any    `json:"severity"`
		Description string `json:"description"`
		Fix         struct {
			Versions any `json:"versions"`
		} `json:"fix"`
		EPSS lenient[[]struct {
			CVE string `json:"cve"`
		}] `json:"epss"`
		CWEs lenient[[]struct {
			CWE string `json:"cwe"`
		}] `json:"cwes"`
	} `json:"vulnerability"`
	Related []struct {
		ID          string `json:"id"`
		Description string `json:"description"`
	} `json:"relatedVulnerabilities"`
	Artifact struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifact"`
}

func looksLikeGrype(seen shape) bool {
	matches := seen.member("matches")
	switch {
	case !seen.object():
		return false
	case matches.bare():
		return seen.hasAny("descriptor", "source", "distro")
	}
	return matches.array && matches.hasAny("vulnerability", "artifact")
}

func parseGrype(c *cursor) (core.Report, error) {
	g := &collector{cursor: c}
	err := g.object(members{"matches": func() error {
		return results(g, func(wire *grypeMatch) { g.add(g.grypeFinding(wire)) })
	}})
	return g.finish("grype"), err
}

func (c *collector) grypeFinding(wire *grypeMatch) core.Finding {
	vulnerability, artifact := &wire.Vulnerability, &wire.Artifact
	pkg := dependency{artifact.Name, artifact.Version}
	ids, description := []string{vulnerability.ID}, vulnerability.Description
	for _, related := range wire.Related {
		ids, description = append(ids, related.ID), first(description, related.Description)
	}
	for _, score := range vulnerability.EPSS.value {
		ids = append(ids, score.CVE)
	}
	f := core.Finding{
		RuleID:             vulnerability.ID,
		Severity:           stated(vulnerability.Severity),
		Title:              pkg.title(vulnerability.ID),
		Message:            c.withAdvice(description, fixedIn(words(vulnerability.Fix.Versions)...)),
		CVEID:              cveIn(ids...),
		HelpURI:            vulnerability.DataSource,
		PartialFingerprint: pkg.name,
	}
	if len(artifact.Locations) > 0 {
		f.File = artifact.Locations[0].Path
	}
	for _, weakness := range vulnerability.CWEs.value {
		f.CWE = first(f.CWE, cweNamed(weakness.CWE))
	}
	return f
}
