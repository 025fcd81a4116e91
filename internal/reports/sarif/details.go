package sarif

import (
	"encoding/json"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// pendingDetails are those of a result whose files are not known yet.
type pendingDetails struct {
	details.Details
	files []location // in the order of Details.EachFile
}

// hasDetails tells whether a result says more than a finding holds.
func (r *Result) hasDetails() bool {
	return len(r.CodeFlows)+len(r.RelatedLocations)+len(r.Fixes) > 0 || len(r.Locations) > 1 || r.Message.Markdown != "" ||
		r.Properties.Value.Own.Value != nil
}

// detailReader reads the details of one result. It stops where no more would be kept: a result may be as long as the report.
type detailReader struct {
	into    pendingDetails
	limits  collect.Limits
	steps   int
	changed int // parts that fixes replace
	size    int // bytes, about
}

// each visits the elements of a list that can be decoded, and counts others, and those that are too many.
func each[T any](d *detailReader, list []byte, most int, visit func(*T)) {
	if len(list) == 0 || string(list) == "null" {
		return
	}
	if list[0] != '[' {
		d.into.Omitted++
		return
	}
	n := 0
	for element := range jsonscan.Elements(list) {
		if n++; n > most {
			d.into.Omitted++
			if n > most+maxSkipped {
				return
			}
			continue
		}
		var value T
		if jsonscan.Unmarshal(element, &value) != nil {
			d.into.Omitted++
			continue
		}
		visit(&value)
	}
}

func (d *detailReader) clean(text string, limit int) string {
	text = storable(text, limit)
	d.size += len(text)
	return text
}

// storable is a text as details keep it.
func storable(text string, limit int) string {
	return details.Clip(core.Printable(strings.TrimSpace(text)), limit)
}

func (d *detailReader) note(m *Message) string {
	return d.clean(plainText(m.anyText(), m.Arguments, details.MaxText), details.MaxNote)
}

// spot reads a location, and keeps how it names its file until names can be resolved.
func (d *detailReader) spot(l *Location) (p details.Place) {
	p.Message = d.note(&l.Message.Value)
	if id := toIndex(l.ID.Value); id >= 0 {
		p.ID = new(int(id))
	}
	at := location{artifact: -1}
	if place := l.PhysicalLocation; place != nil {
		at = place.ArtifactLocation.at()
		p.Line = collect.Line(place.Region.StartLine)
		p.EndLine = collect.EndLine(p.Line, collect.Line(place.Region.EndLine))
		code, _ := place.code()
		p.Code = d.clean(code, details.MaxNote)
	}
	d.into.files = append(d.into.files, at)
	d.size += len(at.uri) + detailCost
	return p
}

const detailCost = 100 // bytes of a place besides its texts

// readPlaces reads all locations but the one that the finding has.
func (d *detailReader) readPlaces(all []Location) {
	first := true
	for i := range all[:min(len(all), details.MaxPlaces+1)] {
		switch {
		case all[i].PhysicalLocation == nil:
		case first:
			first = false
		default:
			d.into.Places = append(d.into.Places, d.spot(&all[i]))
		}
	}
	d.into.Omitted += max(len(all)-details.MaxPlaces-1, 0)
}

func (d *detailReader) readRelated(list []byte) {
	each(d, list, details.MaxPlaces, func(l *Location) { d.into.Related = append(d.into.Related, d.spot(l)) })
}

// readFlows reads each thread of each flow as a flow of its own. There is rarely more than one.
func (d *detailReader) readFlows(list []byte) {
	each(d, list, details.MaxFlows, func(flow *CodeFlow) {
		message := flow.Message
		each(d, flow.ThreadFlows, details.MaxFlows, func(thread *ThreadFlow) {
			if thread.Message.anyText() != "" {
				message = thread.Message
			}
			one := details.Flow{Message: d.note(&message)}
			each(d, thread.Locations, details.MaxSteps-d.steps, func(l *ThreadFlowLocation) {
				step := d.spot(&l.Location)
				step.Level = collect.Line(l.NestingLevel)
				one.Steps = append(one.Steps, step)
				d.steps++
			})
			if len(one.Steps) > 0 {
				d.into.Flows = append(d.into.Flows, one)
			}
		})
	})
}

func (d *detailReader) readFixes(list []byte) {
	each(d, list, details.MaxFixes, func(wire *Fix) {
		fix := details.Fix{Message: d.note(&wire.Description)}
		whole := d.into.Omitted
		each(d, wire.ArtifactChanges, details.MaxChanges, func(file *ArtifactChange) {
			each(d, file.Replacements, details.MaxChanges-d.changed, func(r *Replacement) {
				if change, ok := d.change(r); ok {
					fix.Changes = append(fix.Changes, change)
					d.into.files = append(d.into.files, file.ArtifactLocation.at())
					d.changed++
				} else {
					d.into.Omitted++
				}
			})
		})
		d.addFix(fix, d.into.Omitted == whole)
	})
}

// addFix keeps a fix that is whole: a part of one does harm.
func (d *detailReader) addFix(fix details.Fix, whole bool) {
	if !whole || len(fix.Changes) == 0 {
		d.into.files = d.into.files[:len(d.into.files)-len(fix.Changes)]
		return
	}
	d.into.Fixes = append(d.into.Fixes, fix)
}

// change reads a replacement; not one whose place is counted in characters from the beginning of the file, or whose text would be cut, or
// is none.
func (d *detailReader) change(r *Replacement) (c details.Change, ok bool) {
	c = details.Change{
		Line: collect.Line(r.Deleted.StartLine), Column: collect.Line(r.Deleted.StartColumn), EndColumn: collect.Line(r.Deleted.EndColumn),
		Text: core.Printable(r.Inserted.Text),
	}
	c.EndLine = collect.EndLine(c.Line, collect.Line(r.Deleted.EndLine))
	d.size += len(c.Text) + detailCost
	return c, c.Line > 0 && len(c.Text) <= details.MaxText && len(r.Inserted.Binary) == 0
}

// readMessage keeps a message as Markdown, and one that has links to related places.
func (d *detailReader) readMessage(m *Message) {
	if m.Markdown != "" && m.Markdown != m.Text {
		d.into.Markdown = d.clean(withArguments(m.Markdown, m.Arguments, 2*details.MaxText), details.MaxText)
	}
	d.into.link(m.Text, m.Arguments)
	d.size += len(d.into.Text)
}

// link keeps a message that has links to related places.
func (p *pendingDetails) link(text string, arguments []string) {
	if p == nil || len(p.Related) == 0 {
		return
	}
	if text = withArguments(text, arguments, 2*details.MaxText); embeddedLink.MatchString(text) {
		p.Text = storable(text, details.MaxText)
	}
}

// readOwn reads what our own exports say.
func (d *detailReader) readOwn(own *OwnProperties) {
	for _, fix := range own.Fixes[:min(len(own.Fixes), details.MaxFixes)] {
		if fix = (details.Fix{Message: d.clean(fix.Message, details.MaxNote), Diff: core.Printable(fix.Diff)}); fix.Diff != "" {
			d.size += min(len(fix.Diff), details.MaxText)
			d.into.Fixes = append(d.into.Fixes, fix)
		}
	}
	for _, link := range own.Links[:min(len(own.Links), details.MaxPlaces)] {
		if url := collect.WebAddress(link.URL, d.limits.Name()); url != "" {
			d.into.Links = append(d.into.Links, details.Link{Title: d.clean(link.Title, d.limits.Name()), URL: url})
		}
	}
}

// CodeFlow is a way through the code (3.36).
type CodeFlow struct {
	Message     Message         `json:"message"`
	ThreadFlows json.RawMessage `json:"threadFlows"`
}

// ThreadFlow is the part of a way that one thread takes (3.37).
type ThreadFlow struct {
	Message   Message         `json:"message"`
	Locations json.RawMessage `json:"locations"`
}

// ThreadFlowLocation is a step of it (3.38).
type ThreadFlowLocation struct {
	Location     Location `json:"location"`
	NestingLevel float64  `json:"nestingLevel"`
}

// Fix is a change of files that ends the result (3.55).
type Fix struct {
	Description     Message         `json:"description"`
	ArtifactChanges json.RawMessage `json:"artifactChanges"`
}

// ArtifactChange is what a fix changes in one file (3.56).
type ArtifactChange struct {
	ArtifactLocation ArtifactLocation `json:"artifactLocation"`
	Replacements     json.RawMessage  `json:"replacements"`
}

// Replacement is a part of a file and what stands there instead (3.57).
type Replacement struct {
	Deleted struct {
		StartLine   float64 `json:"startLine"`
		StartColumn float64 `json:"startColumn"`
		EndLine     float64 `json:"endLine"`
		EndColumn   float64 `json:"endColumn"`
	} `json:"deletedRegion"`
	Inserted struct {
		Text   string          `json:"text"`
		Binary json.RawMessage `json:"binary"`
	} `json:"insertedContent"`
}
