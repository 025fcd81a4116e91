package match_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/secrets"
)

// ruled gives a finding another rule.
func ruled(f core.Finding, rule string) core.Finding {
	f.RuleID = rule
	return f
}

// secret gives a finding the hash of a secret.
func secret(f core.Finding, value string) core.Finding {
	f.SecretHash = (secrets.Key{}).Hash(value)
	return f
}

// line gives a finding the hash of a line with a secret.
func line(f core.Finding, value string) core.Finding {
	f.SecretHash = (secrets.Key{}).HashLines(value)
	return f
}

// Masks can be equal by chance or by intention.
func TestCompareTellsSecretsApartByTheirHashes(t *testing.T) {
	t.Parallel()
	x := at("a.go:5", "key = REDACTED-aaaa")
	moved, edited := at("b.go:9", "key = REDACTED-aaaa"), at("a.go:5", "secret_key = REDACTED-aaaa")
	same := &core.Changes{}
	changed := &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "a.go", Hunks: []core.Hunk{hunk(5, 1, 5, 1)}}}}
	added := &core.Changes{Files: []core.FileChange{{Old: "a.go", Hunks: []core.Hunk{hunk(1, 5, 0, 0)}}, {New: "b.go"}}}
	type list = []core.Finding
	for name, test := range map[string]struct {
		changes       *core.Changes
		before, after list
		want          []int
	}{
		"the same":                         {nil, list{secret(x, "s")}, list{secret(x, "s")}, []int{0}},
		"another one behind the same mask": {nil, list{secret(x, "s")}, list{secret(x, "t")}, []int{-1}},
		"in an unchanged line":             {same, list{secret(x, "s")}, list{secret(x, "t")}, []int{-1}},
		"in a changed line":                {changed, list{secret(x, "s")}, list{secret(x, "t")}, []int{-1}},
		"in history":                       {nil, list{secret(x, "s")}, list{in("c1", secret(x, "t"))}, []int{-1}},
		"in the same commit":               {nil, list{in("c1", secret(x, "s"))}, list{in("c1", secret(x, "t"))}, []int{-1}},
		"two change places":                {nil, list{secret(x, "s"), secret(moved, "t")}, list{secret(x, "t"), secret(moved, "s")}, []int{1, 0}},
		"of a line":                        {nil, list{line(x, "s")}, list{line(x, "t")}, []int{-1}},
		"the same line":                    {nil, list{line(x, "s")}, list{line(at("a.go:7", x.Snippet), "s")}, []int{0}},
		"an edited line":                   {changed, list{secret(x, "s")}, list{secret(edited, "s")}, []int{0}},
		"an edited line, unknown changes":  {nil, list{secret(x, "s")}, list{secret(edited, "s")}, []int{0}},
		"another file":                     {added, list{secret(x, "s")}, list{secret(moved, "s")}, []int{0}},
		"one more elsewhere":               {same, list{secret(x, "s")}, list{secret(moved, "s"), secret(x, "s")}, []int{-1, 0}},
		"left the tree":                    {changed, list{secret(x, "s")}, list{in("c1", secret(edited, "s"))}, []int{0}},
		"came back":                        {changed, list{in("c1", secret(x, "s"))}, list{secret(edited, "s")}, []int{0}},
		"of a line, in another file":       {added, list{line(x, "s")}, list{line(moved, "s")}, []int{-1}},
		"hashed before and not now":        {nil, list{secret(x, "s")}, list{x}, []int{-1}},
		"unhashed before, other code":      {nil, list{edited}, list{secret(x, "s")}, []int{-1}},
		"another rule": {nil, list{secret(x, "s")}, list{func() core.Finding {
			f := secret(x, "s")
			f.RuleID = "other"
			return f
		}()}, []int{-1}},
	} {
		got, _ := recognised(slices.Clone(test.before), slices.Clone(test.after), test.changes)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: want %v, got %v", name, test.want, got)
		}
	}
}

// anchorV2 is the anchor that the second version made of a finding alone in its file.
func anchorV2(rule, code string) string {
	id := sha256.Sum256([]byte(rule + "\x00code\x00" + code))
	raw := binary.BigEndian.AppendUint16(slices.Clone(id[:8]), match.DigestLine(rule))
	return "v2:" + hex.EncodeToString(append(raw, make([]byte, 16)...))
}

