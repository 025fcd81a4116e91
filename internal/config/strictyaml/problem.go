package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line, Column int    // 1-based
	Path         string // of the key: platforms.github.url, repositories[0].match; empty for the file as a whole
	Message      string // a sentence that names the path and says what to write instead; never holds a secret
}

// Error holds all that is wrong with a file, by line; it prints one problem on each line.
type Error struct {
	File     string
	Problems []Problem
}

func (e *Error) Error() string { return strings.Join(located(e.File, e.Problems), "\n") }

func located(file string, problems []Problem) []string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", file, p.Line, p.Column, p.Message)
	}
	return lines
}

type place struct{ line, column int }

func placeOf(node *yaml.Node) place { return place{max(node.Line, 1), max(node.Column, 1)} }

// Report collects what is said about a file while it is decoded and validated.
type Report struct {
	Lines map[string]int // of every value that the file sets to something, by path

	cut      bool             // not all of the file was decoded
	places   map[string]place // of every value that the file sets, by path
	reported map[string]bool  // the paths of problems, and of what holds them
	unread   map[string]bool  // the paths of values of the wrong shape, whose inside was not decoded
	problems []Problem
	warnings []Problem
}

// Whole tells whether all of the file was decoded. Otherwise there is a problem, and what is missing says nothing.
func (r *Report) Whole() bool { return !r.cut }

// Err is an *Error with all problems by their place, or nil where there is none.
func (r *Report) Err(file string) error {
	if len(r.problems) == 0 {
		return nil
	}
	sortByPlace(r.problems)
	return &Error{File: file, Problems: r.problems}
}

// Warnings are lines for people, by their place.
func (r *Report) Warnings(file string) []string {
	sortByPlace(r.warnings)
	return located(file, r.warnings)
}

func newReport() *Report {
	return &Report{Lines: map[string]int{}, places: map[string]place{}, reported: map[string]bool{}, unread: map[string]bool{}}
}

// Errorf says what is wrong with the value at path. A path that has a problem already, holds one that has, or lies in
// a value that was not decoded is left alone: it would only look missing.
func (r *Report) Errorf(path, format string, args ...any) {
	if !r.reported[path] && !r.inUnread(path) {
		r.errorAt(r.find(path), path, labelled(path, fmt.Sprintf(format, args...)))
	}
}

func (r *Report) errorAt(at place, path, message string) {
	r.problems = append(r.problems, Problem{at.line, at.column, path, message})
	for r.reported[""] = true; path != ""; path = parent(path) {
		r.reported[path] = true
	}
}

// shapef is Errorf for a value of which nothing could be decoded.
func (r *Report) shapef(path, format string, args ...any) {
	r.Errorf(path, format, args...)
	r.unread[path] = true
}

func (r *Report) inUnread(path string) bool {
	for ; path != ""; path = parent(path) {
		if r.unread[path] {
			return true
		}
	}
	return false
}

// Warnf says what is likely to be a mistake in the value at path.
func (r *Report) Warnf(path, format string, args ...any) {
	at := r.find(path)
	message := labelled(path, fmt.Sprintf(format, args...))
	r.warnings = append(r.warnings, Problem{at.line, at.column, path, message})
}

// find is the place of the value at path or, where the file does not set it, of what would hold it.
func (r *Report) find(path string) place {
	for path != "" {
		if at, ok := r.places[path]; ok {
			return at
		}
		path = parent(path)
	}
	return place{1, 1}
}

// Wrote reports whether the file sets the value at path itself.
func (r *Report) Wrote(path string) bool {
	_, ok := r.places[path]
	return ok
}

func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

func labelled(path, message string) string {
	if path == "" {
		return message
	}
	return path + " " + message
}

func sortByPlace(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}
