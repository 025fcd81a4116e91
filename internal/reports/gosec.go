package reports

import (
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

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

// gosecErrors are the files that gosec could not read, with the reasons.
const gosecErrors = "Golang errors"

func looksLikeGosec(seen shape) bool {
	return seen.object() && seen.has("Issues") && seen.hasAny(gosecErrors, "Stats", "GosecVersion") ||
		seen.has(gosecErrors)
}

func parseGosec(c *cursor) (core.Report, error) {
	g := &collector{cursor: c}
	err := g.object(members{
		"Issues":    func() error { return results(g, func(wire *gosecIssue) { g.add(wire.finding()) }) },
		gosecErrors: g.readGosecErrors,
	})
	return g.finish("gosec"), err
}

func (wire *gosecIssue) finding() core.Finding {
	from, to, _ := strings.Cut(first(words(wire.Line)...), "-")
	start, end := lineNumber(from), lineNumber(to)
	f := core.Finding{
		RuleID:   wire.RuleID,
		File:     wire.File,
		Line:     start,
		EndLine:  end,
		Severity: stated(wire.Severity),
		Title:    wire.Details,
		Message:  wire.Details,
		CWE:      cweNamed(words(wire.CWE.ID)...),
		HelpURI:  wire.CWE.URL,
		Snippet:  unnumbered(wire.Code, start, end),
	}
	for _, suppression := range wire.Suppressions {
		f.Suppressed = because(first(suppression.Justification, suppression.Kind))
	}
	if wire.NoSec && f.Suppressed == nil {
		f.Suppressed = because("#nosec")
	}
	return f
}

// readGosecErrors reads the errors by file. With one of them gosec has not looked at a whole package.
func (c *collector) readGosecErrors() error {
	found, err := c.open('{')
	if err != nil || !found {
		return err
	}
	return c.each(func(file string) error {
		var wire []struct {
			Line  float64 `json:"line"`
			Error string  `json:"error"`
		}
		if err := c.decode(&wire); err != nil || len(wire) == 0 {
			return err
		}
		line := strconv.Itoa(toLine(wire[0].Line))
		c.fail("partial: gosec could not read " + clip(file, maxKey) + ":" + line + ": " + wire[0].Error)
		return nil
	})
}

// lineNumber reads a line number that is written as a text; 0 is unknown.
func lineNumber(text string) int {
	number, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return toLine(number)
}