// What was found before secrets had hashes is known by its code, whose mask had no key, and has a hash from then on.
func TestCompareRecognisesFindingsOfBeforeHashes(t *testing.T) {
	t.Parallel()
	before := []core.Finding{at("a.go:5", "key = REDACTED-aaaa")}
	match.Compare(before, match.Previous{})
	now := func(was core.Finding, value string) core.Finding {
		f := secret(at("a.go:8", "key = REDACTED-"+value[:4]), value)
		f.SetFormer(&was)
		return f
	}
	other := at("a.go:5", "key = REDACTED-bbbb")
	for name, test := range map[string]struct {
		give []core.Finding
		want []core.BaselineState
	}{
		"the same":            {[]core.Finding{now(before[0], "1111")}, []core.BaselineState{core.Unchanged}},
		"another one":         {[]core.Finding{now(other, "1111")}, []core.BaselineState{core.New}},
		"the same and others": {[]core.Finding{now(other, "2222"), now(before[0], "1111")}, []core.BaselineState{core.New, core.Unchanged}},
	} {
		compared := match.Prepare(core.Report{Findings: test.give}).Compare(match.Previous{Baseline: knownOf(before)})
		for i, want := range test.want {
			f := test.give[i]
			compared.Apply(i, &f)
			if hashed := slices.Contains(compared.Hashed, i); f.BaselineState != want || hashed != (want == core.Unchanged) {
				t.Errorf("%s: finding %d is %s, hashed %t", name, i, f.BaselineState, hashed)
			}
			if want == core.Unchanged && f.Fingerprint != before[0].Fingerprint {
				t.Errorf("%s: it got another fingerprint", name)
			}
			test.give[i] = f
		}
		again := slices.Clone(test.give)
		match.Compare(again, match.Previous{Baseline: knownOf(test.give)})
		for i, f := range again {
			if f.BaselineState != core.Unchanged || f.Fingerprint != test.give[i].Fingerprint {
				t.Errorf("%s: in the next scan, finding %d is %s", name, i, f.BaselineState)
			}
		}
	}
	second := match.BaselineOf(match.BaselineFinding{
		Fingerprint: "v2:c", Anchor: anchorV2("r", "key = REDACTED-aaaa"), File: "a.go", Line: 5,
	})
	of2 := []core.Finding{now(other, "2222"), now(before[0], "1111")}
	if match.Compare(of2, match.Previous{Baseline: second}); of2[0].BaselineState != core.New || of2[1].Fingerprint != "v2:c" {
		t.Errorf("want the one of the second version known, got %+v", of2)
	}
	fresh := match.Prepare(core.Report{Findings: []core.Finding{now(before[0], "1111"), other}}).Compare(match.Previous{})
	if got := fresh.Former(0); got != before[0].Fingerprint || fresh.Former(1) != "" {
		t.Errorf("want the fingerprint of before, %s, got %s and %q", before[0].Fingerprint, got, fresh.Former(1))
	}
}

// Whatever becomes of lines and files, no two different secrets are one finding, though all masks and lines look alike.
func TestCompareJoinsNoTwoSecrets(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	report := func() (findings []core.Finding, values []string) {
		for range 1 + random.IntN(8) {
			f := at(fmt.Sprintf("%c.go:%d", 'a'+rune(random.IntN(3)), 1+random.IntN(6)), "key = REDACTED-aaaa"+strings.Repeat(" # edited", random.IntN(2)))
			if random.IntN(2) == 0 {
				f = between(f, "before", "after")
			}
			if random.IntN(3) == 0 {
				f.Commit = fmt.Sprint("c", random.IntN(2))
			}
			value := fmt.Sprint("secret ", random.IntN(5))
			if f = secret(f, value); random.IntN(3) == 0 {
				f = line(f, value)
			}
			findings, values = append(findings, f), append(values, value)
		}
		return findings, values
	}
	for range 3000 {
		before, were := report()
		after, are := report()
		changes := []*core.Changes{nil, {}, {Files: []core.FileChange{{Old: "a.go", New: "b.go", Hunks: []core.Hunk{hunk(2, 1, 2, 3)}}}}}
		match.Compare(before, match.Previous{})
		match.Compare(after, match.Previous{Baseline: knownOf(before), Changes: changes[random.IntN(len(changes))]})
		for i, f := range after {
			old := slices.IndexFunc(before, func(b core.Finding) bool { return b.Fingerprint == f.Fingerprint })
			if old >= 0 && were[old] != are[i] {
				t.Fatalf("%s is taken for %s:\n%+v\n%+v", are[i], were[old], f, before[old])
			}
		}
	}
}

