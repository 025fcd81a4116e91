package catchup

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// maxRefs bounds how many branches and tags of a project are looked at.
const maxRefs = 10_000

// snapshot is where the branches and tags of a project stand at one moment.
type snapshot struct {
	heads         []core.Head
	defaultBranch string // short name, empty where the server does not tell
	more          bool   // there are more than maxRefs
	byRef         map[string]int
}

// add takes one line of the server's: a ref and its object, an annotated tag a second time as ref^{} with its commit.
// It is false when there are too many.
func (s *snapshot) add(id, ref string) bool {
	name, peeled := strings.CutSuffix(ref, "^{}")
	if at, known := s.byRef[name]; known && peeled && core.IsCommitSHA(id) {
		s.heads[at].SHA = strings.ToLower(id)
		return true
	}
	if !core.IsCommitSHA(id) || !storable(name) {
		return true
	}
	if len(s.heads) == maxRefs {
		s.more = true
		return false
	}
	if s.byRef == nil {
		s.byRef = map[string]int{}
	}
	s.byRef[name] = len(s.heads)
	s.heads = append(s.heads, core.Head{Ref: name, SHA: strings.ToLower(id)})
	return true
}

// storable tells whether a ref is a branch or tag with a name that a database can hold and a log can show.
func storable(ref string) bool {
	return core.Head{Ref: ref}.Name() != "" && len(ref) <= platforms.MaxText && utf8.ValidString(ref) &&
		!strings.ContainsFunc(ref, unicode.IsControl)
}

func (s *snapshot) pointAt(target string) {
	if branch, ok := strings.CutPrefix(target, "refs/heads/"); ok && storable(target) {
		s.defaultBranch = branch
	}
}

// addListed takes a line of protocol version 2: "<id> <ref>", then attributes.
func (s *snapshot) addListed(line string) bool {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return true
	}
	id, ref := fields[0], fields[1]
	for _, attribute := range fields[2:] {
		if target, ok := strings.CutPrefix(attribute, "symref-target:"); ok && ref == "HEAD" {
			s.pointAt(target)
		}
		if commit, ok := strings.CutPrefix(attribute, "peeled:"); ok {
			id = commit
		}
	}
	return s.add(id, ref)
}

// addAdvertised takes a line of protocol version 0: "<id> <ref>", the first with capabilities behind a zero byte.
func (s *snapshot) addAdvertised(line string) bool {
	line, capabilities, _ := strings.Cut(line, "\x00")
	for _, capability := range strings.Fields(capabilities) {
		if target, ok := strings.CutPrefix(capability, "symref=HEAD:"); ok {
			s.pointAt(target)
		}
	}
	id, ref, _ := strings.Cut(line, " ")
	return s.add(id, ref)
}
