package core

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/scanhook/scanhook/core/intern"
)

// Report is what one scanner says about one commit.
type Report struct {
	Findings []Finding
	Packed   *Packed // further findings, of a large report
	Results  int     // results as the scanner counts them, including those that are left out
	Skipped  int     // results that are left out: fixed already (absent), or no problem (pass, notApplicable, informational…)
	Failure  string  // why the scanner failed, as it says, or empty; its findings are stored all the same
	Category string  // the part of the commit that it is about, where the scanner has several reports; empty for all
	By       string  // name of the token that uploaded it; empty for scanners that run here
	Bringer  Bringer // what kind of caller that is
	Digest   string  // SHA-256 of the uploaded document, in hexadecimal; empty without one

	Changes  *Changes          // since the commit of the baseline; nil where unknown
	Moved    map[string]string // files that the scanner names in another way than the repository, and as they are named there
	Coverage *Coverage         // nil where the scanner does not tell

	Help map[RuleName]string // what rules with findings are about, as package details packs it

	// Files are those that the scanner looked at, where it looked at what has changed since the baseline only: what that has in others
	// stays. nil for all.
	Files map[string]bool
}

// Bringer is the kind of caller that brings reports.
type Bringer string

// The kinds.
const (
	ByToken Bringer = "token"  // of the configuration
	ByCIJob Bringer = "CI job" // with the token that its platform gave it
)

// RuleName names a rule of a tool.
type RuleName struct{ Tool, Rule string }

// Len is how many findings the report has.
func (r Report) Len() int { return len(r.Findings) + r.Packed.Len() }

// At is the i-th finding, from 0: one of Findings itself, or a packed one as it is written into scratch.
func (r Report) At(i int, scratch *Finding) *Finding {
	if i < len(r.Findings) {
		return &r.Findings[i]
	}
	r.Packed.Get(i-len(r.Findings), scratch)
	return scratch
}

// Each visits the findings, and keeps those that visit has changed.
func (r *Report) Each(visit func(*Finding) (changed bool)) {
	for i := range r.Findings {
		visit(&r.Findings[i])
	}
	var f Finding
	for i := range r.Packed.Len() {
		r.Packed.Get(i, &f)
		if visit(&f) {
			r.Packed.Put(i, &f)
		}
	}
}

// All are the findings of the report, nil where there are more than so many.
func (r Report) All(most int) []Finding {
	switch {
	case r.Packed.Len() == 0:
		return r.Findings
	case r.Len() > most:
		return nil
	}
	all := slices.Grow(slices.Clone(r.Findings), r.Packed.Len())
	for i := range r.Packed.Len() {
		var f Finding
		r.Packed.Get(i, &f)
		all = append(all, f)
	}
	return all
}

// EachDetailed visits the findings with details, in any order.
func (r Report) EachDetailed(visit func(i int, details string)) {
	for i := range r.Findings {
		if r.Findings[i].Details != "" {
			visit(i, r.Findings[i].Details)
		}
	}
	if r.Packed != nil {
		r.Packed.details.Each(func(i int, details string) { visit(len(r.Findings)+i, details) })
	}
}

// Outside tells which files the scanner did not look at. What the baseline has in them stays; nil for none.
func (r Report) Outside() func(file string) bool {
	if r.Files == nil {
		return r.Coverage.Outside()
	}
	return func(file string) bool { return file != "" && !r.Files[file] }
}

const (
	packedChunk = 64 << 10 // bytes of texts that are allocated at once
	packedRows  = 1 << 12  // records that are allocated at once
)

// Packed holds many findings of a report in little more memory than their texts need, without pointers that the garbage
// collector would have to follow. It holds only what reports state, not what the database or core/match add.
type Packed struct {
	records [][]record
	length  int
	texts   []string // complete chunks
	filling strings.Builder
	names   intern.Texts // that many findings share
	details intern.Rare
}

// record is a finding: indexes of names, and lengths of its texts, which lie side by side in a chunk from start on.
type record struct {
	tool, rule, severity, file, title, cve, cwe, help uint32
	commit, about                                     uint32
	line, endLine                                     int32
	chunk, start, message, snippet, print, suppressed uint32
	hash                                              uint8
	former                                            uint32
	isSuppressed, absolute                            bool
	surroundings                                      Surroundings
	shape                                             uint32
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
		r = *p.at(p.length - 1) // often of the same rule and in the same file
	}
	p.name(&r, f)
	p.write(&r, f)
	last := &p.records[len(p.records)-1]
	*last = append(*last, r)
	p.details.Set(p.length, f.Details)
	p.length++
}

