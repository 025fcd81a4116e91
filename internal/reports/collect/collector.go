// Package collect gathers the findings of one report: it counts and bounds them, makes their texts storable, and reads
// what scanners write in many ways: severities, line numbers, CVE and CWE ids. Every report format builds on it.
package collect

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/jsonscan"
)

// NoReason is the reason for a finding that its scanner suppresses without saying why.
const NoReason = "suppressed by the scanner"

// maxCategories bounds the categories of one document. Each becomes a job of its scan.
const maxCategories = 100

// maxElements bounds arrays whose elements are kept: of nothing but {} a report can hold a hundred million rules.
const maxElements = 1_000_000

// Format is one kind of report.
type Format struct {
	Name       string // for people, with what the format is recognized by
	Recognizes func(jsonscan.Sniff) bool
	Parse      func(*Collector) ([]core.Report, error) // one for each category that the document has, at least one
}

// Limits bounds what a report may cost, and says how it is read. A zero field means its default.
type Limits struct {
	MaxBytes   int64 // of the report, after decompression; default 512 MiB
	MaxResults int   // default 1,000,000
	MaxText    int   // bytes of a message; a snippet gets half of it, names and paths a quarter; default 8 KiB

	Key secrets.Key // by which secrets are masked and told apart

	// Category is that of the whole report, whatever the report says; empty: as it says.
	Category string

	// Verbatim refuses text that can only be stored changed: NUL, what is not UTF-8, halves of characters. Without, it
	// is replaced by U+FFFD.
	Verbatim bool
}

// Message is the most bytes of a message.
func (l Limits) Message() int { return l.MaxText }

// Snippet is the most bytes of a snippet.
func (l Limits) Snippet() int { return l.MaxText / 2 }

// Name is the most bytes of a name, a path or an address.
func (l Limits) Name() int { return l.MaxText / 4 }

// part is what is known of a part of a document, or of the whole.
type part struct {
	Report core.Report

	findings  ChunkList[core.Finding]
	left      map[string]bool // files that were left out
	complaint string          // the first error that the tool reports, or empty
}

// Collector reads one report and gathers its findings. Reports are read element by element, because a single array in
// them can be as long as the report.
type Collector struct {
	*jsonscan.Cursor
	Limits Limits
	Pack   bool // asks a format that large reports come in to pack its findings into Report.Packed
	part        // that is being read; the whole document where it has no parts

	detailed int     // bytes of the details of all parts, about
	helped   int     // bytes of what rules are about, of all parts
	results  int     // of all parts
	split    bool    // parts of different categories become different reports
	parts    []*part // that are complete, one for each category
}

// New returns a Collector for the report in r.
func New(r io.Reader, limits Limits, pack bool) *Collector {
	limits.MaxBytes = cmp.Or(max(limits.MaxBytes, 0), 512<<20)
	limits.MaxResults = cmp.Or(max(limits.MaxResults, 0), 1_000_000)
	limits.MaxText = cmp.Or(max(limits.MaxText, 0), 8<<10)
	cursor := jsonscan.NewCursor(r, jsonscan.Options{
		MaxBytes: limits.MaxBytes, MaxElements: max(maxElements, limits.MaxResults), Verbatim: limits.Verbatim,
	})
	return &Collector{Cursor: cursor, Limits: limits, Pack: pack, split: pack && limits.Category == ""}
}

// Results visits the elements of an array of results, null counting as an empty one. Each visit either adds the
// element's finding or leaves the element out.
func Results[T any](c *Collector, visit func(*T)) error {
	_, err := ResultsOrNull(c, visit)
	return err
}

// ResultsOrNull is Results, and tells whether there was an array.
func ResultsOrNull[T any](c *Collector, visit func(*T)) (found bool, err error) {
	return c.EachResult(func(value []byte) error {
		element := new(T)
		if err := c.Unmarshal(value, &element); err != nil { // null makes element nil
			return err
		}
		if element == nil {
			return c.Invalid("must be an object, not null")
		}
		visit(element)
		return nil
	})
}

