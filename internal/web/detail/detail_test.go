package detail_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/web/detail"
)

func link(file string, line, end int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("https://git.example/%s#L%d-%d", file, line, end)
}

func TestFixesAreDiffs(t *testing.T) {
	t.Parallel()
	f := core.Finding{File: "a.js", Line: 2, Code: "one\n  two(x)\nthree", CodeLine: 1}
	for name, test := range map[string]struct {
		fix  details.Fix
		want string
	}{
		"part of a line": {details.Fix{Changes: []details.Change{{File: "a.js", Line: 2, Column: 7, EndColumn: 8, Text: "esc(x)"}}},
			"del -  two(x)|add +  two(esc(x))"},
		"whole lines":    {details.Fix{Changes: []details.Change{{File: "a.js", Line: 1, EndLine: 2, Text: "1\n2"}}}, "del -one|del -  two(x)|add +1|add +2"},
		"removed":        {details.Fix{Changes: []details.Change{{File: "a.js", Line: 3}}}, "del -three"},
		"lines unknown":  {details.Fix{Changes: []details.Change{{File: "b.js", Line: 9, Text: "x"}}}, "add +x"},
		"beyond the end": {details.Fix{Changes: []details.Change{{File: "a.js", Line: 1, Column: 9, EndColumn: 12, Text: "x"}}}, "add +x"},
		"diff":           {details.Fix{Diff: "@@ -1 +1 @@\n-a\n+b\n"}, "hunk @@ -1 +1 @@|del -a|add +b"},
	} {
		v := detail.New(f, details.Details{Fixes: []details.Fix{test.fix}}, details.Help{}, 0, link)
		var got []string
		for _, line := range v.Fixes[0].Parts[0].Lines {
			got = append(got, line.Kind+" "+line.Text)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, "|")); diff != "" {
			t.Error(name, diff)
		}
	}
}

// However many lines a report has, a card stays small, and says what is cut.
func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("x\n", 500)
	place := details.Place{File: "a.js", Line: 7, Code: many}
	change := details.Change{File: "a.js", Line: 1, Text: many}
	v := detail.New(core.Finding{}, details.Details{
		Places: slices.Repeat([]details.Place{place}, 45), Flows: []details.Flow{{}, {Steps: []details.Place{place}}},
		Fixes: []details.Fix{{Diff: many}, {Changes: []details.Change{change, change}}},
	}, details.Help{}, 0, link)
	if ends := v.Flows[0].Ends(); ends != "0 steps" {
		t.Errorf("a way without steps has %s", ends)
	}
	ofPlaces := 0
	for _, p := range append(v.Places, v.Flows[1].Steps...) {
		ofPlaces += len(p.CodeLines)
	}
	ofDiff, ofChanges := v.Fixes[0].Parts[0].Lines, append(v.Fixes[1].Parts[0].Lines, v.Fixes[1].Parts[1].Lines...)
	const cut = "… (cut)"
	first := v.Places[0].CodeLines
	if len(first) != 31 || first[29].Number != 36 || first[30].Text != cut || ofPlaces > 620 || len(ofDiff) != 401 || ofDiff[400].Text != cut ||
		len(ofChanges) != 402 || ofChanges[401].Text != cut {
		t.Errorf("%d lines of a place, %d of all, %d of a diff, %d of changes", len(first), ofPlaces, len(ofDiff), len(ofChanges))
	}
}

func TestMessagesLinkToRelatedPlaces(t *testing.T) {
	t.Parallel()
	d := details.Details{Text: "From [<input>](1), not [x](2).", Related: []details.Place{{ID: new(1), File: "a.js", Line: 4}}}
	v := detail.New(core.Finding{}, d, details.Help{Text: "Because <b>."}, 0, link)
	want := `<p class="text message" dir="auto">From <a href="https://git.example/a.js#L4-0" rel="noopener noreferrer nofollow">&lt;input&gt;</a>, not x.</p>`
	if diff := cmp.Diff(want, string(v.Message)); diff != "" {
		t.Error(diff)
	}
	if string(v.Help) != `<p class="text message" dir="auto">Because &lt;b&gt;.</p>` {
		t.Error(v.Help)
	}
	if v := detail.New(core.Finding{}, details.Details{}, details.Help{Text: "Because."}, 7, link); v.Help != "" || v.HelpAt != 7 {
		t.Errorf("what another card says is %q, at %d", v.Help, v.HelpAt)
	}
	if v := detail.New(core.Finding{}, details.Details{}, details.Help{}, 7, link); v != nil {
		t.Errorf("nothing becomes %+v", v)
	}
}
