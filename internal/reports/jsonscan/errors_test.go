package jsonscan_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("{\"ruleId\": \"a\"},\n", 20_000)
	tests := map[string]struct{ report, want string }{
		"syntax": {
			"{\"version\": \"2.1.0\",\n \"runs\": [\n  {\"results\": [{},\n   {\"level\": oops}]}]}",
			"/runs/0/results/1: not valid JSON: invalid character 'o' looking for beginning of value " +
				"(line 4, column 14, byte 64)",
		},
		"missing comma": {
			"{\"runs\": [\n {} {}]}",
			"/runs/1: not valid JSON: invalid character '{' after array element (line 2, column 5, byte 15)",
		},
		"wrong type": {
			"{\"runs\": [{\"results\": [\n {},\n {\"level\": 5}]}]}",
			"/runs/0/results/1/level: must be a string, not number (line 3, column 13, byte 41)",
		},
		"nested field": {
			"{\"runs\": [{\"results\": [{\"locations\": [\n{\"physicalLocation\": {\"region\": {\"startLine\": \"1\"}}}]}]}]}",
			"/runs/0/results/0/locations/physicalLocation/region/startLine: must be a number, not string " +
				"(line 2, column 50, byte 88)",
		},
		"far below": {
			"{\"runs\": [{\"results\": [\n" + padding + "{\"ruleId\": 1}]}]}",
			"/runs/0/results/20000/ruleId: must be a string, not number (line 20002, column 13, byte 340036)",
		},
		"behind a BOM":  {"\uFEFF{\"runs\": 1}", "/runs: must be an array, not a number (line 1, column 14, byte 13)"},
		"escaped names": {"{\"runs\": [{\"a/b~c\": [}]}", "/runs/0/a~1b~0c: not valid JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := reportstest.Parse(test.report)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want %q, got %v", test.want, err)
			}
		})
	}
}
