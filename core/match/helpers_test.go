package match_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

// at is a finding of one rule, written file:line code.
func at(place, code string) core.Finding {
	f := core.Finding{RuleID: "r", Snippet: code}
	f.File, place, _ = strings.Cut(place, ":")
	_, _ = fmt.Sscan(place, &f.Line)
	return f
}

// about is a finding without code.
func about(place, message string) core.Finding {
	f := at(place, "")
	f.Message = message
	return f
}

// between gives a finding surroundings.
func between(f core.Finding, before, after string) core.Finding {
	f.Surroundings = match.SurroundingsOf([]uint16{match.DigestLine(before)}, []uint16{match.DigestLine(after)})
	return f
}

// knownOf is what the store keeps of compared findings.
func knownOf(findings []core.Finding) (known match.Baseline) {
	for _, f := range findings {
		known.Add(match.BaselineFinding{Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line, Commit: f.Commit, SecretHash: f.SecretHash})
	}
	return known
}

// in is a finding in history, of a commit.
func in(commit string, f core.Finding) core.Finding {
	f.Commit = commit
	return f
}

// recognised tells for each finding of after the index of the one before that it is, or -1.
func recognised(before, after []core.Finding, changes *core.Changes) (partners []int, absent int) {
	match.Compare(before, match.Previous{})
	absent = match.Compare(after, match.Previous{Baseline: knownOf(before), Changes: changes})
	for _, f := range after {
		partner := slices.IndexFunc(before, func(b core.Finding) bool { return b.Fingerprint == f.Fingerprint })
		if (partner >= 0) != (f.BaselineState == core.Unchanged) {
			partner = -2
		}
		partners = append(partners, partner)
	}
	return partners, absent
}

func fingerprint(findings ...core.Finding) []string {
	match.Compare(findings, match.Previous{})
	out := make([]string, len(findings))
	for i, f := range findings {
		out[i] = f.Fingerprint
	}
	return out
}

// sumV1 is how the first version wrote down what it hashed.
func sumV1(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return hex.EncodeToString(sum[:16])
}

// hunk says that lines were replaced, each side by its first line and its number of lines.
func hunk(oldLine, oldCount, newLine, newCount int) core.Hunk {
	return core.Hunk{OldLine: oldLine, OldCount: oldCount, NewLine: newLine, NewCount: newCount}
}