func (p *Packed) at(i int) *record { return &p.records[i/packedRows][i%packedRows] }

// Get writes the i-th finding, from 0, into f. The texts are shared, not copied.
func (p *Packed) Get(i int, f *Finding) {
	r, name := p.at(i), p.names.Numbered
	*f = Finding{
		Tool: name(r.tool), RuleID: name(r.rule), Severity: Severity(name(r.severity)), File: name(r.file),
		Title: name(r.title), CVEID: name(r.cve), CWE: name(r.cwe), HelpURI: name(r.help),
		Line: int(r.line), EndLine: int(r.endLine), Surroundings: r.surroundings, Shape: r.shape, Commit: name(r.commit),
		About: aboutOf(name(r.about), r.absolute), Details: p.details.Get(i),
	}
	rest := p.chunk(r.chunk)[r.start:]
	cut := func(length uint32) (text string) {
		text, rest = rest[:length], rest[length:]
		return text
	}
	f.Message, f.Snippet, f.PartialFingerprint = cut(r.message), cut(r.snippet), cut(r.print)
	f.SecretHash, f.Former = cut(uint32(r.hash)), cut(r.former)
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
	p.details.Set(i, f.Details)
	sameReason := before.Suppressed == nil && f.Suppressed == nil ||
		before.Suppressed != nil && f.Suppressed != nil && *before.Suppressed == *f.Suppressed
	if before.Message != f.Message || before.Snippet != f.Snippet || before.PartialFingerprint != f.PartialFingerprint ||
		before.SecretHash != f.SecretHash || before.Former != f.Former || !sameReason {
		p.write(r, f)
	}
}

// name stores the texts that the finding shares with others, and its numbers.
func (p *Packed) name(r *record, f *Finding) {
	r.tool, r.rule, r.severity = p.number(f.Tool, r.tool), p.number(f.RuleID, r.rule), p.number(string(f.Severity), r.severity)
	r.file, r.title = p.number(f.File, r.file), p.number(f.Title, r.title)
	r.cve, r.cwe, r.help = p.number(f.CVEID, r.cve), p.number(f.CWE, r.cwe), p.number(f.HelpURI, r.help)
	r.commit, r.about, r.absolute = p.number(f.Commit, r.commit), p.number(f.About.text(), r.about), f.About.Absolute
	r.line, r.endLine, r.surroundings, r.shape = int32(f.Line), int32(f.EndLine), f.Surroundings, f.Shape
}

// number is the number of a name. It tries the guess first.
func (p *Packed) number(name string, guess uint32) uint32 {
	if p.names.Numbered(guess) == name && p.length > 0 {
		return guess
	}
	return p.names.Number(name)
}

// write stores the texts that belong to the finding alone.
func (p *Packed) write(r *record, f *Finding) {
	reason := ""
	if r.isSuppressed = f.Suppressed != nil; r.isSuppressed {
		reason = *f.Suppressed
	}
	texts := [...]string{f.Message, f.Snippet, f.PartialFingerprint, f.SecretHash, f.Former, reason}
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if p.filling.Len()+size > p.filling.Cap() {
		if p.filling.Len() > 0 {
			p.texts = append(p.texts, p.filling.String())
		}
		p.filling = strings.Builder{}
		p.filling.Grow(max(packedChunk, size))
	}
	r.chunk, r.start = uint32(len(p.texts)), uint32(p.filling.Len())
	r.message, r.snippet, r.print = uint32(len(f.Message)), uint32(len(f.Snippet)), uint32(len(f.PartialFingerprint))
	r.hash, r.former, r.suppressed = uint8(len(f.SecretHash)), uint32(len(f.Former)), uint32(len(reason))
	for _, text := range texts {
		p.filling.WriteString(text)
	}
}

func (p *Packed) chunk(n uint32) string {
	if int(n) == len(p.texts) {
		return p.filling.String()
	}
	return p.texts[n]
}

// LeftOut is why a scanner did not search something.
type LeftOut string

