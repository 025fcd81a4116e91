// Package details is what reports say of a finding besides where it is: the path of data through the code, related places, fixes,
// links, and what a rule is about. Pages show it; no verdict depends on it. It is kept in one packed text for each finding, beside
// the findings, so that those stay small.
package details

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/scanhook/scanhook/core"
)

// The most of each that is kept.
const (
	MaxPlaces  = 50  // further places, related ones, and links, of each
	MaxFlows   = 8   // paths through the code
	MaxSteps   = 200 // of all paths together
	MaxFixes   = 5
	MaxChanges = 50 // of all fixes together

	MaxNote = 1 << 10  // bytes of what is said of a place, and of its code
	MaxText = 8 << 10  // bytes of a message, of a diff and of what a fix inserts
	MaxHelp = 16 << 10 // bytes of what is said of a rule
	maxName = 2 << 10  // bytes of a path or an address
	maxAll  = 48 << 10 // bytes of the texts of one finding
	perItem = 32       // bytes that each item counts besides its texts
)

// Details are what a report says of one finding.
type Details struct {
	Text     string  `json:"text,omitempty" doc:"the message with links to related places by their ids: [user input](1)"`
	Markdown string  `json:"markdown,omitempty" doc:"the message as Markdown, as the report has it"`
	Fixes    []Fix   `json:"fixes,omitempty" doc:"each would end the finding"`
	Links    []Link  `json:"links,omitempty"`
	Places   []Place `json:"places,omitempty" doc:"where the finding is too"`
	Related  []Place `json:"related,omitempty"`
	Flows    []Flow  `json:"flows,omitempty" doc:"ways through the code, from where data comes to where it does harm"`
	Omitted  int     `json:"omitted,omitempty" doc:"how many items were left out, because there were too many"`
}

// Place is a place in the code, and what is said of it.
type Place struct {
	ID      *int   `json:"id,omitempty" doc:"by which text and markdown link to it"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty" doc:"1-based; none where unknown"`
	EndLine int    `json:"end_line,omitempty"`
	Message string `json:"message,omitempty"`
	Code    string `json:"code,omitempty" doc:"secrets are masked"`
	Level   int    `json:"level,omitempty" doc:"of a step: how deep it is in calls"`
}

// Flow is a way through the code.
type Flow struct {
	Message string  `json:"message,omitempty"`
	Steps   []Place `json:"steps"`
}

