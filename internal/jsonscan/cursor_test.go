package jsonscan_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// What could only be stored changed is refused where that is asked for, with its place; without, it is replaced.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ report, want string }{
		"message": {
			reportstest.SARIF(`"results":[{"message":{"text":"a\u0000b"}}]`),
			"/runs/0/results/0: holds a NUL character (line 1, column 61, byte 60)",
		},
		"raw bytes":   {reportstest.SARIF("\"results\":[{\"ruleId\":\"\xff\"}]"), "/runs/0/results/0: holds bytes that are not UTF-8"},
		"half":        {reportstest.SARIF(`"results":[{"ruleId":"\ud800"}]`), "/runs/0/results/0: holds half a character"},
		"snippet":     {`[{"rule_id":"a","severity":"low","snippet":"\u0000"}]`, "/0: holds a NUL character"},
		"second line": {"{\"findings\":[\n{\"rule_id\":\"a\\u0000\",\"severity\":\"low\"}]}", "(line 2, column 14, byte 27)"},
		"key":         {`{"findings":[],"a\u0000":1}`, "holds a NUL character"},
		"ignored":     {`{"findings":[],"more":[{"x":"\u0000"}]}`, "/more/0: holds a NUL character"},
		"trivy":       {"{\"SchemaVersion\":2,\"Results\":[{\"Target\":\"\xff\",\"Vulnerabilities\":[]}]}", "not UTF-8"},
	} {
		for _, parse := range []func(io.Reader, reports.Limits) (core.Report, error){reports.Parse, reportstest.Packed} {
			if _, err := parse(strings.NewReader(test.report), reports.Limits{}); err != nil {
				t.Errorf("%s: %v, want it to be taken by those who want what there is", name, err)
			}
			_, err := parse(strings.NewReader(test.report), reports.Limits{Verbatim: true})
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
		}
	}
}

func TestParseByteByByte(t *testing.T) {
	t.Parallel()
	text := reportstest.SARIF(`"results":[{"ruleId":"a"},{"ruleId":"b"}]`)
	got, err := reports.Parse(iotest.OneByteReader(strings.NewReader(text)), reports.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reportstest.MustParse(t, text), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseKeepsErrorsOfTheReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	readers := map[string]io.Reader{
		"at once": iotest.ErrReader(broken),
		"later":   io.MultiReader(strings.NewReader(`{"version":"2.1.0","runs":[{"results":[{}`), iotest.ErrReader(broken)),
	}
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := reports.Parse(reader, reports.Limits{})
			if !errors.Is(err, broken) || errors.Is(err, core.ErrInvalid) {
				t.Errorf("want the reader's error alone, got %v", err)
			}
			if diff := cmp.Diff(core.Report{}, report); diff != "" {
				t.Errorf("half a report was returned (-want +got):\n%s", diff)
			}
		})
	}
}

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
