package config

import (
	"strings"
	"testing"
)

func TestAnomalies(t *testing.T) {
	t.Parallel()
	config := mustParse(t, `
platforms: {github: }
defaults: {anomalies: off}
repositories: [{match: github/a/*, anomalies: fail}, {match: "**"}]
`, nil)
	for i, want := range []string{"fail", "off"} {
		if got := config.Repositories[i].Anomalies; got != want {
			t.Errorf("repositories[%d].anomalies = %q, want %q", i, got, want)
		}
	}
	if got := mustParse(t, `platforms: {github: }`, nil).Defaults.Anomalies; got != "report" {
		t.Errorf("by default %q, want report", got)
	}
	problems := problemsOf(t, "defaults: {anomalies: warn}", nil)
	if len(problems) != 1 || !strings.Contains(problems[0], "defaults.anomalies must be report, fail or off") {
		t.Errorf("problems = %q", problems)
	}
}
