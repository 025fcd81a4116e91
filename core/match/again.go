package match

import "github.com/scanhook/scanhook/core"

// PrepareAgain prepares another comparison of findings as they were stored: with the anchors that they have, and the fingerprints as
// far as nothing else has these. They must not change before the comparison ends.
func PrepareAgain(stored []core.Finding) Prepared {
	m := newMatcher(len(stored), core.Report{Findings: stored}.At, storedAnchor)
	m.again = true
	return Prepared{m}
}

// storedAnchor is the anchor of a finding as it was stored, or the one of a new report where it has none of the current version.
func storedAnchor(f *core.Finding, id identity) anchor {
	a, v := readAnchor(f.Anchor)
	if v != currentVersion {
		return reportedAnchor(f, id)
	}
	a.secret = secretHashOf(f.SecretHash)
	return a
}

// byDiff is the evidence that git's diff gives. Where that is not at hand any more, what it told when a finding was compared first still
// holds.
var byDiff = map[Evidence]bool{ByPlace: true, ByLine: true, ByEdit: true, ByRename: true, ByAlert: true}

// joinTold pairs stored findings with earlier ones of the same alert that git's diff told to be it.
func (m *matcher) joinTold(past Baseline) {
	if !m.again || m.lines.known {
		return
	}
	left := make(map[int64]int)
	for old, alert := range past.alerts {
		if alert != 0 && !m.taken[old] {
			left[alert] = old
		}
	}
	m.now = ByAlert
	var scratch core.Finding
	for _, i := range m.order {
		f := m.source(i, &scratch)
		if old, found := left[f.AlertID]; found && m.pair[i] == none && byDiff[Evidence(f.MatchedBy)] {
			m.join(i, old)
		}
	}
}

// stay lets a stored finding that is new keep its fingerprint and its alert, unless another one has the fingerprint. None gets one that
// another had before: what was said of that is not about it.
func (m *matcher) stay(c *Comparison, u used) {
	if !m.again {
		return
	}
	var scratch core.Finding
	for _, i := range m.order {
		f := m.source(i, &scratch)
		if c.held[i] == "" && !u[f.Fingerprint] {
			c.held[i], c.alerts[i] = f.Fingerprint, f.AlertID
		}
	}
	for _, i := range m.order {
		u[m.source(i, &scratch).Fingerprint] = true
	}
}
