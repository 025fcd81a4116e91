//go:build !race

// Windows are searched by one goroutine, and the race detector would take minutes.

package gitleaks

import (
	"strings"
	"testing"
)

// Nothing is lost where two windows meet, and nothing is found twice.
func TestWindowsMeet(t *testing.T) {
	t.Parallel()
	key := strings.Replace(privateKey, "\n", "\n"+strings.Repeat("Zq2LwV8nTb5RyC1mUe4Jd6Hs0GaX7f3k\n", 300), 1)
	for _, at := range []int{windowSize - overlap - 2000, windowSize - overlap - 10, windowSize - overlap/2, windowSize - 30, windowSize + 10} {
		for name, filler := range map[string]string{"lines": "nothing of note here\n", "one line": "nothing of note "} {
			before := strings.Repeat(filler, at/len(filler))
			after := strings.Repeat(filler, windowSize/len(filler))
			first, line := before+" token = '"+githubToken+"' ; ", strings.Count(before, "\n")+1
			got := searchContents(t, "f", first+after, false).Findings
			if len(got) != 1 || got[0].Line != line {
				t.Errorf("%s, token at %d: want one on line %d, got %+v", name, at, line, got)
			}
			if name == "lines" {
				got := searchContents(t, "f", before+key+"\n"+after, false).Findings
				if len(got) != 1 || got[0].Line != line || got[0].EndLine != line+strings.Count(key, "\n") {
					t.Errorf("%s, key at %d: want one on line %d, got %+v", name, at, line, got)
				}
			}
		}
	}
}
