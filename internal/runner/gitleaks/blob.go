package gitleaks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/h2non/filetype"
	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

const (
	MaxBlob = 20 << 20 // bytes; larger contents are left out

	windowSize = 160 << 10 // bytes that are searched at once
	overlap    = 16 << 10  // bytes that two windows share: the longest secret, a private key, fits in
)

// archives are the kinds of files with others in them, also those that are not opened.
var archives = []string{
	"zip", "epub", "docx", "xlsx", "pptx", "crx", "tar", "gz", "bz2", "xz", "zst", "lz", "Z", "7z", "rar", "cab", "ar", "deb", "rpm", "iso",
}

// Search looks for secrets in contents that stand at a path, whose name is used for the rules and for coverage. What cannot be
// searched is coverage, also more secrets than MaxSecrets; the only error is the end of the context.
func (r *Rules) Search(ctx context.Context, path string, data []byte) (core.Contents, error) {
	s := &contentSearch{rules: r, left: maxUnpacked}
	if err := s.file(ctx, place{rules: path, name: path}, data, 0); err != nil {
		return core.Contents{}, err
	}
	return s.result, nil
}

// place is where contents stand.
type place struct {
	rules  string // the path that rules look at
	inside string // of the findings: empty, or the path inside an archive
	name   string // for coverage
}

// contentSearch is the search of one file and, if it is an archive, of its members.
type contentSearch struct {
	rules   *Rules
	left    int64 // bytes that may still be unpacked
	members int
	result  core.Contents
}

func (s *contentSearch) leaveOut(reason core.LeftOut, at place) {
	s.result.Coverage.LeaveOut(reason, 1, core.Printable(at.name))
}

// file searches contents, which are an archive at so many levels inside others.
func (s *contentSearch) file(ctx context.Context, at place, data []byte, level int) error {
	if len(data) > MaxBlob {
		s.leaveOut(core.LeftSize, at)
		return nil
	}
	kind, _ := filetype.Match(data)
	if kind.MIME.Type == "application" && !raw(data).isText() || raw(data).isTar() && s.rules.unpacks {
		if slices.Contains(archives, kind.Extension) {
			return s.archive(ctx, at, data, level)
		}
		s.leaveOut(core.LeftBinary, at)
		return nil
	}
	if raw(data).isPointer() {
		s.leaveOut(core.LeftPointer, at)
	}
	text, decoded := raw(data).text()
	if raw(data).hasZip() {
		if err := s.archive(ctx, at, data, level); err != nil {
			return err
		}
	} else if !decoded && !raw(data).isText() && !raw(withoutZeros(text)).isSomeText() {
		s.leaveOut(core.LeftBinary, at) // what it has of text is searched
	}
	return s.text(ctx, at, text)
}

// text searches a text. What makes the library fail is left out, and named.
func (s *contentSearch) text(ctx context.Context, at place, text string) error {
	found := &distinct{seen: make(map[leakKey]bool)}
	err := leaksIn(ctx, s.rules, at.rules, text, found)
	if bare := withoutZeros(text); err == nil && bare != "" {
		err = leaksIn(ctx, s.rules, at.rules, bare, found)
	}
	var others []report.Finding
	if err == nil && s.rules.extended && len(found.leaks) > 0 {
		others, err = s.others(ctx, text)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		s.leaveOut(core.LeftError, at)
		return nil
	}
	leaks, room := found.leaks, MaxSecrets-len(s.result.Findings)
	if len(leaks) > room {
		s.leaveOut(core.LeftSecrets, at)
		leaks = leaks[:room]
	}
	s.result.Coverage.Searched++
	for _, f := range toFindings(leaks, append(others, found.leaks...), s.rules.key) {
		f.File = at.inside
		s.result.Findings = append(s.result.Findings, f)
	}
	return nil
}

// others is what is masked besides what was found: what the administrator allows.
func (s *contentSearch) others(ctx context.Context, text string) ([]report.Finding, error) {
	masking, err := reports.Masking()
	if err != nil {
		return nil, err
	}
	more := &distinct{seen: make(map[leakKey]bool)}
	err = leaksIn(ctx, &Rules{detector: masking}, "", text, more)
	return more.leaks, err
}

