package match

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// run returns for each finding the index of its partner among those of the past, or none; earlier are these with the names that their files
// have in the repository. It ignores findings that ended before.
func (m *matcher) run(past Baseline, earlier []candidate, lines lineage) (pair []int) {
	m.lines = lines
	m.setOld(earlier, past.prints)
	m.pair, m.closed = slices.Repeat([]int{none}, len(m.fresh)), make([]bool, len(m.fresh))
	m.by = make([]Evidence, len(m.fresh))
	for i := range m.fresh {
		m.closed[i] = m.fresh[i].ended
	}
	if len(earlier) > 0 {
		m.lines.moved = movedCheckout(m.fresh, m.old)
		m.matchFirstVersion()
		m.matchVersion(currentVersion)
		m.matchFormer()
		m.matchVersion(secondVersion)
		m.joinTold(past)
	}
	for i := range m.fresh {
		m.fresh[i].ended = m.closed[i] || m.pair[i] != none
	}
	return m.pair
}

func (m *matcher) setOld(earlier []candidate, prints []string) {
	m.old, m.prints, m.taken = earlier, prints, make([]bool, len(earlier))
	m.oldOrder = byPlace(m.old, func(a, b int) int { return a - b })
	if m.outside == nil {
		return
	}
	told := names(m.fresh)
	for i := range m.old {
		file, deleted := m.lines.newFile(m.old[i].file)
		m.taken[i] = !deleted && !told[file] && m.old[i].commit == "" && m.outside(file)
	}
}

// maxFormerRules bounds how many ids a rule may have had.
const maxFormerRules = 4

// matchVersion pairs findings with earlier ones of a version, by their rules, and then by the ids that their rules had before.
func (m *matcher) matchVersion(v version) {
	if !slices.ContainsFunc(m.old, func(c candidate) bool { return c.version == v }) {
		return
	}
	m.reopen(v)
	if v != currentVersion {
		m.dress(v, func(f *core.Finding) string { return f.RuleID }, func(*candidate) bool { return true })
	}
	m.matchAll()
	for n := range maxFormerRules {
		if !slices.ContainsFunc(m.fresh, func(c candidate) bool { return c.renamed }) {
			break
		}
		m.reopen(v)
		m.dress(v, func(f *core.Finding) string { return formerRule(f, n) }, func(c *candidate) bool { return c.renamed })
		m.matchAll()
	}
	m.undress()
}

// matchFormer pairs findings with earlier ones that have a mask and no hash, by the texts that they had while masks had no key.
func (m *matcher) matchFormer() {
	if len(m.former) == 0 {
		return
	}
	m.reopen(currentVersion)
	left := false
	for i := range m.old {
		a := m.old[i].anchor
		m.old[i].ended = m.old[i].ended || a.secret.known() || a.kind&(ofSecret|ofCode) == ofCode
		left = left || !m.old[i].ended
	}
	if !left {
		return
	}
	m.dress(keylessVersion, func(f *core.Finding) string { return f.RuleID }, func(c *candidate) bool { return c.masked })
	m.matchAll()
	m.undress()
}

// formerRule is the n-th of the ids that a finding's rule had before, or empty.
func formerRule(f *core.Finding, n int) string {
	if former := strings.Fields(f.About.FormerRules); n < len(former) {
		return former[n]
	}
	return ""
}

// reopen lets findings without a partner be paired with earlier ones of a version.
func (m *matcher) reopen(v version) {
	for i := range m.fresh {
		m.fresh[i].ended = m.closed[i] || m.pair[i] != none
	}
	for i := range m.old {
		m.old[i].ended = m.taken[i] || m.old[i].version != v
	}
}

// dress gives open findings the anchors that they would have in another version, with another rule. Others, and those without
// that rule, are not paired meanwhile.
func (m *matcher) dress(v version, rule func(*core.Finding) string, which func(*candidate) bool) {
	m.dressed = true
	share(len(m.fresh), func(i int, scratch *core.Finding) {
		c := &m.fresh[i]
		if c.ended = c.ended || !which(c); c.ended {
			return
		}
		f := m.source(i, scratch)
		switch id := rule(f); {
		case id == "":
			c.ended = true
		case v == secondVersion:
			c.anchor = secondAnchorOf(f, id)
		case v == keylessVersion:
			was := *f.Formerly()
			was.SecretHash = ""
			c.anchor = anchorOf(&was, identityOf(&was, id), id)
		default:
			c.anchor = anchorOf(f, identityOf(f, id), id)
		}
	})
}

// undress gives findings back the anchors that are stored with them.
func (m *matcher) undress() {
	if !m.dressed {
		return
	}
	m.dressed = false
	share(len(m.fresh), func(i int, scratch *core.Finding) {
		f := m.source(i, scratch)
		m.fresh[i].anchor = m.anchor(f, m.ids[i])
	})
}

// matchFirstVersion pairs findings with those of a baseline that the first version stored, by its rule.
func (m *matcher) matchFirstVersion() {
	older := map[string]int{}
	for i := range m.old {
		if m.old[i].version == firstVersion {
			older[m.prints[i]] = i
		}
	}
	if len(older) == 0 {
		return
	}
	m.reopen(firstVersion)
	m.now = ByFingerprint
	for i, fingerprint := range printsV1(m.fresh, m.source) {
		if old, found := older[fingerprint]; found && !m.fresh[i].ended {
			m.join(i, old)
		}
	}
}

// positionsV1 are the places inside a message where a tool repeats line numbers.
var positionsV1 = regexp.MustCompile(`(?i)\b(lines?|columns?|col)[ :]*\d+|:\d+`)

// printsV1 are the fingerprints of the first version, which old baselines have: a hash of rule, file, the whole code and
// the index among equal findings, by line.
func printsV1(side []candidate, from source) []string {
	byLine := make([]int, len(side))
	for i := range byLine {
		byLine[i] = i
	}
	sort.SliceStable(byLine, func(a, b int) bool { return side[byLine[a]].line < side[byLine[b]].line })

	prints := make([]string, len(side))
	seen := make(map[string]int, len(side))
	var scratch core.Finding
	for _, i := range byLine {
		same := sameV1(*from(i, &scratch).Formerly())
		sum := sha256.Sum256([]byte(same + "\x00" + strconv.Itoa(seen[same])))
		seen[same]++
		prints[i] = "v1:" + hex.EncodeToString(sum[:16])
	}
	return prints
}

func sameV1(f core.Finding) string {
	context := collapse(f.Snippet)
	if context == "" {
		context = f.PartialFingerprint + "\x00" + collapse(positionsV1.ReplaceAllString(f.Message, ""))
	}
	return f.RuleID + "\x00" + f.File + "\x00" + context
}
