package formats

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// Gosec is the format of gosec -fmt json.
var Gosec = collect.Format{Name: "gosec JSON", Recognizes: looksLikeGosec, Parse: parseGosec}

// gosecErrors are the files that gosec could not read, with the reasons.
const gosecErrors = "Golang errors"

func looksLikeGosec(seen jsonscan.Sniff) bool {
	return seen.IsObject() && seen.Has("Issues") && seen.HasAny(gosecErrors, "Stats", "GosecVersion") ||
		seen.Has(gosecErrors)
}

func parseGosec(c *collect.Collector) ([]core.Report, error) {
	err := c.Object(jsonscan.Members{
		"Issues":    func() error { return collect.Results(c, func(wire *gosecIssue) { c.Add(wire.finding()) }) },
		gosecErrors: func() error { return readGosecErrors(c) },
	})
	return c.Finish("gosec"), err
}

// readGosecErrors reads the errors by file. Where there is one, gosec has not searched a whole package.
func readGosecErrors(c *collect.Collector) error {
	const maxPath = 100 // bytes of a path in a message
	return c.Each(func(file string) error {
		var wire []struct {
			Line  float64 `json:"line"`
			Error string  `json:"error"`
		}
		if err := c.Decode(&wire); err != nil || len(wire) == 0 {
			return err
		}
		line := strconv.Itoa(collect.Line(wire[0].Line))
		c.FailDirectory(file)
		c.Complain("gosec could not read " + core.Clip(file, maxPath) + ":" + line + ": " + wire[0].Error)
		return nil
	})
}

// gosecIssue is one issue of gosec -fmt json.
type gosecIssue struct {
	RuleID   string `json:"rule_id"`
	Severity any    `json:"severity"`
	Details  string `json:"details"`
	File     string `json:"file"`
	Line     any    `json:"line"` // "12" or "12-14"
	Code     string `json:"code"`
	NoSec    bool   `json:"nosec"`
	CWE      struct {
		ID  any    `json:"id"`
		URL string `json:"url"`
	} `json:"cwe"`
	Suppressions []struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	} `json:"suppressions"`
}

func (wire *gosecIssue) finding() core.Finding {
	from, to, _ := strings.Cut(cmp.Or(collect.Texts(wire.Line)...), "-")
	start, end := lineNumber(from), lineNumber(to)
	f := core.Finding{
		RuleID:   wire.RuleID,
		File:     wire.File,
		Line:     start,
		EndLine:  end,
		Severity: collect.Severity(wire.Severity),
		Title:    wire.Details,
		Message:  wire.Details,
		CWE:      collect.CWENamed(collect.Texts(wire.CWE.ID)...),
		HelpURI:  wire.CWE.URL,
		Snippet:  collect.Unnumbered(wire.Code, start, end),
	}
	for _, suppression := range wire.Suppressions {
		f.Suppressed = new(cmp.Or(suppression.Justification, suppression.Kind))
	}
	if wire.NoSec && f.Suppressed == nil {
		f.Suppressed = new("#nosec")
	}
	return f
}

// lineNumber reads a line number that is written as a text; 0 is unknown.
func lineNumber(text string) int {
	number, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return collect.Line(number)
}
