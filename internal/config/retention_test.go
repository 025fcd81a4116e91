package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAges(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "36h": 36 * time.Hour, "forever": 0, "never": 0, "0": 0, `"${UNSET:-}"`: 90 * day,
	} {
		if got := mustParse(t, "retention: {scans: "+text+"}", nil).Retention.Scans.Duration(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestValidationOfRetention(t *testing.T) {
	t.Parallel()
	const age = "c.yaml:1:20: retention.scans must be a time such as 30d or 12h, or forever"
	tests := map[string]struct{ text, want string }{
		"no unit":     {"retention: {scans: 30}", age},
		"no days":     {"retention: {scans: 0d}", age},
		"negative":    {"retention: {scans: -3d}", age},
		"a fraction":  {"retention: {scans: 1.5d}", age},
		"too many":    {"retention: {scans: 99999999d}", age},
		"less than 0": {"retention: {scans: -3h}", age},
		"hours only":  {"retention: {scans: 3h}", "c.yaml:1:20: retention.scans must be 1d or more"},
		"deliveries, less than platforms repeat": {
			"retention: {deliveries: 6d}",
			"c.yaml:1:25: retention.deliveries must be 7d or more: a delivery that comes again must be recognised",
		},
		"no scans": {"retention: {keep_scans: 0}", "c.yaml:1:25: retention.keep_scans must be between 1 and 1000000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{test.want}, problemsOf(t, test.text, nil)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