// Code that says much is the same wherever it is in its file, as long as it is there once.
func TestCompareRecognisesTellingCode(t *testing.T) {
	t.Parallel()
	const much, little = "session.configure(password, options)", "eval(x)"
	here := func(place, code string) core.Finding { return between(at(place, code), "one", "two") }
	there := func(place, code string) core.Finding { return between(at(place, code), "three", "four") }
	type list = []core.Finding
	tests := map[string]struct {
		before, after list
		want          []int
	}{
		"much":            {list{here("a.py:5", much)}, list{there("a.py:90", much)}, []int{0}},
		"little":          {list{here("a.py:5", little)}, list{there("a.py:90", little)}, []int{-1}},
		"twice now":       {list{here("a.py:5", much)}, list{there("a.py:90", much), there("a.py:95", much)}, []int{-1, -1}},
		"twice before":    {list{here("a.py:5", much), here("a.py:9", much)}, list{there("a.py:90", much)}, []int{-1}},
		"in another file": {list{here("a.py:5", much)}, list{there("b.py:90", much)}, []int{-1}},
	}
	for name, test := range tests {
		got, _ := recognised(test.before, test.after, nil)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Code that says most is the same in another file too, where git's diff knows that it left the one and came to the other.
func TestCompareRecognisesCodeThatMovedToAnotherFile(t *testing.T) {
	t.Parallel()
	const most, much = "func (s *session) configureWithPassword(password string) { s.buffer = append(s.buffer, password) }", "session.configure(password, options)"
	here := func(place, code string) core.Finding { return between(at(place, code), "one", "two") }
	there := func(place, code string) core.Finding { return between(at(place, code), "three", "four") }
	moved := &core.Changes{Files: []core.FileChange{
		{Old: "a.go", New: "a.go", Hunks: []core.Hunk{hunk(5, 1, 4, 0)}}, {New: "b.go"}, {New: "c/b.go"},
	}}
	tested := &core.Changes{Files: []core.FileChange{{Old: "a_test.go"}, {New: "b.go"}}}
	type list = []core.Finding
	tests := map[string]struct {
		changes       *core.Changes
		before, after list
		want          []int
	}{
		"most":               {moved, list{here("a.go:5", most)}, list{there("b.go:7", most)}, []int{0}},
		"much":               {moved, list{here("a.go:5", much)}, list{there("b.go:7", much)}, []int{-1}},
		"unknown changes":    {nil, list{here("a.go:5", most)}, list{there("b.go:7", most)}, []int{-1}},
		"twice now":          {moved, list{here("a.go:5", most)}, list{there("b.go:7", most), there("b.go:9", most)}, []int{-1, -1}},
		"still where it was": {moved, list{here("a.go:3", most)}, list{there("b.go:7", most), here("a.go:3", most)}, []int{-1, 0}},
		"another directory":  {moved, list{here("a.go:5", most)}, list{there("c/b.go:7", most)}, []int{-1}},
		"out of a test":      {tested, list{here("a_test.go:5", most)}, list{there("b.go:7", most)}, []int{-1}},
		"another rule":       {moved, list{here("a.go:5", most)}, list{ruled(there("b.go:7", most), "other")}, []int{-1}},
	}
	for name, test := range tests {
		got, _ := recognised(test.before, test.after, test.changes)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// In a file whose lines have only changed places nothing is new. In any other file, an equal line between other lines is.
func TestCompareRecognisesReorderedFiles(t *testing.T) {
	t.Parallel()
	for _, reordered := range []bool{true, false} {
		before := []core.Finding{between(at("a.go:2", "x()"), "p", "q")}
		after := []core.Finding{between(at("a.go:9", "x()"), "r", "s")}
		changes := &core.Changes{Files: []core.FileChange{
			{Old: "a.go", New: "a.go", Reordered: reordered, Hunks: []core.Hunk{hunk(2, 1, 1, 0), hunk(9, 0, 9, 1)}},
		}}
		got, _ := recognised(before, after, changes)
		if known := got[0] == 0; known != reordered {
			t.Errorf("reordered %t: known %t", reordered, known)
		}
	}
}