// Fix is a change of the code that would end the finding: as a diff, or as parts of files with other texts.
type Fix struct {
	Message string   `json:"message,omitempty"`
	Diff    string   `json:"diff,omitempty" doc:"unified"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is a part of a file that a fix replaces.
type Change struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	EndLine   int    `json:"end_line,omitempty"`
	Column    int    `json:"column,omitempty" doc:"1-based, of the first character; none for whole lines"`
	EndColumn int    `json:"end_column,omitempty" doc:"of the character behind the last one"`
	Text      string `json:"text" doc:"that is inserted; secrets are masked"`
}

// Link is a page about the finding.
type Link struct {
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

// Help is what a rule is about. One of both is enough.
type Help struct {
	Text     string `json:"text,omitempty"`
	Markdown string `json:"markdown,omitempty"`
}

// IsZero tells whether nothing is said.
func (h Help) IsZero() bool { return h == Help{} }

// IsZero tells whether nothing is said.
func (d *Details) IsZero() bool {
	return d.Text == "" && d.Markdown == "" && len(d.Fixes)+len(d.Links)+len(d.Places)+len(d.Related)+len(d.Flows) == 0
}

// EachPlace visits all places, in the same order each time.
func (d *Details) EachPlace(visit func(*Place)) {
	lists := [][]Place{d.Places, d.Related}
	for i := range d.Flows {
		lists = append(lists, d.Flows[i].Steps)
	}
	for _, list := range lists {
		for i := range list {
			visit(&list[i])
		}
	}
}

// EachChange visits what fixes change, in the same order each time.
func (d *Details) EachChange(visit func(*Change)) {
	for i := range d.Fixes {
		for j := range d.Fixes[i].Changes {
			visit(&d.Fixes[i].Changes[j])
		}
	}
}

// EachFile visits the names of all files. Empty ones are not known.
func (d *Details) EachFile(visit func(file *string)) {
	d.EachPlace(func(p *Place) { visit(&p.File) })
	d.EachChange(func(c *Change) { visit(&c.File) })
}

// EachText visits all texts that can hold code.
func (d *Details) EachText(visit func(text *string)) {
	visit(&d.Text)
	visit(&d.Markdown)
	d.EachPlace(func(p *Place) {
		visit(&p.Message)
		visit(&p.Code)
	})
	for i := range d.Fixes {
		visit(&d.Fixes[i].Message)
		visit(&d.Fixes[i].Diff)
	}
	d.EachChange(func(c *Change) { visit(&c.Text) })
	for i := range d.Flows {
		visit(&d.Flows[i].Message)
	}
	for i := range d.Links {
		visit(&d.Links[i].Title)
		visit(&d.Links[i].URL)
	}
}

// WithoutCode leaves only where places are, and links: for findings whose code is a secret.
func (d *Details) WithoutCode() {
	d.Text, d.Markdown, d.Fixes = "", "", nil
	d.EachPlace(func(p *Place) { p.Message, p.Code = "", "" })
	for i := range d.Flows {
		d.Flows[i].Message = ""
	}
}

// Pack makes one text of the details; empty where nothing is said. What is too much is left out, and counted.
func Pack(d Details) string {
	bound(&d)
	if d.IsZero() {
		return ""
	}
	return pack(d)
}

// PackHelp is Pack for what a rule is about.
func PackHelp(h Help) string {
	if h.IsZero() {
		return ""
	}
	return pack(h)
}

func pack(value any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // never fails: these are texts and numbers
	return strings.TrimSuffix(out.String(), "\n")
}

// Unpack is the reverse of Pack, also of what was compressed.
func Unpack(packed string) (d Details, err error) {
	err = unpack(packed, &d)
	d.Flows = slices.DeleteFunc(d.Flows, Flow.isEmpty) // which earlier versions have packed
	return d, err
}

func (f Flow) isEmpty() bool { return len(f.Steps) == 0 }

// UnpackHelp is the reverse of PackHelp, also of what was compressed.
func UnpackHelp(packed string) (h Help, err error) {
	err = unpack(packed, &h)
	return h, err
}

func unpack(packed string, into any) error {
	if packed == "" {
		return nil
	}
	text := []byte(packed)
	if packed[0] == compressed {
		var err error
		if text, err = io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(packed[1:])), maxUnpacked)); err != nil {
			return fmt.Errorf("unpacking details: %w", err)
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("unpacking details: %w", err)
	}
	return nil
}

const (
	compressed  = 1       // the first byte of a compressed text; others begin with a brace
	minGain     = 200     // bytes of a text that compression makes shorter
	maxUnpacked = 4 << 20 // bytes; no more is ever packed
)

var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // which is a level that there is
	return w
}}

// Compress makes a packed text shorter, to be stored.
func Compress(packed string) []byte {
	if len(packed) < minGain || packed[0] == compressed {
		return []byte(packed)
	}
	out := bytes.NewBuffer(make([]byte, 0, len(packed)/2))
	out.WriteByte(compressed)
	w, _ := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(out)
	_, _ = io.WriteString(w, packed) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// Rename gives files in packed details other names.
func Rename(packed string, as func(name string) string) string {
	return Edit(packed, func(d *Details) {
		d.EachFile(func(file *string) { *file = as(*file) })
	})
}

// Edit changes packed details.
func Edit(packed string, change func(*Details)) string {
	if packed == "" {
		return ""
	}
	d, err := Unpack(packed)
	if err != nil { // none of ours
		return ""
	}
	change(&d)
	return Pack(d)
}

// bounds is what the details of one finding may still take.
type bounds struct {
	room    int // bytes
	omitted int
}

// bound cuts what is too long, and leaves out what is too much.
func bound(d *Details) {
	b := bounds{room: maxAll, omitted: d.Omitted}
	clip(&d.Text, MaxText)
	clip(&d.Markdown, MaxText)
	b.room -= len(d.Text) + len(d.Markdown)
	d.Fixes = fit(&b, d.Fixes, MaxFixes, b.boundFix)
	d.Links = fit(&b, d.Links, MaxPlaces, func(l *Link) int {
		clip(&l.Title, maxName)
		return len(l.Title) + len(l.URL)
	})
	d.Places = fit(&b, d.Places, MaxPlaces, (*Place).bound)
	d.Related = fit(&b, d.Related, MaxPlaces, (*Place).bound)
	steps := MaxSteps
	d.Flows = fit(&b, d.Flows, MaxFlows, func(f *Flow) int {
		clip(&f.Message, MaxNote)
		f.Steps = fit(&b, f.Steps, steps, (*Place).bound)
		steps -= len(f.Steps)
		return len(f.Message)
	})
	d.Flows = slices.DeleteFunc(d.Flows, Flow.isEmpty)
	d.Omitted = b.omitted
}

// fit shortens a list to what there is room for.
func fit[T any](b *bounds, list []T, most int, size func(*T) int) []T {
	for i := range list {
		need := b.room + 1
		if i < most {
			need = size(&list[i]) + perItem
		}
		if need > b.room {
			b.omitted += len(list) - i
			return list[:i]
		}
		b.room -= need
	}
	return list
}

func (p *Place) bound() int {
	p.File = core.Clip(p.File, maxName)
	clip(&p.Message, MaxNote)
	clip(&p.Code, MaxNote)
	return len(p.File) + len(p.Message) + len(p.Code)
}

// boundFix leaves out a fix that is too long: a part of one is none.
func (b *bounds) boundFix(f *Fix) int {
	clip(&f.Message, MaxNote)
	size := len(f.Message) + len(f.Diff)
	for _, c := range f.Changes {
		size += len(c.File) + len(c.Text) + perItem
	}
	if len(f.Diff) > MaxText || len(f.Changes) > MaxChanges {
		return maxAll + 1
	}
	return size
}

// Clip cuts a text to at most limit bytes, before the word that would be cut: a part of a secret is not known for one. It keeps nothing
// of a longer text in memory.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	whole := strings.TrimSuffix(core.Clip(text, limit), mark)
	return whole[:strings.LastIndexAny(whole, " \t\r\n\"'`")+1] + mark
}

func clip(text *string, limit int) { *text = Clip(*text, limit) }
