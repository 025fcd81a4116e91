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
		for _, parse := range []func(io.Reader, reports.Limits) (core.Report, error){reports.Parse, reports.ParsePacked} {
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
