package formats_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// One vulnerability on several paths is one finding with all of them, ignored only where each is.
func TestSnykPathsAreOneFinding(t *testing.T) {
	t.Parallel()
	on := func(way string) string {
		return `{"id":"SNYK-JS-PADKIT-1","title":"DoS","severity":"high","name":"padkit","version":"1.0.0","semver":{},"from":["shop@1",` +
			way + `"padkit@1.0.0"]}`
	}
	vulnerabilities := on(`"b@1",`) + "," + on(`"a@2","c@1",`) + "," + on("")
	report := reportstest.MustParse(t, `{"vulnerabilities":[`+vulnerabilities+`],"filtered":{"ignore":[`+on(`"d@1",`)+`]},
		"displayTargetFile":"package-lock.json","packageManager":"npm"}`)
	if len(report.Findings) != 1 || report.Results != 4 || report.Skipped != 3 {
		t.Fatalf("%d findings and %d skipped of %d", len(report.Findings), report.Skipped, report.Results)
	}
	f := report.Findings[0]
	if f.Suppressed != nil || f.File != "package-lock.json" || !strings.Contains(f.Message, "It comes with a > c; b; d.") {
		t.Errorf("%+v", f)
	}
	ignored := reportstest.Only(t, `{"vulnerabilities":[],"packageManager":"npm","filtered":{"ignore":[`+on(`"d@1",`)+`,`+on(`"e@1",`)+`]}}`)
	if ignored.Suppressed == nil {
		t.Error("what is ignored on all paths is not suppressed")
	}
}
