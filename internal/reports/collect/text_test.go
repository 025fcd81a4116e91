package collect_test

import (
	"testing"

	"github.com/scanhook/scanhook/internal/reports/collect"
)

func TestUnnumbered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code       string
		start, end int
		want       string
	}{
		"with colons":       {"11: a\n12: b\n13: c\n", 12, 12, "b"},
		"with blanks":       {"11 a\n12 b\n13 c\n", 12, 13, "b\nc"},
		"end unknown":       {"11 a\n12 b\n", 11, 0, "a"},
		"keeps indentation": {"11 \tif x {\n", 11, 11, "\tif x {"},
		"without numbers":   {"a := 1\nb := 2\n", 11, 12, "a := 1\nb := 2\n"},
		"nothing":           {"", 1, 1, ""},
	} {
		if got := collect.Unnumbered(test.code, test.start, test.end); got != test.want {
			t.Errorf("%s: want %q, got %q", name, test.want, got)
		}
	}
}

func TestWebAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		" https://example.com/a?b=c ": "https://example.com/a?b=c",
		"http://example.com":          "http://example.com",
		"javascript:alert(1)":         "",
		"data:text/html,x":            "",
		"https:///a":                  "",
		"//example.com/a":             "",
		"https://example.com/a-long-path/to-somewhere-behind-the-limit": "",
	} {
		if got := collect.WebAddress(address, 40); got != want {
			t.Errorf("%q: want %q, got %q", address, want, got)
		}
	}
}

func TestUnmasked(t *testing.T) {
	t.Parallel()
	if one, other := collect.Unmasked("hunter2-hunter2"), collect.Unmasked("*******"); one != "hunter2-hunter2" || other != "" {
		t.Errorf("%q, %q", one, other)
	}
}
