package catchup

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// memory is what is known of a project before a look.
type memory struct {
	first bool                 // it is the first one
	all   bool                 // what has always been there is wanted too
	heads map[string]core.Head // by ref: where they stood at the last look
	last  map[string]core.Scan // by branch or tag: its newest scan
}

// before is where a ref stood when we last knew of it; ok is false for one that nobody has seen.
func (m memory) before(h core.Head) (sha string, ok bool) {
	head, seen := m.heads[h.Ref]
	scan, scanned := m.last[h.Name()]
	if scanned && (!seen || scan.Timestamp.After(head.SeenAt)) {
		return scan.CommitSHA, true
	}
	return head.SHA, seen
}

// changed are the refs that do not stand where they stood at the last look.
func (s snapshot) changed(m memory) []core.Head {
	var changed []core.Head
	for _, h := range s.heads {
		if m.all || m.heads[h.Ref].SHA != h.SHA {
			changed = append(changed, h)
		}
	}
	return changed
}

// gone are the refs that exist no more. Nobody knows while only some of them were looked at.
func (s snapshot) gone(m memory) []string {
	var gone []string
	for ref := range m.heads {
		if _, there := s.byRef[ref]; !there && !s.more {
			gone = append(gone, ref)
		}
	}
	return gone
}

// candidate is the push that would have announced a head, or ok is false where none is missed: the head is as known,
// what has always been there at the first look, or not wanted.
func (s snapshot) candidate(h core.Head, m memory, policy core.Policy, project core.Project) (push core.Push, ok bool) {
	before, seen := m.before(h)
	isDefault := h.Ref == "refs/heads/"+s.defaultBranch
	usual := before == h.SHA || !seen && m.first && !isDefault
	if usual && !m.all {
		return core.Push{}, false
	}
	created := !seen || before == h.SHA
	if created {
		before = strings.Repeat("0", len(h.SHA))
	}
	push = core.Push{
		Project: project, Ref: h.Ref, Before: before, After: h.SHA, CommitSHA: h.SHA, Created: created,
	}
	return push, policy.Refuses(push) == ""
}

// covers tells whether a scan is all that the push asks for. A scan of another branch must know that it is shared, and
// one that a newer push made pointless must be taken up again. One of the project under an earlier name stays as it is.
func covers(scan core.Scan, push core.Push) bool {
	own := scan.Branch == push.Branch()+push.Tag() || scan.Branch == ""
	return scan.SupersededBy == "" && (own || scan.SharedRefs) || scan.ProjectName != push.Project.Name
}
