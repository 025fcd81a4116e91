package core

import "strings"

const (
	packedChunk = 64 << 10 // bytes of texts that are allocated at once
	packedRows  = 1 << 12  // records that are allocated at once
)

// Packed are what reports say of many findings, in a form that takes little more memory than their texts and that the
// garbage collector need not look into. What the database and Compare know of findings is not kept.
type Packed struct {
	records [][]record
	length  int
	texts   []string // whole chunks, and last the one being filled
	filling strings.Builder
	names   []string // texts that many findings have in common, once each
	byName  map[string]uint32
}

// record is a finding: numbers of names, and lengths of the texts that lie side by side from start on.
type record struct {
	tool, rule, severity, file, title, cve, cwe, help uint32
	line, endLine                                     int32
	chunk, start, message, snippet, print, suppressed uint32
	isSuppressed                                      bool
	surroundings                                      Surroundings
}

// Len is how many findings there are.
func (p *Packed) Len() int {
	if p == nil {
		return 0
	}
	return p.length
}

// Add appends a finding.
func (p *Packed) Add(f *Finding) {
	if p.length%packedRows == 0 {
		p.records = append(p.records, []record(nil))
	}
	var r record
	if p.length > 0 {
		r = *p.at(p.length - 1) // often of the same rule, in the same file
	}
	p.name(&r, f)
	p.write(&r, f)
	last := &p.records[len(p.records)-1]
	*last = append(*last, r)
	p.length++
}

func (p *Packed) at(i int) *record { return &p.records[i/packedRows][i%packedRows] }

// Get writes the i-th finding, from 0, into f, whose texts are shared.
func (p *Packed) Get(i int, f *Finding) {
	r := p.at(i)
	*f = Finding{
		Tool: p.names[r.tool], RuleID: p.names[r.rule], Severity: Severity(p.names[r.severity]), File: p.names[r.file],
		Title: p.names[r.title], CVEID: p.names[r.cve], CWE: p.names[r.cwe], HelpURI: p.names[r.help],
		Line: int(r.line), EndLine: int(r.endLine), Surroundings: r.surroundings,
	}
	rest := p.chunk(r.chunk)[r.start:]
	cut := func(length uint32) (text string) {
		text, rest = rest[:length], rest[length:]
		return text
	}
	f.Message, f.Snippet, f.PartialFingerprint = cut(r.message), cut(r.snippet), cut(r.print)
	if r.isSuppressed {
		reason := cut(r.suppressed)
		f.Suppressed = &reason
	}
}

// Put replaces the i-th finding.
func (p *Packed) Put(i int, f *Finding) {
	var before Finding
	p.Get(i, &before)
	r := p.at(i)
	p.name(r, f)
	sameReason := before.Suppressed == nil && f.Suppressed == nil ||
		before.Suppressed != nil && f.Suppressed != nil && *before.Suppressed == *f.Suppressed
	if before.Message != f.Message || before.Snippet != f.Snippet || before.PartialFingerprint != f.PartialFingerprint ||
		!sameReason {
		p.write(r, f)
	}
}

// name keeps of a finding what it has in common with others, and its numbers.
func (p *Packed) name(r *record, f *Finding) {
	r.tool, r.rule, r.severity = p.number(f.Tool, r.tool), p.number(f.RuleID, r.rule), p.number(string(f.Severity), r.severity)
	r.file, r.title = p.number(f.File, r.file), p.number(f.Title, r.title)
	r.cve, r.cwe, r.help = p.number(f.CVEID, r.cve), p.number(f.CWE, r.cwe), p.number(f.HelpURI, r.help)
	r.line, r.endLine, r.surroundings = int32(f.Line), int32(f.EndLine), f.Surroundings
}

// number is that of a name, which may be the guess.
func (p *Packed) number(name string, guess uint32) uint32 {
	if int(guess) < len(p.names) && p.names[guess] == name {
		return guess
	}
	number, known := p.byName[name]
	if !known {
		if p.byName == nil {
			p.byName = make(map[string]uint32)
		}
		number = uint32(len(p.names))
		name = strings.Clone(name)
		p.names, p.byName[name] = append(p.names, name), number
	}
	return number
}

// write keeps the texts that a finding has for itself.
func (p *Packed) write(r *record, f *Finding) {
	reason := ""
	if r.isSuppressed = f.Suppressed != nil; r.isSuppressed {
		reason = *f.Suppressed
	}
	size := len(f.Message) + len(f.Snippet) + len(f.PartialFingerprint) + len(reason)
	if p.filling.Len()+size > p.filling.Cap() {
		if p.filling.Len() > 0 {
			p.texts = append(p.texts, p.filling.String())
		}
		p.filling = strings.Builder{}
		p.filling.Grow(max(packedChunk, size))
	}
	r.chunk, r.start = uint32(len(p.texts)), uint32(p.filling.Len())
	r.message, r.snippet, r.print = uint32(len(f.Message)), uint32(len(f.Snippet)), uint32(len(f.PartialFingerprint))
	r.suppressed = uint32(len(reason))
	for _, text := range [...]string{f.Message, f.Snippet, f.PartialFingerprint, reason} {
		p.filling.WriteString(text)
	}
}

func (p *Packed) chunk(n uint32) string {
	if int(n) == len(p.texts) {
		return p.filling.String()
	}
	return p.texts[n]
}