// The reasons.
const (
	LeftSize      LeftOut = "size"       // larger than is searched
	LeftBinary    LeftOut = "binary"     // a program or a document, not text
	LeftAllowed   LeftOut = "allow list" // the rules exempt the path: images, lock files, vendored packages
	LeftArchive   LeftOut = "archive"    // cannot be opened, or holds more than is searched
	LeftEncoding  LeftOut = "encoding"   // text in an encoding that is not read
	LeftPointer   LeftOut = "LFS"        // what Git LFS keeps elsewhere; only its pointer was searched
	LeftError     LeftOut = "error"      // the scanner failed on it
	LeftSkipped   LeftOut = "skipped"    // the scanner's own settings exempt it
	LeftOutside   LeftOut = "outside"    // the report does not say that it is about it
	LeftTime      LeftOut = "time"       // the time was up
	LeftHistory   LeftOut = "history"    // commits farther back than are searched
	LeftSubmodule LeftOut = "submodule"  // another repository
	LeftSecrets   LeftOut = "secrets"    // beyond more findings than anybody could look at
	LeftFork      LeftOut = "fork"       // the whole scanner: it does not look at code from forks
)

// MayHoldCode tells whether what was left out can be code of the project that was to be searched. The allow list is the
// administrator's word, and what a scanner skips that of whoever set it up; a binary is no code, and a submodule is scanned in its own
// project.
func (r LeftOut) MayHoldCode() bool {
	return r != LeftAllowed && r != LeftSkipped && r != LeftBinary && r != LeftSubmodule
}

// meanings complete "3 not searched: …".
var meanings = map[LeftOut]string{
	LeftSize: "larger than is searched", LeftBinary: "no text", LeftAllowed: "exempt by the rules",
	LeftArchive: "in archives that cannot be opened or hold too much", LeftEncoding: "in an encoding that is not read",
	LeftPointer: "kept by Git LFS, only their pointers were searched", LeftError: "the scanner failed on them",
	LeftTime: "the time was up", LeftHistory: "commits farther back than are searched", LeftSubmodule: "submodules, which are other repositories",
	LeftSecrets: "beyond more findings than are listed", LeftSkipped: "left out by the scanner's own settings",
	LeftOutside: "outside of what the report covers",
	LeftFork:    "scanners that do not run on code from forks",
}

// Meaning says what the reason means, for people.
func (r LeftOut) Meaning() string { return cmp.Or(meanings[r], string(r)) }

// Hidden is how many were left out that Names does not name.
func (o Omission) Hidden() int { return max(o.Count-len(o.Names), 0) }

// maxLeftNames is how many names of what was left out are kept for each reason.
const maxLeftNames = 20

// Omission is what was left out for one reason.
type Omission struct {
	Reason LeftOut  `json:"reason"`
	Count  int      `json:"count"`
	Names  []string `json:"names,omitempty"` // the first ones
	More   []string `json:"-"`               // the others, which are not kept; none of the allow list
}

// Coverage tells what a scanner searched, and what it left out.
type Coverage struct {
	Searched int        `json:"searched"` // files
	Left     []Omission `json:"left,omitempty"`
	Commits  bool       `json:"commits,omitempty"` // it searched former commits too: what these have is in history when it leaves the tree
	History  []Stretch  `json:"history,omitempty"` // the commits that were left out, for the next scan to go on with
	Partial  bool       `json:"partial,omitempty"` // it looked at a part of the commit only
	Paths    []string   `json:"paths,omitempty"`   // globs of the files in that part; none where nobody names them
}

// Stretch are commits that were not searched: all that the tips reach and the bases do not.
type Stretch struct {
	Tips    []string `json:"tips"`
	Bases   []string `json:"bases,omitempty"`
	Commits int      `json:"commits"` // at least so many
}

// Every scan keeps what is left, so that is bounded.
const (
	maxStretches = 20
	maxTips      = 1000 // of stretches that became one
)

// LeaveCommits notes that commits were not searched. They are told until a later scan has searched them.
func (c *Coverage) LeaveCommits(s Stretch) {
	s.Commits = max(s.Commits, 1)
	c.LeaveOut(LeftHistory, s.Commits)
	if c.History = append(c.History, s); len(c.History) > maxStretches {
		c.History = []Stretch{joined(c.History)}
	}
}

