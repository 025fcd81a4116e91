package ai_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/ai"
)

// Quotes of what was masked are not in the file, whatever the model was shown.
func TestReviewShowsOnlyWhatMayBeShown(t *testing.T) {
	t.Parallel()
	about := ai.ReviewRequest{Finding: shell, Source: "a\nb\nc\nkey = 'hunter2-hunter2'\n", Shown: "a\nb\nc\nkey = 'REDACTED-12ab'\n"}
	var prompt string
	got, err := client(t, func(w http.ResponseWriter, r *http.Request) {
		prompt = promptOf(r)
		says(as("evidence", []string{"key = 'REDACTED-12ab'"}))(w, r)
	}).Review(t.Context(), about)
	if err != nil || got.Verdict != ai.Unsure {
		t.Errorf("opinion %+v, %v", got, err)
	}
	if strings.Contains(prompt, "hunter2") || !strings.Contains(prompt, "4 | key = 'REDACTED-12ab'") {
		t.Errorf("prompt:\n%s", prompt)
	}
}

func TestReviewBoundsWhatItSends(t *testing.T) {
	t.Parallel()
	var marks []string
	var prompt string
	asked := client(t, func(w http.ResponseWriter, r *http.Request) {
		prompt = promptOf(r)
		marks = append(marks, regexp.MustCompile(`^BEGIN DATA (\S{20,})\n`).FindStringSubmatch(prompt)[1])
		says(as("patch", nil))(w, r)
	})
	var long strings.Builder
	for i := range 200 {
		fmt.Fprintf(&long, "line%d()\n", i+1)
	}
	wide := strings.Repeat(strings.Repeat("x", 10_000)+"\n", 100)
	hidden := "a\u202eb\U000E0041c\x1b[2J\x00d"
	f := shell
	f.Message = strings.Repeat("m", 100_000)
	for name, c := range map[string]struct {
		source  string
		line    int
		has     []string
		hasNot  []string
		longest int
	}{
		"the middle":    {long.String(), 100, []string{"70 | line70()", "100 | ", "130 | "}, []string{"69 | ", "131 | "}, 4 << 10},
		"the begin":     {long.String(), 0, []string{"1 | line1()", "31 | "}, []string{"32 | "}, 4 << 10},
		"after the end": {long.String(), 999, []string{"170 | ", "200 | "}, []string{"169 | ", "201 | "}, 4 << 10},
		"long lines":    {wide, 50, []string{"50 | xxx", "[cut]"}, []string{strings.Repeat("x", 500)}, 16 << 10},
		"hidden text":   {hidden, 1, []string{"1 | a\uFFFDb\uFFFDc\uFFFD[2J\uFFFDd"}, nil, 4 << 10},
		"nothing":       {"", 7, []string{"1 | \n"}, nil, 4 << 10},
	} {
		f.Line = c.line
		if _, err := asked.Review(t.Context(), ai.ReviewRequest{Finding: f, Source: c.source, Shown: c.source}); err != nil {
			t.Fatal(err)
		}
		for _, part := range c.has {
			if !strings.Contains(prompt, part) {
				t.Errorf("%s: the prompt lacks %q", name, part)
			}
		}
		for _, part := range c.hasNot {
			if strings.Contains(prompt, part) {
				t.Errorf("%s: the prompt holds %q", name, part)
			}
		}
		if len(prompt) > c.longest {
			t.Errorf("%s: the prompt has %d bytes", name, len(prompt))
		}
	}
	slices.Sort(marks)
	if len(slices.Compact(marks)) != 6 {
		t.Errorf("marks %v, want a fresh one each time", marks)
	}
}
