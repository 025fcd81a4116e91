package reports

import (
	"fmt"
	"path"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// collector gathers the findings of a report in a tool's own format. Such formats are read element by element, because
// a single array in them can be as long as the report.
type collector struct {
	*cursor
	report   core.Report
	findings pile[core.Finding]
}

// results visits the elements of an array of results, null counting as an empty one. Each visit either adds the
// element's finding or leaves the element out.
func results[T any](c *collector, visit func(*T)) error {
	_, err := resultsOrNull(c, visit)
	return err
}

func resultsOrNull[T any](c *collector, visit func(*T)) (found bool, err error) {
	return c.arrayOrNull(func() error {
		if c.report.Results++; c.report.Results > c.limits.MaxResults {
			return fmt.Errorf("%w: the report has more than %d results", core.ErrTooLarge, c.limits.MaxResults)
		}
		element := new(T)
		if err := c.decode(&element); err != nil { // null makes element nil
			return err
		}
		if element == nil {
			return c.invalid("must be an object, not null")
		}
		visit(element)
		return nil
	})
}

// add makes a finding storable and keeps it. The finding stays in its place until finish.
func (c *collector) add(f core.Finding) *core.Finding {
	name, message := c.limits.name(), c.limits.message()
	f.Title = clean(strings.TrimSpace(f.Title), name)
	f.RuleID = first(clean(strings.TrimSpace(f.RuleID), name), f.Title, "unknown")
	f.CVEID = cveIn(f.CVEID, f.RuleID, f.Title)
	f.CWE = cweNamed(f.CWE)
	f.HelpURI = webAddress(f.HelpURI, name)
	f.File = c.place(f.File)
	f.EndLine = endLine(f.Line, f.EndLine)
	f.Message = first(clean(strings.TrimSpace(f.Message), message), f.RuleID)
	f.Snippet = clean(f.Snippet, c.limits.snippet())
	f.PartialFingerprint = clean(f.PartialFingerprint, message)
	if f.Suppressed != nil {
		reason := clean(first(strings.TrimSpace(*f.Suppressed), "suppressed by the scanner"), message)
		f.Suppressed = &reason
	}
	return c.findings.add(f)
}

func (c *collector) leaveOut() { c.report.Skipped++ }

// place is a path below the repository's root, whatever the report says.
func (c *collector) place(file string) string {
	file = path.Clean("/" + strings.ReplaceAll(strings.TrimSpace(file), `\`, "/"))
	return clean(strings.TrimLeft(file, "/"), c.limits.name())
}

// finish returns the report, its findings as those of the tool where they do not name another.
func (c *collector) finish(tool string) core.Report {
	c.report.Findings = c.findings.slice()
	tool = clean(tool, c.limits.name())
	for i := range c.report.Findings {
		finding := &c.report.Findings[i]
		finding.Tool = clean(first(finding.Tool, tool), c.limits.name())
	}
	return c.report
}

// fail records why the tool could not do all of its work. The first reasons are the ones that explain.
func (c *collector) fail(reason string) {
	reason = strings.Join(strings.Fields(reason), " ")
	switch known := c.report.Failure; {
	case reason == "" || len(known) > c.limits.message()/2 || strings.Contains(known, reason):
		return
	case known != "":
		reason = known + "; " + reason
	}
	c.report.Failure = clean(reason, c.limits.message())
}

// withAdvice joins a text and what to do, of which nothing is cut off.
func (c *collector) withAdvice(text, advice string) string {
	text = strings.TrimSpace(text)
	if advice == "" || strings.Contains(text, advice) {
		return text
	}
	text = clip(text, max(c.limits.message()-len(advice)-2, 0))
	return strings.TrimSpace(text + "\n\n" + advice)
}

// oneOrMany reads a report that is an object or an array of such objects; walk goes through the one at hand.
func (c *cursor) oneOrMany(visit func(walk func(members) error) error) error {
	first, err := c.begins()
	switch {
	case err != nil:
		return err
	case first == '[':
		c.at++
		return c.elements(func() error { return visit(c.object) })
	}
	return visit(c.object)
}

// text decodes a member that is a text, or anything else that then does not count.
func (c *cursor) text(into *string) func() error {
	return func() error {
		var value lenient[string]
		err := c.decode(&value)
		*into = clip(value.value, c.limits.name())
		return err
	}
}
