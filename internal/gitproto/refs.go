package gitproto

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// MaxRefs bounds how many branches and tags of a project are listed.
const MaxRefs = 10_000

// Refs is where the branches and tags of a project stand at one moment.
type Refs struct {
	Heads         []core.Ref
	DefaultBranch string // short name, empty if the server does not tell
	Truncated     bool   // there are more than MaxRefs

	byName map[string]int
}

// Has tells whether a branch or tag is listed, by its full name.
func (r Refs) Has(name string) bool {
	_, listed := r.byName[name]
	return listed
}

// add takes a ref and its object; an annotated tag comes a second time, as ref^{} with its commit. It returns false when
// there are too many.
func (r *Refs) add(id, ref string) bool {
	name, peeled := strings.CutSuffix(ref, "^{}")
	if at, known := r.byName[name]; known && peeled && core.IsCommitSHA(id) {
		r.Heads[at].SHA = strings.ToLower(id)
		return true
	}
	if !core.IsCommitSHA(id) || !storable(name) {
		return true
	}
	if len(r.Heads) == MaxRefs {
		r.Truncated = true
		return false
	}
	if r.byName == nil {
		r.byName = map[string]int{}
	}
	r.byName[name] = len(r.Heads)
	r.Heads = append(r.Heads, core.Ref{Name: name, SHA: strings.ToLower(id)})
	return true
}

// storable tells whether a ref is a branch or tag whose name fits into the database and the log.
func storable(ref string) bool {
	return core.Ref{Name: ref}.Short() != "" && len(ref) <= platforms.MaxText && utf8.ValidString(ref) &&
		!strings.ContainsFunc(ref, unicode.IsControl)
}

func (r *Refs) setDefault(target string) {
	if branch, ok := strings.CutPrefix(target, "refs/heads/"); ok && storable(target) {
		r.DefaultBranch = branch
	}
}

// addListed parses a line of protocol version 2: "<id> <ref>", then attributes.
func (r *Refs) addListed(line string) bool {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return true
	}
	id, ref := fields[0], fields[1]
	for _, attribute := range fields[2:] {
		if target, ok := strings.CutPrefix(attribute, "symref-target:"); ok && ref == "HEAD" {
			r.setDefault(target)
		}
		if commit, ok := strings.CutPrefix(attribute, "peeled:"); ok {
			id = commit
		}
	}
	return r.add(id, ref)
}

// addAdvertised parses a line of protocol version 0: "<id> <ref>", the first with capabilities behind a zero byte.
func (r *Refs) addAdvertised(line string) bool {
	line, capabilities, _ := strings.Cut(line, "\x00")
	for _, capability := range strings.Fields(capabilities) {
		if target, ok := strings.CutPrefix(capability, "symref=HEAD:"); ok {
			r.setDefault(target)
		}
	}
	id, ref, _ := strings.Cut(line, " ")
	return r.add(id, ref)
}
