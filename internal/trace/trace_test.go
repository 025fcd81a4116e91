package trace_test

import (
	"testing"

	"github.com/scanhook/scanhook/internal/trace"
)

const ref = "1de76412-e8eb-5452-ab5f-cbc885cf0e97"

func TestRefIn(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"https://scan.example.com/sub/scans/" + ref: ref, "https://scan.example.com/projects/github/a/b": "", "": "", "/scans/x": "",
	} {
		if got := trace.RefIn(link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}