// EachResult visits the elements of an array of results undecoded, null counting as an empty one, and tells whether there was an
// array. Of elements that are equal byte by byte it visits the first: the tool said the same twice. They are told by hashes with
// a seed of their own, so that nobody can make different ones collide.
func (c *Collector) EachResult(visit func(value []byte) error) (found bool, err error) {
	seed, seen := maphash.MakeSeed(), make(map[uint64]struct{})
	return c.ArrayOrNull(func() error {
		if err := c.countResult(); err != nil {
			return err
		}
		value, err := c.Read()
		if err != nil {
			return err
		}
		hash := maphash.Bytes(seed, value)
		if _, twin := seen[hash]; twin {
			c.LeaveOut()
			return nil
		}
		seen[hash] = struct{}{}
		return visit(value)
	})
}

// countResult counts one more result of the report, before it is read.
func (c *Collector) countResult() error {
	c.Report.Results++
	if c.results++; c.results > c.Limits.MaxResults {
		return fmt.Errorf("%w: the report has more than %d results", core.ErrTooLarge, c.Limits.MaxResults)
	}
	return nil
}

// LeaveOut counts a result that is no finding, or a repeated one.
func (c *Collector) LeaveOut() { c.Report.Skipped++ }

// Add makes a finding storable and keeps it. The finding stays in its place until Finish.
func (c *Collector) Add(f core.Finding) *core.Finding {
	name, message := c.Limits.Name(), c.Limits.Message()
	f.Tool = Clean(f.Tool, name)
	f.Title = Clean(strings.TrimSpace(f.Title), name)
	f.RuleID = cmp.Or(Clean(strings.TrimSpace(f.RuleID), name), f.Title, "unknown")
	f.CVEID = CVE(f.CVEID, f.RuleID, f.Title)
	f.CWE = CWENamed(f.CWE)
	f.HelpURI = WebAddress(f.HelpURI, name)
	f.About = c.about(f.About, f.File)
	f.File = c.Place(f.File)
	f.EndLine = EndLine(f.Line, f.EndLine)
	f.Message = cmp.Or(Clean(strings.TrimSpace(f.Message), message), f.RuleID)
	f.Snippet = Clean(f.Snippet, c.Limits.Snippet())
	f.PartialFingerprint = Clean(f.PartialFingerprint, message)
	f.Secret = Clean(f.Secret, message)
	f.Details = c.details(f.Details)
	if f.Suppressed != nil {
		f.Suppressed = new(Clean(cmp.Or(strings.TrimSpace(*f.Suppressed), NoReason), message))
	}
	return c.Keep(f)
}

const (
	maxDetails = 64 << 20 // bytes of what all findings of a document have besides; later ones are findings only
	maxHelp    = 8 << 20  // bytes of what is kept of its rules
)

// TakesDetails tells whether there is room for more details.
func (c *Collector) TakesDetails() bool { return c.detailed <= maxDetails }

// CountDetails counts bytes of details that a format keeps itself.
func (c *Collector) CountDetails(bytes int) { c.detailed += bytes }

// KeepHelp keeps what a rule of a finding is about, as far as there is room.
func (c *Collector) KeepHelp(name core.RuleName, about details.Help) {
	if about.IsZero() || c.helped > maxHelp { // before the name is looked up, for each finding
		return
	}
	if _, known := c.Report.Help[name]; known {
		return
	}
	if c.Report.Help == nil {
		c.Report.Help = make(map[core.RuleName]string)
	}
	packed := details.PackHelp(about)
	c.helped += len(packed)
	c.Report.Help[name] = packed
}

// details makes storable what a format packed of a finding.
func (c *Collector) details(packed string) string {
	if !c.TakesDetails() {
		return ""
	}
	packed = details.Edit(packed, func(d *details.Details) {
		d.EachFile(func(file *string) { *file = c.Place(*file) })
		d.EachText(func(text *string) { *text = core.Printable(*text) })
	})
	c.detailed += len(packed)
	return packed
}

