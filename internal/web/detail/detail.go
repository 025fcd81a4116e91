// Package detail gets what a report says of a finding besides its place and message ready for pages: the way through the code, related
// places, fixes, links, and what the rule is about. All of it comes from strangers: Markdown becomes a small part of HTML, and nothing is
// loaded from elsewhere.
package detail

import (
	"fmt"
	"html/template"
	"regexp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/patch"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/web/text"
)

const (
	maxLine      = 400 // characters
	maxCodeLines = 30  // of a place
	maxAllLines  = 600 // of all places of a finding
	maxDiffLines = 400 // of a fix

	cut = "… (cut)" // instead of the lines that are too many
)

// View are the details of one finding as its card shows them.
type View struct {
	ID      int64         // of the finding
	Message template.HTML // instead of the finding's; empty where that says the same
	Flows   []Flow
	Places  []Place
	Related []Place
	Fixes   []Fix
	Links   []details.Link
	Omitted int
	Help    template.HTML // what the rule is about; empty without, and where another card shows it
	HelpAt  int64         // the finding of the page whose card does; 0 where none does, or this one
}

// Place is a place, and where it is on the platform.
type Place struct {
	details.Place
	Link      string // or empty
	CodeLines []Line
}

// Flow is a way through the code.
type Flow struct {
	Number  int // from 1
	Message string
	Steps   []Place
}

// Ends says how long the way is, and where it leads from and to.
func (f Flow) Ends() string {
	if len(f.Steps) == 0 {
		return core.Plural(0, "step")
	}
	steps, from, to := core.Plural(len(f.Steps), "step"), f.Steps[0].File, f.Steps[len(f.Steps)-1].File
	if from == "" || to == "" || from == to {
		return steps
	}
	return fmt.Sprintf("%s, from %s to %s", steps, text.Short(from, text.MaxName), text.Short(to, text.MaxName))
}

// Fix is a change that would end the finding, file by file.
type Fix struct {
	Message string
	Parts   []Part
}

// Part is what a fix changes in one place.
type Part struct {
	Place Place // no file for a diff, which names its files itself
	Lines []Line
}

// Line is a line of code as pages show it.
type Line struct {
	Number int    // 0 where unknown
	Text   string // visible and cut
	Kind   string // mark, add, del, hunk or empty: the style
}

// Linker leads to lines of a file in the commit of a finding; empty where there is no address.
type Linker func(file string, line, end int) string

// New is the view of a finding's details; nil where a report says nothing besides. What the rule is about stands with the finding helpAt,
// and is rendered there only; 0 is this one.
func New(f core.Finding, d details.Details, help details.Help, helpAt int64, link Linker) *View {
	if d.IsZero() && help.IsZero() {
		return nil
	}
	v, places := &View{ID: f.ID, Omitted: d.Omitted}, placer{link, maxAllLines}
	v.addHelp(help, helpAt)
	v.Places, v.Related = places.list(d.Places), places.list(d.Related)
	related := relatedTo(v.Related)
	switch {
	case d.Markdown != "":
		v.Message = Markdown(d.Markdown, related)
	case d.Text != "":
		v.Message = linked(d.Text, related)
	}
	for i, flow := range d.Flows {
		v.Flows = append(v.Flows, Flow{i + 1, flow.Message, places.list(flow.Steps)})
	}
	for _, fix := range d.Fixes {
		v.Fixes = append(v.Fixes, fixOf(f, fix, link))
	}
	for _, l := range d.Links {
		if url := text.WebLink(l.URL); url != "" {
			v.Links = append(v.Links, details.Link{Title: l.Title, URL: url})
		}
	}
	return v
}

func (v *View) addHelp(help details.Help, at int64) {
	switch {
	case help.IsZero():
	case at != 0:
		v.HelpAt = at
	case help.Markdown != "":
		v.Help = Markdown(help.Markdown, nil)
	default:
		v.Help = paragraphs(help.Text)
	}
}

// placer gets the places of a finding ready for its card.
type placer struct {
	link Linker
	room int // lines of code that the card still takes
}

func (p *placer) list(places []details.Place) (list []Place) {
	for _, place := range places {
		shown := Place{Place: place, Link: p.link(place.File, place.Line, place.EndLine), CodeLines: linesAt(place, min(p.room, maxCodeLines))}
		p.room -= len(shown.CodeLines)
		list = append(list, shown)
	}
	return list
}

// relatedTo finds the addresses of related places by their ids.
func relatedTo(places []Place) map[int]string {
	links := make(map[int]string)
	for _, p := range places {
		if p.ID != nil && p.Link != "" {
			links[*p.ID] = p.Link
		}
	}
	return links
}