// joined is one stretch that has the commits of several, and perhaps some that were searched. Of too many tips it has the first
// ones, which are the newest.
func joined(all []Stretch) (one Stretch) {
	tips := make(map[string]bool)
	for _, s := range all {
		one.Commits += s.Commits
		for _, tip := range s.Tips {
			if !tips[tip] && len(tips) < maxTips {
				tips[tip], one.Tips = true, append(one.Tips, tip)
			}
		}
	}
	one.Bases = slices.DeleteFunc(slices.Clone(all[0].Bases), func(base string) bool {
		return slices.ContainsFunc(all, func(s Stretch) bool { return !slices.Contains(s.Bases, base) })
	})
	return one
}

// LeaveOut notes that something was not searched. Without a name only the count grows.
func (c *Coverage) LeaveOut(reason LeftOut, count int, names ...string) {
	if count <= 0 {
		return
	}
	at, known := slices.BinarySearchFunc(c.Left, reason, func(o Omission, reason LeftOut) int { return cmp.Compare(o.Reason, reason) })
	if !known {
		c.Left = slices.Insert(c.Left, at, Omission{Reason: reason})
	}
	left := &c.Left[at]
	left.Count += count
	room := min(len(names), maxLeftNames-len(left.Names))
	left.Names = append(left.Names, names[:room]...)
	if reason != LeftAllowed {
		left.More = append(left.More, names[room:]...)
	}
}

// Rename gives what was left out other names, also that of which no name is kept.
func (c *Coverage) Rename(as func(name string) string) {
	if c == nil {
		return
	}
	for _, left := range c.Left {
		for _, names := range [][]string{left.Names, left.More} {
			for i, name := range names {
				names[i] = as(name)
			}
		}
	}
}

// PutUnread replaces the commits that were left out, but for those of which nothing but their number is known.
func (c *Coverage) PutUnread(left []Stretch) {
	lost := 0
	c.Left = slices.DeleteFunc(slices.Clone(c.Left), func(o Omission) bool {
		if o.Reason == LeftHistory {
			lost += o.Count
		}
		return o.Reason == LeftHistory
	})
	for _, stretch := range c.History {
		lost -= stretch.Commits
	}
	c.LeaveOut(LeftHistory, lost)
	c.History = nil
	for _, stretch := range left {
		c.LeaveCommits(stretch)
	}
}

// Unread are the commits that were left out.
func (c *Coverage) Unread() []Stretch {
	if c == nil {
		return nil
	}
	return c.History
}

// Add takes over what another part of the scan searched and left out.
func (c *Coverage) Add(other Coverage) {
	c.Searched += other.Searched
	for _, left := range other.Left {
		c.LeaveOut(left.Reason, left.Count, slices.Concat(left.Names, left.More)...)
	}
}

// leavesForks tells whether the scanner did not look at the commit, because it is from a fork.
func (c *Coverage) leavesForks() bool {
	return c != nil && slices.ContainsFunc(c.Left, func(o Omission) bool { return o.Reason == LeftFork })
}

// NotSearched is how much was left out that can hold code: files, and commits.
func (c Coverage) NotSearched() (n int) {
	for _, left := range c.Left {
		if left.Reason.MayHoldCode() {
			n += left.Count
		}
	}
	return n
}

// LookedAt notes that a scanner looked only at the files that globs match or, without globs, at some that nobody names.
func (c *Coverage) LookedAt(globs ...string) {
	c.Partial, c.Paths = true, globs
	var outside []string
	if len(globs) > 0 {
		outside = []string{"all but " + Clip(strings.Join(globs, " "), maxOutside)}
	}
	c.LeaveOut(LeftOutside, 1, outside...)
}

const (
	maxGlob    = 500 // bytes
	maxOutside = 200 // bytes of the text that names what was looked at
)

// CleanGlob is a glob of files below the repository's root, or of directories that they are in. ErrInvalid for what is none.
func CleanGlob(glob string) (string, error) {
	clean := cmp.Or(strings.TrimPrefix(path.Clean("/"+strings.TrimSpace(glob)), "/"), "**")
	if len(clean) > maxGlob || !doublestar.ValidatePattern(clean) || Printable(clean) != clean {
		return "", fmt.Errorf("%w: %.64q is no glob of paths below the repository's root, such as services/api/**", ErrInvalid, glob)
	}
	return clean, nil
}