// leaksIn searches a text window by window. A match that begins in what two windows share belongs to the later one: the
// earlier one may see half of it.
func leaksIn(ctx context.Context, rules *Rules, path, text string, found *distinct) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(fmt.Sprint(cause)) // a panic of the library, on contents that may have been made for it
		}
	}()
	for w := windowAt(text, 1, 0); ; {
		leaks := rules.detect(ctx, sources.Fragment{Raw: w.text, FilePath: path, StartLine: w.line})
		if w.rest == "" {
			found.add(leaks)
			return nil
		}
		next := w.next()
		found.add(slices.DeleteFunc(leaks, next.owns))
		if ctx.Err() != nil || len(found.leaks) > MaxSecrets {
			return nil
		}
		w = next
	}
}

// withoutZeros is a text without the zero bytes that can hide what stands between them; empty if they hide nothing.
func withoutZeros(text string) string {
	if !hidesBetweenZeros(text) {
		return ""
	}
	return strings.ReplaceAll(text, "\x00", "")
}

const (
	zeroSpan = 64 // bytes; half of the shortest secrets in UTF-16
	fewZeros = 16 // in a span
	fewSigns = 12 // beside them
)

// hidesBetweenZeros tells whether zero bytes and signs of ASCII stand close together anywhere, as in UTF-16 and UTF-32.
func hidesBetweenZeros(text string) bool {
	if !strings.Contains(text, "\x00") {
		return false
	}
	zeros, signs := 0, 0
	count := func(c byte, by int) {
		switch {
		case c == 0:
			zeros += by
		case c > ' ' && c < 0x7f:
			signs += by
		}
	}
	for i := range len(text) {
		count(text[i], 1)
		if i >= zeroSpan {
			count(text[i-zeroSpan], -1)
		}
		if zeros >= fewZeros && signs >= fewSigns {
			return true
		}
	}
	return false
}

// window is a part of a text.
type window struct {
	text   string
	line   int    // number of its first line
	column int    // bytes of that line that the window before has: 0 unless the line is longer than a window
	rest   string // of the text, from the beginning of this window on; empty for the last one
}

func windowAt(text string, line, column int) window {
	if len(text) <= windowSize {
		return window{text, line, column, ""}
	}
	return window{text[:wholeRunes(text, windowSize)], line, column, text}
}

// next begins at the first line that begins in the last bytes of a window, or else inside of a line.
func (w window) next() window {
	from, column := wholeRunes(w.text, len(w.text)-overlap), 0
	if newline := strings.IndexByte(w.text[from:], '\n'); newline >= 0 {
		from += newline + 1
	} else {
		column = from - (strings.LastIndexByte(w.text[:from], '\n') + 1)
	}
	return windowAt(w.rest[from:], w.line+strings.Count(w.text[:from], "\n"), column)
}

// owns tells whether a match that the window before found begins in this one. What begins near the edge is left to both.
func (w window) owns(leak report.Finding) bool {
	return leak.StartLine > w.line || leak.StartLine == w.line && (w.column == 0 || leak.StartColumn > w.column+1)
}

// wholeRunes is the last place up to at where a character begins.
func wholeRunes(text string, at int) int {
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// distinct are the leaks of a text, of which two windows can see the same.
type distinct struct {
	leaks []report.Finding
	seen  map[leakKey]bool
}

type leakKey struct {
	rule, secret string
	line         int
}

func keyOf(leak report.Finding) leakKey { return leakKey{leak.RuleID, leak.Secret, leak.StartLine} }

// add takes over what a window has and no other one before. Equal leaks within a window are different ones.
func (d *distinct) add(window []report.Finding) {
	window = slices.DeleteFunc(window, func(leak report.Finding) bool { return d.seen[keyOf(leak)] })
	for _, leak := range window {
		d.seen[keyOf(leak)] = true
	}
	d.leaks = append(d.leaks, window...)
}