// linesAt are the first lines of a place's code.
func linesAt(p details.Place, most int) (lines []Line) {
	if most <= 0 || strings.TrimSpace(p.Code) == "" {
		return nil
	}
	for source := range strings.SplitSeq(strings.Trim(p.Code, "\r\n"), "\n") {
		if len(lines) == most {
			return append(lines, Line{Text: cut})
		}
		line := Line{Text: text.Short(source, maxLine)}
		if p.Line > 0 {
			line.Number = p.Line + len(lines)
		}
		lines = append(lines, line)
	}
	return lines
}

// fixOf shows a fix as a diff, as far as the lines that it changes are known.
func fixOf(f core.Finding, fix details.Fix, link Linker) Fix {
	shown, code, room := Fix{Message: fix.Message}, codeOf(f), maxDiffLines
	if fix.Diff != "" {
		shown.Parts = append(shown.Parts, Part{Lines: linesOf(fix.Diff, &room, func(line string) Line { return Line{Text: line, Kind: patch.LineKind(line)} })})
	}
	for _, c := range fix.Changes {
		part := Part{Place: Place{
			Place: details.Place{File: c.File, Line: c.Line, EndLine: c.EndLine}, Link: link(c.File, c.Line, c.EndLine),
		}}
		before, known := code.between(c.File, c.Line, c.EndLine)
		after := c.Text
		if known {
			after, known = replaced(before, c)
		}
		if known {
			part.Lines = linesOf(strings.Join(before, "\n"), &room, func(line string) Line { return Line{Text: "-" + line, Kind: "del"} })
		}
		part.Lines = append(part.Lines, linesOf(after, &room, func(line string) Line { return Line{Text: "+" + line, Kind: "add"} })...)
		shown.Parts = append(shown.Parts, part)
	}
	return shown
}

// linesOf are lines of a diff, as far as there is room.
func linesOf(code string, room *int, as func(line string) Line) (lines []Line) {
	for source := range strings.Lines(code) {
		if *room <= 0 {
			return append(lines, Line{Text: cut})
		}
		line := as(strings.TrimRight(source, "\r\n"))
		line.Text = text.Short(line.Text, maxLine)
		lines = append(lines, line)
		*room--
	}
	return lines
}

// code are lines of a file that are known.
type code struct {
	file  string
	first int
	lines []string
}

// codeOf is the code around a finding, or that of its lines alone.
func codeOf(f core.Finding) code {
	if f.Code != "" && f.CodeLine > 0 {
		return code{f.File, f.CodeLine, strings.Split(f.Code, "\n")}
	}
	lines := strings.Split(strings.Trim(f.Snippet, "\r\n"), "\n")
	if f.Line == 0 || len(lines) != max(f.EndLine, f.Line)-f.Line+1 {
		return code{}
	}
	return code{f.File, f.Line, lines}
}

// between are the lines from one to another; not known where a secret in them is masked.
func (c code) between(file string, from, to int) (lines []string, known bool) {
	to = max(from, to)
	if file != c.file || c.first == 0 || from < c.first || to >= c.first+len(c.lines) {
		return nil, false
	}
	lines = c.lines[from-c.first : to-c.first+1]
	return lines, secrets.MaskIn(strings.Join(lines, "\n")) == ""
}

// replaced are the lines after a change, or its text alone where they are shorter than it says.
func replaced(before []string, c details.Change) (after string, ok bool) {
	first, last := []rune(before[0]), []rune(before[len(before)-1])
	start, end := max(c.Column, 1)-1, len(last)
	if c.EndColumn > 0 {
		end = c.EndColumn - 1
	}
	if start > len(first) || end > len(last) || len(before) == 1 && end < start {
		return c.Text, false
	}
	return string(first[:start]) + c.Text + string(last[end:]), true
}

// embedded is SARIF's link in a plain text: [words](1) or [words](https://…).
var embedded = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()\s]+)\)`)

// linked is a plain text with its embedded links.
func linked(plain string, related map[int]string) template.HTML {
	var out strings.Builder
	rest := 0
	for _, at := range embedded.FindAllStringSubmatchIndex(plain, -1) {
		out.WriteString(template.HTMLEscapeString(text.Visible(plain[rest:at[0]])))
		words, address := template.HTMLEscapeString(text.Visible(plain[at[2]:at[3]])), plain[at[4]:at[5]]
		if id, err := strconv.Atoi(address); err == nil {
			address = related[id]
		}
		if address = text.WebLink(address); address != "" {
			words = `<a href="` + template.HTMLEscapeString(address) + `" rel="noopener noreferrer nofollow">` + words + `</a>`
		}
		out.WriteString(words)
		rest = at[1]
	}
	out.WriteString(template.HTMLEscapeString(text.Visible(plain[rest:])))
	return asParagraphs(out.String())
}