// Pages are the first page about a finding, primary where there is one, and the others as details.
func (c *Collector) Pages(primary string, addresses ...string) (first, others string) {
	first = cmp.Or(primary, cmp.Or(addresses...))
	var d details.Details
	for _, address := range addresses[:min(len(addresses), details.MaxPlaces)] {
		if url := WebAddress(address, c.Limits.Name()); url != "" && address != first {
			d.Links = append(d.Links, details.Link{URL: url})
		}
	}
	return first, details.Pack(d)
}

// about makes storable what a finding is about, in a file as the report names it.
func (c *Collector) about(a core.About, file string) core.About {
	for _, text := range [...]*string{&a.Package, &a.Aliases, &a.Resource, &a.FormerRules} {
		*text = Clean(strings.TrimSpace(*text), c.Limits.Name())
	}
	a.Absolute = a.Absolute || IsAbsolute(file)
	return a
}

// Keep keeps a finding that is storable as it is. The finding stays in its place until Finish.
func (c *Collector) Keep(f core.Finding) *core.Finding { return c.findings.Add(f) }

// IsAbsolute tells whether a path begins at the root of a machine.
func IsAbsolute(file string) bool {
	file = strings.TrimSpace(file)
	return strings.HasPrefix(file, "/") || len(file) > 2 && file[1] == ':' && (file[2] == '/' || file[2] == '\\')
}

