package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `defaults:
  scan_timeout: 1h30m
  gate: {kev: true, new_only: true}
  tags:
repositories:
  - match: github/acme/*
    scanners:
      - gitleaks
    gate:
      fail_on: critical
      new_only: false
  - match: "**"
    scan_timeout: 90s
`, nil)
	want := []Setting{
		{"context", "scanhook", FromBuiltin, 0}, {"branches", "[**]", FromBuiltin, 0}, {"tags", "[]", FromBuiltin, 0},
		{"scanners", "[gitleaks]", FromRepository, 7}, {"gate.fail_on", "critical", FromRepository, 10},
		{"gate.new_only", "false", FromRepository, 11}, {"gate.epss", "0", FromBuiltin, 0}, {"gate.kev", "true", FromDefaults, 3},
		{"supersede", "true", FromBuiltin, 0}, {"scan_timeout", "1h30m", FromDefaults, 2}, {"anomalies", "report", FromBuiltin, 0},
	}
	if diff := cmp.Diff(want, got.Effective(0)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	second := got.Effective(1)
	if got := second[len(second)-2]; got != (Setting{"scan_timeout", "1m30s", FromRepository, 13}) {
		t.Errorf("the second entry's: %+v", got)
	}
	if line := got.Source.Lines["repositories[1].match"]; line != 12 || got.Source.File != "c.yaml" {
		t.Errorf("the second entry stands in line %d of %s", line, got.Source.File)
	}
	reference := mustParse(t, reference(t), variables{})
	for _, setting := range reference.Effective(0) {
		if setting.From != FromDefaults || setting.Line == 0 {
			t.Errorf("of the reference: %+v", setting)
		}
	}
}