// Outside tells which files a scanner did not look at because it looked at a part of the commit only. nil where that was all, or
// where it is not known which part.
func (c *Coverage) Outside() func(file string) bool {
	if c == nil || len(c.Paths) == 0 {
		return nil
	}
	plain, seen := make(map[string]bool), make(map[string]bool) // findings are more than files
	var globs []string
	for _, glob := range c.Paths {
		if plain[glob] = true; strings.ContainsAny(glob, `*?[{\`) {
			globs = append(globs, glob)
		}
	}
	return func(file string) bool {
		outside, known := seen[file]
		if !known {
			outside = !covers(plain, globs, archiveOf(file))
			seen[file] = outside
		}
		return outside
	}
}

// covers tells whether a file or a directory that it is in is named, or matched by a glob.
func covers(plain map[string]bool, globs []string, file string) bool {
	for at := file; at != "." && at != "/"; at = path.Dir(at) {
		if plain[at] || matchesAny(globs, at) {
			return true
		}
	}
	return false
}

// Unsearched tells which files were not searched, or not whole, so that findings in them may still be there. Where it is not
// known which, it is all. What the allow list exempts counts as searched: it is the administrator's word. nil where nothing was
// left out.
func (c *Coverage) Unsearched() func(file string) bool {
	left, known := c.unsearched(func(r LeftOut) bool { return r.mayBeFile() })
	outside := c.Outside()
	if len(left) == 0 && known && outside == nil {
		return nil
	}
	return func(file string) bool {
		return !known || left[archiveOf(file)] || left[path.Dir(file)+"/"] || outside != nil && outside(file)
	}
}

// UnsearchedFiles are the files that Unsearched tells of, those that hold archives' members instead of these, and directories whose
// files it may be, which end with a slash. What the scanner's own settings exempt is not among them: it would not search that now
// either. known is false where there are others.
func (c *Coverage) UnsearchedFiles() (left map[string]bool, known bool) {
	left, known = c.unsearched(func(r LeftOut) bool { return r.mayBeFile() && r != LeftSkipped })
	return left, known && (c == nil || !c.Partial)
}

// mayBeFile tells whether what was left out can be a file in which earlier findings may still be.
func (r LeftOut) mayBeFile() bool {
	return r != LeftAllowed && r != LeftSubmodule && r != LeftHistory && r != LeftOutside
}

func (c *Coverage) unsearched(counts func(LeftOut) bool) (left map[string]bool, known bool) {
	left, known = make(map[string]bool), true
	if c == nil {
		return left, known
	}
	for _, o := range c.Left {
		if !counts(o.Reason) {
			continue
		}
		for _, name := range slices.Concat(o.Names, o.More) {
			left[archiveOf(name)] = true
		}
		known = known && o.Count <= len(o.Names)+len(o.More)
	}
	return left, known && (!c.Partial || len(c.Paths) > 0)
}

// archiveOf is the file of the repository that holds a file, which may be a member of an archive.
func archiveOf(file string) string {
	archive, _, _ := strings.Cut(file, "!")
	return archive
}

// Contents is what the search of one file's contents came to, wherever they stand. It holds no secret.
type Contents struct {
	Findings []Finding // their File is empty, or for a member of an archive "!" and its path in there
	Coverage Coverage  // with names like these
}

// IsClean tells whether nothing was found and nothing left out.
func (c Contents) IsClean() bool { return len(c.Findings)+len(c.Coverage.Left) == 0 }

// At returns the findings as those of a path.
func (c Contents) At(path string) []Finding {
	path = Printable(path)
	placed := make([]Finding, len(c.Findings))
	for i, f := range c.Findings {
		f.File = path + f.File
		placed[i] = f
	}
	return placed
}

// CoverageAt returns the coverage as that of a path.
func (c Contents) CoverageAt(path string) Coverage {
	path = Printable(path)
	placed := Coverage{Searched: c.Coverage.Searched, Left: slices.Clone(c.Coverage.Left)}
	for i, left := range placed.Left {
		placed.Left[i].Names, placed.Left[i].More = slices.Clone(left.Names), slices.Clone(left.More)
	}
	placed.Rename(func(name string) string { return path + name })
	return placed
}

// ContentsKey is what a search of contents depends on, besides the rules.
type ContentsKey struct {
	Blob  string // git's id of the contents
	Class string // what the rules make of the path
}

// SearchedContents is what is known of contents that were searched. Contents without findings in which nothing was left out
// are in it only after a search that did not come to its end.
type SearchedContents map[ContentsKey]Contents

// HasClean tells whether clean contents are among them.
func (c SearchedContents) HasClean() bool {
	for _, contents := range c {
		if contents.IsClean() {
			return true
		}
	}
	return false
}