// Place is a path below the repository's root, whatever the report says.
func (c *Collector) Place(file string) string {
	file = path.Clean("/" + strings.ReplaceAll(strings.TrimSpace(file), `\`, "/"))
	return Clean(strings.TrimLeft(file, "/"), c.Limits.Name())
}

// WithAdvice joins a text and what to do, of which nothing is cut off.
func (c *Collector) WithAdvice(text, advice string) string {
	text = strings.TrimSpace(text)
	if advice == "" || strings.Contains(text, advice) {
		return text
	}
	text = core.Clip(text, max(c.Limits.Message()-len(advice)-2, 0))
	return strings.TrimSpace(text + "\n\n" + advice)
}

// Text decodes a member that is a text; anything else counts as an empty one.
func (c *Collector) Text(into *string) func() error {
	return func() error {
		var value Lenient[string]
		err := c.Decode(&value)
		*into = core.Clip(value.Value, c.Limits.Name())
		return err
	}
}

// Fail records why the tool could not do all of its work. The first reasons are the ones that explain.
func (c *Collector) Fail(reason string) {
	c.fail(strings.Join(strings.Fields(reason), " "), c.Limits.Message())
}

// FailFile records that the tool could not read a file, whose earlier findings may still be there.
func (c *Collector) FailFile(file string) {
	if file = c.Place(file); file == "" {
		c.FailSomewhere(1)
		return
	}
	c.leaveOut(core.LeftError, file)
}

// FailDirectory is FailFile for a tool that leaves out the other files of the same directory, too.
func (c *Collector) FailDirectory(file string) {
	if file = c.Place(file); file == "" {
		c.FailSomewhere(1)
		return
	}
	c.leaveOut(core.LeftError, path.Dir(file)+"/")
}

// FailSomewhere records errors that name no file, so that any file may not have been read.
func (c *Collector) FailSomewhere(errors int) {
	if errors > 0 {
		c.coverage().LeaveOut(core.LeftError, errors)
	}
}

// SkipFile records that the tool left out a file on purpose.
func (c *Collector) SkipFile(reason core.LeftOut, file string) {
	if file = c.Place(file); file != "" {
		c.leaveOut(reason, file)
	}
}

// Complain keeps the reason of an error that does not fail the report. A report of errors and no results has failed by them.
func (c *Collector) Complain(reason string) { c.complaint = cmp.Or(c.complaint, reason) }

// FailFiles records the files of a list, whose elements name reads. What is no list names none.
func (c *Collector) FailFiles(name func() (string, error)) error {
	return c.ArrayIfAny(func() error {
		file, err := name()
		c.FailFile(file)
		return err
	})
}

// Part reads a part of the document that may have a category of its own, which read returns. Parts of one category become one
// report. Where the whole document is to become one, categories do not count.
func (c *Collector) Part(read func() (category string, err error)) error {
	if !c.split {
		_, err := read()
		return err
	}
	whole := c.part
	c.part = part{}
	c.Report.Packed = new(core.Packed) // only packed documents are split
	category, err := read()
	if err != nil {
		return err
	}
	if c.Report.Category, err = core.CleanCategory(category); err != nil {
		return err
	}
	c.finishPart("")
	done := c.part
	c.part = whole
	return c.keepPart(&done)
}

// keepPart adds a part to those of its category.
func (c *Collector) keepPart(done *part) error {
	known := slices.IndexFunc(c.parts, func(p *part) bool { return p.Report.Category == done.Report.Category })
	switch {
	case known >= 0:
		c.parts[known].join(done)
		c.parts[known].fail(done.Report.Failure, c.Limits.Message())
	case len(c.parts) == maxCategories:
		return c.TooLarge("more than %d categories", maxCategories)
	default:
		c.parts = append(c.parts, done)
	}
	return nil
}

// Finish returns the report, its findings as those of the tool where they do not name another: one for each category of its parts.
func (c *Collector) Finish(tool string) []core.Report {
	c.finishPart(tool)
	if len(c.parts) == 0 {
		c.Report.Category = c.Limits.Category
		return []core.Report{c.Report}
	}
	all := make([]core.Report, len(c.parts))
	for i, p := range c.parts {
		p.fail(c.Report.Failure, c.Limits.Message()) // of the document as a whole
		all[i] = p.Report
	}
	return all
}

// finishPart completes what is being read.
func (c *Collector) finishPart(tool string) {
	if c.Report.Results == 0 {
		c.Fail(c.complaint)
	}
	c.Report.Findings = c.findings.Slice()
	tool = Clean(tool, c.Limits.Name())
	for i := range c.Report.Findings {
		if finding := &c.Report.Findings[i]; finding.Tool == "" {
			finding.Tool = tool
		}
	}
}

// join adds all of another part but its failure.
func (p *part) join(other *part) {
	p.Report.Findings = append(p.Report.Findings, other.Report.Findings...)
	if other.Report.Packed.Len() > 0 {
		var f core.Finding
		for i := range other.Report.Packed.Len() {
			other.Report.Packed.Get(i, &f)
			p.Report.Packed.Add(&f)
		}
	}
	p.addHelp(other.Report.Help)
	p.Report.Results += other.Report.Results
	p.Report.Skipped += other.Report.Skipped
	if other.Report.Coverage == nil {
		return
	}
	for _, omission := range other.Report.Coverage.Left {
		named := slices.Concat(omission.Names, omission.More)
		for _, file := range named {
			p.leaveOut(omission.Reason, file)
		}
		p.coverage().LeaveOut(omission.Reason, omission.Count-len(named))
	}
}

// addHelp keeps the first that is said of a rule.
func (p *part) addHelp(help map[core.RuleName]string) {
	if p.Report.Help == nil {
		p.Report.Help = help
		return
	}
	for rule, text := range help {
		if _, known := p.Report.Help[rule]; !known {
			p.Report.Help[rule] = text
		}
	}
}

// fail adds a reason why the tool could not do all of its work. The first ones are those that explain.
func (p *part) fail(reason string, limit int) {
	switch known := p.Report.Failure; {
	case reason == "" || len(known) > limit/2 || strings.Contains(known, reason):
		return
	case known != "":
		reason = known + "; " + reason
	}
	p.Report.Failure = Clean(reason, limit)
}

// leaveOut counts each file once.
func (p *part) leaveOut(reason core.LeftOut, file string) {
	if p.left == nil {
		p.left = make(map[string]bool)
	}
	if !p.left[file] {
		p.left[file] = true
		p.coverage().LeaveOut(reason, 1, file)
	}
}

func (p *part) coverage() *core.Coverage {
	if p.Report.Coverage == nil {
		p.Report.Coverage = new(core.Coverage)
	}
	return p.Report.Coverage
}
