package badge_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/badge"
)

func TestOfNeverCallsCleanWhatIsNot(t *testing.T) {
	t.Parallel()
	completed := core.Scan{Status: core.ScanCompleted}
	all, part := core.Job{CoverageJSON: `{"searched": 3}`}, core.Job{CoverageJSON: `{"searched": 2, "left": [{"reason": "size", "count": 1}]}`}
	for want, got := range map[string]badge.Badge{
		"no open findings":                 badge.Of(completed, []core.Job{all}, nil),
		"no open findings, 1 not searched": badge.Of(completed, []core.Job{all, part}, nil),
		"1 critical, 2 low":                badge.Of(completed, []core.Job{part}, map[core.Severity]int{core.Low: 2, core.Critical: 1, core.High: 0}),
		"scan failed":                      badge.Of(core.Scan{Status: core.ScanFailed}, []core.Job{all}, nil),
	} {
		if green := got.Colour == "#15803d"; got.Text != want || green != (want == "no open findings") {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
}

func TestSVGIsXML(t *testing.T) {
	t.Parallel()
	drawn := badge.Badge{Text: `<script>"&`, Colour: "#fff"}.SVG()
	decoder := xml.NewDecoder(strings.NewReader(drawn))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, drawn)
		}
		if start, is := token.(xml.StartElement); is && start.Name.Local == "script" {
			t.Errorf("text became an element:\n%s", drawn)
		}
	}
}
